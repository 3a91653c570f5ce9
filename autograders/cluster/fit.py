"""Why a Pod fits or does not fit on each node: computed from objects, never from events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from autograders.cluster import affinity, amounts, dra, filters
from autograders.cluster.chain import Chain, trace
from autograders.cluster.gpus import Allocation, allocations
from autograders.cluster.nodes import Node
from autograders.cluster.pods import GPU, Pod
from autograders.cluster.preemption import Preemption, preempt
from autograders.cluster.state import Reason, State, see
from autograders.model import KubeObject

SCHEDULER = "default-scheduler"
GATED = "Scheduling is blocked due to non-empty scheduling gates"
NO_NODES = "no nodes available to schedule pods"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


@dataclass(frozen=True)
class NodeFit:
    """One node and the Pod."""

    node: str
    """The node's name."""
    reasons: tuple[Reason, ...]
    """Why it does not take the Pod; empty: it does."""
    gpus: Allocation
    """Who holds the GPUs, of the kind that the Pod asks for."""
    chain: Chain | None = None
    """Where the GPU Operator's work stopped, if it did."""


@dataclass(frozen=True)
class Explanation:
    """Why a Pod is where it is, or nowhere."""

    pod: Pod
    """The Pod."""
    nodes: tuple[NodeFit, ...]
    """Every node, in the order given."""
    preemption: Preemption
    """What priority could do."""
    blocked: str = ""
    """What keeps the scheduler from looking at any node."""
    uncomputed: tuple[str, ...] = ()
    """What may matter as well and is not computed here."""

    @property
    def fits(self) -> tuple[str, ...]:
        """Nodes that would take it; none while it is blocked."""
        return () if self.blocked else tuple(each.node for each in self.nodes if not each.reasons)

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> on how many nodes."""
        return filters.histogram(tuple(each.reasons for each in self.nodes))

    @property
    def predicates(self) -> dict[str, int]:
        """The scheduler's plugin -> on how many nodes it is the one that fails."""
        found: dict[str, int] = {}
        for each in self.nodes:
            for name in {reason.predicate for reason in each.reasons}:
                found[name] = found.get(name, 0) + 1
        return found

    def message(self) -> str:
        """What the scheduler would write, without its part on preemption; empty if it fits."""
        if self.blocked or self.fits:
            return self.blocked
        return filters.sentence(tuple(each.reasons for each in self.nodes))

    def full_message(self) -> str:
        """With the part on preemption, as in the Pod's condition PodScheduled."""
        return " ".join(part for part in (self.message(), self.preemption.message) if part)


def why(
    pod: Pod,
    nodes: Sequence[Node],
    pods: Iterable[Pod],
    *,
    namespaces: Iterable[KubeObject] = (),
    budgets: Iterable[KubeObject] = (),
    policy: KubeObject | None = None,
    claims: Iterable[KubeObject] = (),
    claimed: Iterable[Allocation] = (),
) -> Explanation:
    """Explain one Pod; it may stand among `pods`, where it is passed over.

    `budgets` are PodDisruptionBudgets, `policy` the GPU Operator's ClusterPolicy, `claims`
    PersistentVolumeClaims, `claimed` the GPUs of nodes that hand them out by ResourceClaims.
    """
    pods = tuple(pods)
    state = see(pod, nodes, pods, namespaces)
    reasons = filters.judge(pod, state)
    blocked = blocks(pod, state)
    looks = not blocked and all(reasons)
    return Explanation(
        pod,
        tuple(fits(pod, state, reasons, pods, policy)),
        preemption(pod, state, reasons, budgets, blocked) if looks or blocked else Preemption(""),
        blocked,
        tuple(uncomputed(pod, claims, claimed)),
    )


def preemption(
    pod: Pod,
    state: State,
    reasons: tuple[filters.Reasons, ...],
    budgets: Iterable[KubeObject],
    blocked: str,
) -> Preemption:
    """A Pod that no node was tried for has nobody to preempt either."""
    if not blocked:
        return preempt(pod, state, reasons, budgets)
    if affinity.CONFLICT not in blocked:
        return Preemption("")
    hopeless = Reason("", NOT_HELPFUL, "", True)
    return preempt(pod, state, tuple((hopeless,) for _ in reasons), budgets)


def fits(
    pod: Pod,
    state: State,
    reasons: tuple[filters.Reasons, ...],
    pods: Sequence[Pod],
    policy: KubeObject | None,
) -> Iterator[NodeFit]:
    resource = device(pod)
    nodes = [place.node for place in state.places]
    for node, found, gpus in zip(nodes, reasons, allocations(nodes, pods, resource), strict=True):
        short = any(each.text == f"Insufficient {resource}" for each in found)
        chain = trace(node, pods, policy) if short else None
        yield NodeFit(node.name, found, gpus, chain if chain and chain.broken else None)


def device(pod: Pod) -> str:
    """The device that the Pod asks for, such as nvidia.com/gpu or nvidia.com/mig-1g.10gb."""
    asked = [name for name in amounts.requests(pod) if name.startswith("nvidia.com/")]
    return GPU if GPU in asked or not asked else sorted(asked)[0]


def blocks(pod: Pod, state: State) -> str:
    if pod.spec.get("schedulingGates"):
        return GATED
    if not state.places:
        return NO_NODES
    names = affinity.field_names(pod)
    if names is not None and not names:
        return f"0/{len(state.places)} nodes are available: {affinity.CONFLICT}."
    return ""


def uncomputed(
    pod: Pod, claims: Iterable[KubeObject], claimed: Iterable[Allocation] = ()
) -> Iterator[str]:
    scheduler = pod.spec.get("schedulerName") or SCHEDULER
    if scheduler != SCHEDULER:
        yield f"the scheduler {scheduler!r}, which this Pod asks for, decides by rules of its own"
    claimed = tuple(claimed)
    if pod.spec.get("resourceClaims") or (claimed and pod.asks()):
        yield f"resource claims (DRA): {dra.summary(claimed)}"
    unbound = set(wanted_claims(pod)) - set(bound_claims(pod, claims))
    if unbound:
        yield f"volumes: not bound yet: {', '.join(sorted(unbound))}"


def wanted_claims(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod.name}-{volume['name']}"


def bound_claims(pod: Pod, claims: Iterable[KubeObject]) -> Iterator[str]:
    for claim in claims:
        meta = claim.get("metadata") or {}
        bound = (claim.get("status") or {}).get("phase") == "Bound"
        if bound and meta.get("namespace") == pod.namespace:
            yield meta["name"]
