"""The cluster as a check sees it: one phase of an Evidence, never the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from autograders.cluster.gpus import Allocation, allocations
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.workloads import end_of, pods_of
from autograders.model import Answers, CheckFailed, KubeObject, Phase, Probe, Unreadable

DECIDED, REFUSED, BROKEN = 200, 400, 500
"""HTTP statuses: from where on an answer is a decision, a refusal, a fault of the server."""
UNDECIDED = frozenset({401, 404, 408, 409, 429})
"""Refusals that say nothing about the object itself."""


@dataclass(frozen=True)
class Cluster:
    """What was collected, by name; what is missing is said in a learner's words."""

    phases: Sequence[Phase]
    """All phases, oldest first; this view shows the last one."""
    namespace: str
    """The exercise's namespace, where names are looked up."""
    exercise: str
    """The exercise's folder name, for the remedy when nothing was started."""
    variant: Mapping[str, str | int] = field(default_factory=dict)
    """What was drawn for this learner, by name."""
    answers: Answers = field(default_factory=dict)
    """What the learner answered, for facts that depend on it."""

    @property
    def phase(self) -> Phase:
        return self.phases[-1]

    def at(self, phase: str) -> Cluster:
        """Look at an earlier phase: `cluster.at("as-found")`."""
        until = [index for index, each in enumerate(self.phases) if each.name == phase]
        if not until:
            raise Unreadable(f"the evidence has no phase {phase!r}")
        if reason := self.phases[until[-1]].untried:
            raise CheckFailed(f"this could not be tried: {reason}", "mend that, then check again")
        if phase not in self._earlier:
            self._earlier[phase] = replace(self, phases=self.phases[: until[-1] + 1])
        return self._earlier[phase]

    @cached_property
    def _earlier(self) -> dict[str, Cluster]:
        """Views that were asked for, which checks ask for again and again."""
        return {}

    @cached_property
    def _by_kind(self) -> dict[str, list[KubeObject]]:
        kinds: dict[str, list[KubeObject]] = {}
        for each in self.phase.objects:
            kinds.setdefault(str(each.get("kind")), []).append(each)
        return kinds

    def objects(self, kind: str, resource: str) -> list[KubeObject]:
        """All objects of a kind: `cluster.objects("Job", "jobs")`."""
        self._expect_readable(resource)
        return self._by_kind.get(kind, [])

    def _expect_readable(self, resource: str) -> None:
        for problem in self.phase.problems:
            if problem.resource == resource:
                raise Unreadable(f"{resource} could not be read: {problem.text}")
        if resource not in self.phase.resources:
            raise Unreadable(f"exercise.toml of {self.exercise} does not collect {resource}")

    def pods(self) -> tuple[Pod, ...]:
        self._expect_readable("pods")
        return self._pods

    def nodes(self) -> tuple[Node, ...]:
        self._expect_readable("nodes")
        return self._nodes

    @cached_property
    def _pods(self) -> tuple[Pod, ...]:
        return tuple(Pod(each) for each in self._by_kind.get("Pod", ()))

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        return tuple(Node(each) for each in self._by_kind.get("Node", ()))

    def gpus(self) -> tuple[Allocation, ...]:
        """Who holds how many GPUs on which node, among the Pods that were collected."""
        return allocations(self.nodes(), self.pods())

    def job_pods(self) -> tuple[Pod, ...]:
        """Pods that Jobs of the exercise's namespace keep running; what has ended is left out."""
        space = self.namespace
        jobs = [
            each
            for each in self.objects("Job", "jobs")
            if each["metadata"].get("namespace") == space
            if not each["spec"].get("suspend") and not end_of(each)
        ]
        pods = [each for each in self.pods() if each.namespace == space and not each.is_finished]
        found = tuple(pod for job in jobs for pod in pods_of(job, pods, ()))
        if not found:
            self.expect_started()
        return found

    def find_pod(self, name: str) -> Pod | None:
        """A Pod of the exercise's namespace, or None."""
        for pod in self.pods():
            if (pod.namespace, pod.name) == (self.namespace, name):
                return pod
        return None

    def pod(self, name: str) -> Pod:
        """A Pod that the learner should have made."""
        found = self.find_pod(name)
        if found is None:
            self.expect_started()
            raise CheckFailed(
                f"there is no Pod {name} in namespace {self.namespace}",
                f"apply your manifest, then look: kubectl get pods --namespace {self.namespace}",
            )
        return found

    def expect_started(self) -> None:
        """The exercise's namespace is there, if namespaces were collected."""
        if "namespaces" not in self.phase.resources:
            return
        names = {each["metadata"]["name"] for each in self.objects("Namespace", "namespaces")}
        if self.namespace not in names:
            short = self.exercise.split("-")[0]
            raise CheckFailed(
                f"there is no namespace {self.namespace}", f"run: gpulab start {short}"
            )

    def node(self, name: str | None) -> Node:
        """The node that a Pod was bound to."""
        for node in self.nodes():
            if node.name == name:
                return node
        raise CheckFailed(
            f"there is no node {name}" if name else "the Pod is on no node",
            "see why: kubectl describe pod, and kubectl get nodes",
        )

    def log(self, pod: Pod, container: str | None = None) -> str:
        """What a container printed; without a name, what all containers of the Pod printed."""
        self._expect_readable("pods/log")
        prefix = f"{pod.namespace}/{pod.name}/"
        wanted = [container] if container else [each.name for each in pod.all_containers]
        return "\n".join(
            self.phase.logs[prefix + each] for each in wanted if prefix + each in self.phase.logs
        )

    def tried(self, name: str) -> Probe:
        """What became of something that gpulab tried for the checks: request and answer."""
        found = self.phase.probes.get(name)
        if found is None:
            raise Unreadable(f"nobody has tried {name!r} on the cluster")
        return found

    def may(self, name: str) -> bool:
        """Whether the API server allows what a `may` step asked for."""
        status = self._answer(name).answer.get("status") or {}
        return bool(status.get("allowed"))

    def refusal(self, name: str) -> str:
        """Why the API server would not create the object of a `dry-run` step; empty if it would."""
        found = self._answer(name)
        return "" if found.status < REFUSED else str(found.answer.get("message"))

    def _answer(self, name: str) -> Probe:
        """What was tried, if the API server has decided about it."""
        found = self.tried(name)
        if not DECIDED <= found.status < BROKEN or found.status in UNDECIDED:
            raise Unreadable(f"{name!r} was not decided: {found.answer.get('message')}")
        return found
