"""Whose place a Pod would take by priority (plugin DefaultPreemption)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from autograders.cluster import selectors
from autograders.cluster.filters import Reasons, is_local, judge_place, prepare, sentence
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State, labels_of, priority
from autograders.model import KubeObject

NO_CLAIMS = "no new claims to deallocate"  # of DynamicResources, which is asked first
NEVER = "not eligible due to preemptionPolicy=Never."
ENDING = "not eligible due to a terminating pod on the nominated node."
NOT_HELPFUL = Reason("", "Preemption is not helpful for scheduling", "", True)
NO_VICTIMS = Reason("", "No preemption victims found for incoming pod", "", True)


@dataclass(frozen=True)
class Candidate:
    """A node where the Pod would fit without some of lower priority."""

    node: str
    """The node's name."""
    victims: tuple[Pod, ...]
    """Pods that would be deleted, most important first."""
    violations: int
    """How many of them a PodDisruptionBudget protects, in vain."""


@dataclass(frozen=True)
class Preemption:
    """What came of looking for Pods of lower priority."""

    message: str
    """The second half of the scheduler's message; empty when Pods would be preempted."""
    candidates: tuple[Candidate, ...] = ()
    """Best first; ties are the scheduler's to break."""


def preempt(
    pod: Pod, state: State, reasons: tuple[Reasons, ...], budgets: Iterable[KubeObject] = ()
) -> Preemption:
    """Try every node whose reasons do not stand for good."""
    refusal = ineligible(pod, state, reasons)
    if refusal:
        return Preemption(f"{NO_CLAIMS}, preemption: {refusal}")
    budgets, found = tuple(budgets), list[Candidate]()
    left: list[Reasons] = []
    prepared = prepare(pod, state) if is_local(pod, state) else None
    for place, why_not in zip(state.places, reasons, strict=True):
        outcome: Candidate | Reasons = (NOT_HELPFUL,)
        if not is_final(why_not):
            outcome = try_place(pod, place, state, budgets, prepared)
        if isinstance(outcome, Candidate):
            found.append(outcome)
        else:
            left.append(outcome)
    if found:
        return Preemption("", tuple(sorted(found, key=badness)))
    return Preemption(f"{NO_CLAIMS}, preemption: {sentence(tuple(left))}")


def is_final(reasons: Reasons) -> bool:
    return any(each.final for each in reasons)


def ineligible(pod: Pod, state: State, reasons: tuple[Reasons, ...]) -> str:
    """Why the Pod may not preempt at all; empty when it may."""
    if pod.spec.get("preemptionPolicy") == "Never":
        return NEVER
    nominated = pod.status.get("nominatedNodeName")
    for place, why_not in zip(state.places, reasons, strict=True):
        if place.node.name == nominated and not is_final(why_not):
            lower = (each for each in place.pods if priority(each) < priority(pod))
            return ENDING if any(map(is_being_preempted, lower)) else ""
    return ""


def is_being_preempted(pod: Pod) -> bool:
    target = pod.condition("DisruptionTarget")
    return bool(
        pod.meta.get("deletionTimestamp")
        and target.get("status") == "True"
        and target.get("reason") == "PreemptionByScheduler"
    )


def try_place(
    pod: Pod,
    place: Place,
    state: State,
    budgets: tuple[KubeObject, ...],
    prepared: tuple[Filter, ...] | None,
) -> Candidate | Reasons:
    """Take all of lower priority away, then give back, most important first, whom it can."""
    lower = sorted((one for one in place.pods if priority(one) < priority(pod)), key=importance)
    if not lower:
        return (NO_VICTIMS,)
    kept = tuple(one for one in place.pods if one not in lower)
    reasons = judge_place(pod, replace(place, pods=kept), state, prepared)
    if reasons:
        return reasons
    guarded = protected(lower, budgets)
    victims: list[Pod] = []
    for one in guarded + [one for one in lower if one not in guarded]:
        if judge_place(pod, replace(place, pods=(*kept, one)), state, prepared):
            victims.append(one)
        else:
            kept = (*kept, one)
    violations = sum(one in guarded for one in victims)
    return Candidate(place.node.name, tuple(sorted(victims, key=importance)), violations)


def importance(pod: Pod) -> tuple[int, str]:
    """Sorts the most important first: by priority, then by how long it has run."""
    return -priority(pod), str(pod.status.get("startTime") or "~")


def badness(one: Candidate) -> tuple[int, int, int, int]:
    """Sorts the best first; the scheduler breaks ties by the latest start."""
    priorities = [priority(each) for each in one.victims]
    lifted = sum(each + 2**31 for each in priorities)
    return one.violations, max(priorities, default=0), lifted, len(priorities)


def protected(pods: list[Pod], budgets: tuple[KubeObject, ...]) -> list[Pod]:
    """Those that a PodDisruptionBudget has no disruption left for."""
    left = [int((each.get("status") or {}).get("disruptionsAllowed", 0)) for each in budgets]
    found = []
    for pod in pods:
        mine = [index for index, each in enumerate(budgets) if covers(each, pod)]
        for index in mine:
            left[index] -= 1
        if any(left[index] < 0 for index in mine):
            found.append(pod)
    return found


def covers(budget: KubeObject, pod: Pod) -> bool:
    selector, status = (budget.get(key) or {} for key in ("spec", "status"))
    selector = selector.get("selector")
    return (
        (budget.get("metadata") or {}).get("namespace") == pod.namespace
        and bool(labels_of(pod.object))
        and not selectors.is_empty(selector)
        and selectors.matches(selector, labels_of(pod.object))
        and pod.name not in (status.get("disruptedPods") or {})
    )
