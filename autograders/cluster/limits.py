"""What a LimitRange fills in and what it refuses, in the API server's words."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from autograders.cluster import amounts
from autograders.cluster.pods import Pod
from autograders.cluster.quantities import canonical, parse
from autograders.cluster.quotas import notation
from autograders.cluster.state import name_of
from autograders.model import KubeObject

Written = Mapping[str, str]


def defaulted(pod: Pod, ranges: Iterable[KubeObject]) -> Pod:
    """Fill in what containers leave out, from every LimitRange of the namespace."""
    changed = copy.deepcopy(pod.object)
    spec = changed.get("spec") or {}
    for item in items(pod, ranges, "Container"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            own = container.setdefault("resources", {})
            for field, default in (("limits", "default"), ("requests", "defaultRequest")):
                if item.get(default):
                    own[field] = {**item[default], **(own.get(field) or {})}
    return Pod(changed)


def refusals(pod: Pod, ranges: Iterable[KubeObject]) -> tuple[str, ...]:
    """Everything that one LimitRange has against a Pod: the first of them that has something."""
    for one in sorted(ranges, key=name_of):
        found = [text for item in items(pod, [one], "Container") for text in each(pod, item)]
        found += [text for item in items(pod, [one], "Pod") for text in whole(pod, item)]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


def items(pod: Pod, ranges: Iterable[KubeObject], kind: str) -> Iterator[KubeObject]:
    for one in ranges:
        if (one.get("metadata") or {}).get("namespace") == pod.namespace:
            limits = (one.get("spec") or {}).get("limits") or ()
            yield from (item for item in limits if item.get("type") == kind)


def each(pod: Pod, item: KubeObject) -> Iterator[str]:
    for container in (*pod.containers, *pod.init_containers):
        own = container.spec.get("resources") or {}
        yield from compare("Container", item, own.get("requests") or {}, own.get("limits") or {})


def whole(pod: Pod, item: KubeObject) -> Iterator[str]:
    requests = written(pod, "requests", amounts.requests(pod))
    yield from compare("Pod", item, requests, written(pod, "limits", amounts.limits(pod)))


def written(pod: Pod, field: str, found: Mapping[str, Fraction]) -> Written:
    return {name: canonical(value, notation(pod, field, name)) for name, value in found.items()}


def compare(kind: str, item: KubeObject, requests: Written, limits: Written) -> Iterator[str]:
    for name, bound in (item.get("min") or {}).items():
        yield from too_small(
            f"minimum {name} usage per {kind} is {bound}", name, bound, requests, limits
        )
    for name, bound in (item.get("max") or {}).items():
        yield from too_large(
            f"maximum {name} usage per {kind} is {bound}", name, bound, requests, limits
        )
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        start = f"{name} max limit to request ratio per {kind} is {bound}"
        yield from too_far(start, bound, requests.get(name), limits.get(name))


def too_small(
    start: str, name: str, bound: str, requests: Written, limits: Written
) -> Iterator[str]:
    if name not in requests:
        yield f"{start}.  No request is specified"
    elif parse(requests[name]) < parse(bound):
        yield f"{start}, but request is {canonical(parse(requests[name]), requests[name])}"
    elif name in limits and parse(limits[name]) < parse(bound):
        yield f"{start}, but limit is {canonical(parse(limits[name]), limits[name])}"


def too_large(
    start: str, name: str, bound: str, requests: Written, limits: Written
) -> Iterator[str]:
    if name not in limits:
        yield f"{start}.  No limit is specified"
    elif parse(limits[name]) > parse(bound):
        yield f"{start}, but limit is {canonical(parse(limits[name]), limits[name])}"
    elif name in requests and parse(requests[name]) > parse(bound):
        yield f"{start}, but request is {canonical(parse(requests[name]), requests[name])}"


def too_far(start: str, bound: str, request: str | None, limit: str | None) -> Iterator[str]:
    if not request or not parse(request):
        yield f"{start}, but no request is specified or request is 0"
    elif not limit or not parse(limit):
        yield f"{start}, but no limit is specified or limit is 0"
    elif parse(limit) / parse(request) > parse(bound):
        yield f"{start}, but provided ratio is {float(parse(limit) / parse(request)):f}"
