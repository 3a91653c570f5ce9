"""`gpulab why`: what the scheduler, the API server and the GPU Operator make of a Pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autograders.cluster import Node, Pod
from autograders.cluster.admission import Refusal, admitted, refusal
from autograders.cluster.answer import placed, unplaced
from autograders.cluster.clues import Clue, clues
from autograders.cluster.dra import claimed
from autograders.cluster.fit import Explanation, NodeFit, why
from autograders.cluster.nearest import Change, nearest
from autograders.cluster.state import name_of
from autograders.cluster.workloads import end_of, pod_from, pods_of, wanted
from autograders.errors import InputError
from autograders.model import KubeObject
from gpulab.cli.lab import out
from gpulab.cli.why_read import KINDS, Read, evidence, read


@dataclass(frozen=True)
class Answer:
    """All that can be said about one Pod or workload."""

    sentence: str
    explained: Explanation | None = None
    changes: tuple[Change, ...] = ()
    refused: Refusal | None = None
    pod: Pod | None = None
    """One that has its node: what is wrong with it is for clues to say."""


def show(text: str, namespace: str, name: str, kubeconfig: Path | None, *, json: bool) -> None:
    """Answer in a sentence, then node by node, then with what would help."""
    kind, wanted_name = parse(text)
    where = kubeconfig_of(name, kubeconfig)
    found = read(where, namespace)
    given = answer(found, kind, wanted_name)
    seen = tuple(clues(given.pod, evidence(where, found, given.pod))) if given.pod else ()
    if json:
        import msgspec

        body = as_dict(given, seen)
        print(msgspec.json.format(msgspec.json.encode(body)).decode())  # noqa: T201
        return
    out.print(Text(plain(given.sentence), style="bold"))
    for part in parts(given):
        out.print(part)
    for clue in seen:
        out.print(Text(plain(clue.seen)))
        if clue.do:
            out.print(Text(plain(f"next: {clue.do}")))


def parse(text: str) -> tuple[str, str]:
    """Split `job/train`; a plain name is a Pod's."""
    prefix, slash, name = text.rpartition("/")
    kind = KINDS.get(prefix.lower().removesuffix("s")) if slash else "Pod"
    if kind is None or not name:
        do = "name a Pod, or: deployment/NAME, job/NAME, statefulset/NAME, daemonset/NAME"
        raise InputError(f"{text!r} names nothing that becomes a Pod", do)
    return kind, name


def kubeconfig_of(name: str, kubeconfig: Path | None) -> Path:
    from gpulab import lab

    if kubeconfig is not None:
        return kubeconfig
    paths, _ = lab.existing(name)
    return paths.grader_kubeconfig


def answer(found: Read, kind: str, name: str) -> Answer:
    owner = found.find(kind, name)
    if owner is None:
        others = ", ".join(sorted(name_of(each) for each in found.of(kind))[:5]) or "none"
        what = f"there is no {kind} {name} in namespace {found.namespace} (there: {others})"
        raise InputError(what, "look with: kubectl get pods,jobs,deployments --all-namespaces")
    return of_pod(found, Pod(owner)) if kind == "Pod" else of_owner(found, owner)


def of_pod(found: Read, pod: Pod) -> Answer:
    if pod.node or pod.is_finished:
        return Answer(placed(pod), pod=pod)
    explained, changes = explain(found, pod)
    return Answer(unplaced(explained, changes), explained, changes)


def explain(found: Read, pod: Pod) -> tuple[Explanation, tuple[Change, ...]]:
    nodes, pods = [Node(each) for each in found.of("Node")], found.pods
    same: dict[str, Any] = {
        "namespaces": found.of("Namespace"),
        "budgets": found.of("PodDisruptionBudget"),
    }
    policy = next(iter(found.of("ClusterPolicy")), None)
    claims = found.of("PersistentVolumeClaim")
    by_claims = claimed(found.of("ResourceSlice"), found.of("ResourceClaim")).values()
    explained = why(pod, nodes, pods, policy=policy, claims=claims, claimed=by_claims, **same)
    blocked = explained.blocked or explained.preemption.candidates
    return explained, () if blocked else nearest(pod, nodes, pods, **same)


def of_owner(found: Read, owner: KubeObject) -> Answer:
    """A workload is where its Pods are; with too few of them, admission is asked."""
    title, mine = f"{owner['kind']} {name_of(owner)}", pods_of(owner, found.pods, found.between())
    alive = [each for each in mine if not each.is_finished]
    waiting = [each for each in alive if not each.node]
    if waiting:
        return of_pod(found, waiting[0])
    if end_of(owner) and owner["kind"] == "Job":
        return Answer(f"{title} has ended: {end_of(owner)}")
    if len(alive) >= wanted(owner):
        ill = next((each for each in alive if not each.is_ready), None)
        if ill:
            return of_pod(found, ill)
        return Answer(f"{title} has the {wanted(owner)} Pods that it wants now")
    return missing(found, owner, title, len(alive))


def missing(found: Read, owner: KubeObject, title: str, alive: int) -> Answer:
    """With fewer Pods than wanted, say who refuses them."""
    template = pod_from(owner)
    refused = refusal(template, found.objects)
    count = f"{title} has {alive} of {wanted(owner)} Pods"
    if refused:
        return Answer(f"{count}: {refused.by} refuses them: {refused.text}", refused=refused)
    explained, changes = explain(found, admitted(template, found.objects))
    later = "nothing refuses a new one now, so its controller makes it at its next try"
    return Answer(f"{count}; {later}", explained, changes)


def parts(given: Answer) -> Iterator[RenderableType]:
    if given.refused:
        yield Text(plain(f"next: {given.refused.do}"))
    if given.explained is None:
        return
    yield table(given.explained)
    if message := given.explained.full_message():
        yield Text(plain(f"The scheduler's words: {message}"), style="dim")
    for number, each in enumerate(given.changes, start=1):
        yield Text(plain(f"{number}. {each.text}"))
    for line in given.explained.uncomputed:
        yield Text(plain(f"not computed: {line}"))


def table(explained: Explanation) -> Table:
    found = Table("node", "why not", "GPUs", box=None, pad_edge=False, expand=False)
    for one in explained.nodes:
        lines = [f"{each.text}: {each.detail}" for each in one.reasons] or ["it fits"]
        if one.chain and (link := one.chain.broken):
            lines += [f"GPU Operator: {link.seen}", f"next: {link.do}"]
        why_not = Group(*(Text(plain(line), overflow="fold") for line in lines))
        found.add_row(Text(one.node), why_not, Text(plain(gpus(one))))
    return found


def gpus(one: NodeFit) -> str:
    found = one.gpus
    if not (found.allocatable or found.held):
        return "none"
    held = ", ".join(f"{each.gpus} {each.namespace}/{each.pod}" for each in found.holdings)
    return f"{found.free} of {found.allocatable} free{f': {held}' if held else ''}"


def plain(line: str) -> str:
    """Without control characters: what was read must not drive the terminal."""
    return "".join(each if each.isprintable() else " " for each in line)


def as_dict(given: Answer, seen: tuple[Clue, ...]) -> dict[str, Any]:
    """Only what JSON knows."""
    body: dict[str, Any] = {
        "answer": given.sentence,
        "refusal": given.refused,
        "changes": given.changes,
        "clues": seen,
    }
    if (explained := given.explained) is None:
        return body
    return body | {
        "message": explained.message(),
        "preemption": explained.preemption.message,
        "counts": explained.counts,
        "predicates": explained.predicates,
        "not_computed": explained.uncomputed,
        "nodes": explained.nodes,
    }
