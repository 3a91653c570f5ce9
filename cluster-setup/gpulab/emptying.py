"""Delete objects and see them gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from autograders.connect import Api
from autograders.errors import InputError
from autograders.model import KubeObject
from gpulab.discovery import Resource, kinds
from gpulab.essence import fingerprint
from gpulab.inventory import KEPT
from gpulab.sending import MERGE, send

SECONDS = 10.0
"""Until everything must be gone; most of it goes at once."""
LOOK = 0.03
"""Seconds between two looks."""
AT_ONCE = 8
"""Requests in the air at the same time."""
MADE_BY_OTHERS = frozenset({"pods", "replicasets", "jobs", "controllerrevisions"})
"""What a controller may make of something that is just being deleted."""
WAITING = frozenset(
    {"foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"}
    | {"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"}
    | {"resource.kubernetes.io/delete-protection"}
)
"""Finalizers of Kubernetes' own that wait for others, which go as well."""


@dataclass(frozen=True)
class Found:
    """One object that is there."""

    resource: Resource
    """Its kind."""
    thing: KubeObject
    """As the API gave it."""

    @property
    def name(self) -> str:
        return str(self.thing["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.thing["metadata"].get("namespace") or "")

    @property
    def key(self) -> str:
        """What it is and where, whatever is in it: `apps/deployments/lab/web`."""
        return "/".join((self.resource.group, self.resource.plural, self.namespace, self.name))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.resource.kind, self.thing)

    @property
    def path(self) -> str:
        return self.resource.path(self.namespace, self.name)

    def __str__(self) -> str:
        finalizers = self.thing["metadata"].get("finalizers")
        held = f" (held by its finalizers {', '.join(finalizers)})" if finalizers else ""
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.kind} {self.name}{held}{place}"


def listed(api: Api, paths: Iterable[tuple[Resource, str]]) -> list[Found]:
    """Every object of these kinds at these paths, but what each namespace is given."""

    def one(pair: tuple[Resource, str]) -> list[Found]:
        items = send(api, "GET", pair[1]).object.get("items") or ()
        found = [Found(pair[0], each) for each in items]
        return [each for each in found if (each.resource.kind, each.name) not in KEPT]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [each for found in pool.map(one, paths) for each in found]


def inside(every: Iterable[Resource], names: Sequence[str]) -> list[tuple[Resource, str]]:
    """Where the objects of namespaces are."""
    return [(kind, kind.path(name)) for kind in every if kind.namespaced for name in names]


def empty(
    api: Api,
    names: Sequence[str],
    every: Sequence[Resource] | None = None,
    stays: Callable[[Found], bool] = lambda _: False,
) -> list[Found]:
    """Delete what lies in namespaces, but what stays; return that."""
    if not names:
        return []
    places = inside(kinds(api) if every is None else every, names)
    found = listed(api, places)
    kept = [each for each in found if stays(each)]
    kinds_seen = MADE_BY_OTHERS | {each.resource.plural for each in found}
    again = [each for each in places if each[0].plural in kinds_seen]
    gone(api, found, lambda: listed(api, again), stays)
    return kept


def gone(
    api: Api,
    found: list[Found],
    look: Callable[[], list[Found]],
    stays: Callable[[Found], bool],
) -> None:
    """Delete, and look until only what stays is there."""
    deadline = time.monotonic() + SECONDS
    while left := [each for each in found if not stays(each)]:
        if time.monotonic() > deadline:
            what = f"after {SECONDS:.0f} s still {left[0]}"
            raise InputError(what, "take its finalizers out with kubectl patch, then reset again")
        delete(api, left, found)
        time.sleep(LOOK)
        found = look()


def delete(api: Api, left: list[Found], found: list[Found]) -> None:
    """Send what deletes them: of a kind that goes as a whole, one request for all."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda request: send(api, *request[:2], **request[2]), requests(left, found)))


Request = tuple[str, str, dict[str, Any]]


def requests(left: list[Found], found: list[Found]) -> Iterator[Request]:
    """At once, for nobody waits for a program to end that is of no use any more."""
    there, going = by_place(found), by_place(left)
    for (kind, namespace), things in going.items():
        new = [each for each in things if "deletionTimestamp" not in each.thing["metadata"]]
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if kind.kind == "Pod":
            options["gracePeriodSeconds"] = 0
            new = things
        whole = len(things) == len(there[kind, namespace]) and "deletecollection" in kind.verbs
        if whole and len(new) > 1:
            yield "DELETE", kind.path(namespace), {"object": options}
        else:
            yield from (("DELETE", each.path, {"object": options}) for each in new)
        for each in things:
            finalizers = each.thing["metadata"].get("finalizers") or []
            leaving = "deletionTimestamp" in each.thing["metadata"]
            if leaving and finalizers and WAITING.issuperset(finalizers):
                change = {"metadata": {"finalizers": None}}
                yield "PATCH", each.path, {"object": change, "kind": MERGE}


def by_place(found: list[Found]) -> dict[tuple[Resource, str], list[Found]]:
    places: dict[tuple[Resource, str], list[Found]] = {}
    for each in found:
        places.setdefault((each.resource, each.namespace), []).append(each)
    return places
