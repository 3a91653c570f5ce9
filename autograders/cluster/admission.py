"""Whether the API server lets a Pod in, and what it says when it does not.

Order and words are those of Kubernetes 1.36: admission that changes the Pod, then validation (422),
then admission that only judges (403), quota last.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autograders.cluster import limits, podsecurity, quotas
from autograders.cluster.pods import Pod
from autograders.cluster.quantities import canonical, parse
from autograders.cluster.state import name_of
from autograders.model import KubeObject

Objects = Mapping[str, Sequence[KubeObject]]
"""Kind -> all objects of it; a kind that is absent was not read and is not judged."""
NATIVE = ("cpu", "memory", "ephemeral-storage")
NO_LIMIT = "Required value: Limit must be set for non overcommitable resources"
DEFAULT_TOLERATIONS = tuple(
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
)


@dataclass(frozen=True)
class Refusal:
    """Why there is no Pod."""

    by: str
    """Who refuses: `ResourceQuota`, `LimitRanger`, `PodSecurity`, `validation` …"""
    code: int
    """The HTTP status: 403 or 422."""
    texts: tuple[str, ...]
    """In the API server's words, without its opening; of several quotas it names one."""
    do: str
    """What to do about it."""

    @property
    def text(self) -> str:
        return self.texts[0] if len(self.texts) == 1 else f"[{', '.join(self.texts)}]"


def refusal(pod: Pod, objects: Objects) -> Refusal | None:
    """Judge a Pod that is about to be created."""
    changed = admitted(pod, objects)
    return next((found for judge in JUDGES if (found := judge(changed, objects))), None)


def admitted(pod: Pod, objects: Objects) -> Pod:
    """The Pod with what the API server fills in: requests, limits, priority, tolerations."""
    changed = copy.deepcopy(pod.object)
    spec = changed.setdefault("spec", {})
    for each in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        own = each.setdefault("resources", {})
        own["requests"] = {**(own.get("limits") or {}), **(own.get("requests") or {})}
    classes = objects.get("PriorityClass", ())
    given = [each for each in classes if name_of(each) == spec.get("priorityClassName")]
    usual = [each for each in classes if each.get("globalDefault")]
    for one in (given or ([] if spec.get("priorityClassName") else usual))[:1]:
        spec["priorityClassName"], spec["priority"] = name_of(one), one["value"]
        spec["preemptionPolicy"] = one.get("preemptionPolicy", "PreemptLowerPriority")
    own_tolerations = [*(spec.get("tolerations") or ())]
    spec["tolerations"] = [*own_tolerations, *DEFAULT_TOLERATIONS]
    return limits.defaulted(Pod(changed), objects.get("LimitRange", ()))


def priority_class(pod: Pod, objects: Objects) -> Refusal | None:
    name = pod.spec.get("priorityClassName")
    if not name or "PriorityClass" not in objects or name in names(objects, "PriorityClass"):
        return None
    text = f"no PriorityClass with name {name} was found"
    return Refusal("Priority", 403, (text,), "kubectl get priorityclasses")


def runtime_class(pod: Pod, objects: Objects) -> Refusal | None:
    name = pod.spec.get("runtimeClassName")
    if not name or "RuntimeClass" not in objects or name in names(objects, "RuntimeClass"):
        return None
    text = f'pod rejected: RuntimeClass "{name}" not found'
    do = "leave runtimeClassName out, or see what there is: kubectl get runtimeclasses"
    return Refusal("RuntimeClass", 403, (text,), do)


def names(objects: Objects, kind: str) -> set[str]:
    return {name_of(each) for each in objects.get(kind, ())}


def validation(pod: Pod, objects: Objects) -> Refusal | None:
    """Resources only: what a GPU request may look like."""
    found = [
        text
        for field in ("containers", "initContainers")
        for index, each in enumerate(pod.spec.get(field) or ())
        for text in resource_errors(f"spec.{field}[{index}].resources", each["resources"])
    ]
    do = "GPUs stand in limits, as a whole number; a request, if any, is equal to the limit"
    return Refusal("validation", 422, tuple(dict.fromkeys(found)), do) if found else None


def resource_errors(path: str, found: KubeObject) -> Iterator[str]:
    """One message for each thing wrong with a container's resources."""
    limits_, requests = found.get("limits") or {}, found.get("requests") or {}
    for field, amounts in (("limits", limits_), ("requests", requests)):
        for name, amount in amounts.items():
            yield from value_errors(f"{path}.{field}[{name}]", name, str(amount))
    for name, amount in requests.items():
        limit, written = limits_.get(name), canonical(parse(amount), str(amount))
        start = f'{path}.requests: Invalid value: "{written}": must be'
        if limit is None:
            if name not in NATIVE:
                yield f"{path}.limits: {NO_LIMIT}"
        elif name not in NATIVE and parse(amount) != parse(limit):
            yield f"{start} equal to {name} limit of {canonical(parse(limit), str(limit))}"
        elif parse(amount) > parse(limit):
            shown = canonical(parse(limit), str(limit))
            yield f"{start} less than or equal to {name} limit of {shown}"


def value_errors(path: str, name: str, amount: str) -> Iterator[str]:
    if "/" not in name and name not in NATIVE and not name.startswith("hugepages-"):
        for rule in ("resource type or fully qualified", "resource for containers"):
            yield f'{path}: Invalid value: "{name}": must be a standard {rule}'
    if "/" in name and parse(amount).denominator != 1:
        written = canonical(parse(amount), amount)
        yield f'{path}: Invalid value: "{written}": must be an integer'


def limit_ranger(pod: Pod, objects: Objects) -> Refusal | None:
    texts = limits.refusals(pod, objects.get("LimitRange", ()))
    do = f"kubectl describe limitrange -n {pod.namespace}"
    return Refusal("LimitRanger", 403, texts, do) if texts else None


def pod_security(pod: Pod, objects: Objects) -> Refusal | None:
    spaces = [each for each in objects.get("Namespace", ()) if name_of(each) == pod.namespace]
    text = podsecurity.refusal(pod, spaces[0]) if spaces else None
    do = f"keep to the level, or ask who set it: kubectl get ns {pod.namespace} --show-labels"
    return Refusal("PodSecurity", 403, (text,), do) if text else None


def quota(pod: Pod, objects: Objects) -> Refusal | None:
    texts = quotas.refusals(pod, objects.get("ResourceQuota", ()))[:1]
    do = f"wait until others end, or ask for less: kubectl describe quota -n {pod.namespace}"
    return Refusal("ResourceQuota", 403, texts, do) if texts else None


JUDGES = (priority_class, runtime_class, validation, limit_ranger, pod_security, quota)
