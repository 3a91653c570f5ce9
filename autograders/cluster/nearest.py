"""The smallest change after which a Pod fits: every proposal is tried before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from autograders.cluster import filters
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.preemption import Candidate, preempt
from autograders.cluster.proposals import OF_THE_POD, Proposal
from autograders.cluster.repairs import OF_THE_CLUSTER
from autograders.cluster.state import State, see
from autograders.model import KubeObject

TRIES = 4000
"""Nodes asked, in all, about pairs of changes when no single one is enough."""


@dataclass(frozen=True)
class Change:
    """Something after which the Pod fits."""

    steps: tuple[str, ...]
    """What to change, in a learner's words."""
    nodes: tuple[str, ...]
    """Where it fits then."""
    size: int
    """How much it changes, to rank by."""
    kinds: tuple[str, ...]
    """What is changed: `tolerate`, `select`, `wait` …"""

    @property
    def text(self) -> str:
        return f"{' and '.join(self.steps)}: it then fits on {listed(self.nodes)}"


def nearest(
    pod: Pod,
    nodes: Sequence[Node],
    pods: Iterable[Pod],
    *,
    namespaces: Iterable[KubeObject] = (),
    budgets: Iterable[KubeObject] = (),
    most: int = 5,
) -> tuple[Change, ...]:
    """The smallest changes first; pairs of them only when no single one is enough."""
    state = see(pod, nodes, pods, namespaces)
    if not all(filters.judge(pod, state)):
        return ()
    budgets = tuple(budgets)
    proposals, local = tuple(propose(pod, state)), filters.is_local(pod, state)
    found = [change for one in proposals for change in attempt((one,), budgets, local)]
    if not found:
        couples = islice(pairs(proposals), max(20, min(400, TRIES // len(state.places))))
        found = [change for each in couples for change in attempt(each, budgets, local=False)]
    return tuple(various(sorted(found, key=lambda one: one.size)))[:most]


def propose(pod: Pod, state: State) -> Iterator[Proposal]:
    for make in (*OF_THE_POD, *OF_THE_CLUSTER):
        yield from make(pod, state)


def attempt(
    steps: tuple[Proposal, ...], budgets: tuple[KubeObject, ...], local: bool
) -> Iterator[Change]:
    last = steps[-1]
    texts, size = tuple(one.text for one in steps), sum(one.size for one in steps)
    kinds = tuple(one.kind for one in steps)
    free = room(last, local)
    if free:
        yield Change(texts, free, size, kinds)
    elif last.preempts and (best := victims_of(last, budgets)):
        victims = listed(tuple(f"{one.namespace}/{one.name}" for one in best[0].victims))
        step = f"{texts[-1]}, which deletes {victims}"
        lost = 10 * len(best[0].victims)
        yield Change((*texts[:-1], step), (best[0].node,), size + lost, kinds)


def room(one: Proposal, local: bool) -> tuple[str, ...]:
    """Nodes that take the Pod after the change; only a changed node is asked if that is enough."""
    asked = [place for place in one.state.places if not local or one.where in ("", place.node.name)]
    prepared = filters.prepare(one.pod, one.state)
    return tuple(
        place.node.name
        for place in asked
        if not filters.judge_place(one.pod, place, one.state, prepared)
    )


def victims_of(one: Proposal, budgets: tuple[KubeObject, ...]) -> tuple[Candidate, ...]:
    return preempt(one.pod, one.state, filters.judge(one.pod, one.state), budgets).candidates


def pairs(proposals: tuple[Proposal, ...]) -> Iterator[tuple[Proposal, ...]]:
    """Each proposal, smallest first, with each that it makes possible."""
    return (
        (first, second)
        for first in sorted(proposals, key=lambda one: one.size)
        for second in propose(first.pod, first.state)
        if second.kind != first.kind
    )


def various(changes: Iterable[Change], most: int = 2) -> Iterator[Change]:
    """Only the best of each kind, and none that names the same steps in another order."""
    seen: set[frozenset[str]] = set()
    told = Counter[frozenset[str]]()
    for one in changes:
        steps, kinds = frozenset(one.steps), frozenset(one.kinds)
        if steps not in seen and told[kinds] < most:
            seen.add(steps)
            told[kinds] += 1
            yield one


def listed(names: tuple[str, ...], most: int = 3) -> str:
    """Name a few and count the rest."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
