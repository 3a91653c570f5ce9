"""Mutants of what trials have shown: the same solution, had the cluster ended up elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

from autograders.cluster import Node, Pod
from autograders.model import Evidence, KubeObject, Phase, Probe
from autograders.mutants.generators import Change, is_in

READY = {"type": "Ready", "status": "True"}


def trials(evidence: Evidence, namespace: str) -> Iterator[Change]:
    """Changes of each phase between the first and the last that a trial has left."""
    for index, phase in enumerate(evidence.phases[1:-1], 1):
        for what, changed in changes(phase, namespace):
            phases = (*evidence.phases[:index], changed, *evidence.phases[index + 1 :])
            yield f"trial {phase.name}: {what}", replace(evidence, phases=phases)


def changes(phase: Phase, namespace: str) -> Iterator[tuple[str, Phase]]:
    yield "not run", Phase(phase.name, untried="there was nothing to try")
    others = tuple(each for each in phase.objects if not is_in(namespace, each))
    if others != phase.objects:
        yield "everything deleted", replace(phase, objects=others)
    for name, probe in phase.probes.items():
        for what, other in otherwise(probe):
            yield f"{name}: {what}", replace(phase, probes={**phase.probes, name: other})
    placed = [each for each in pods(phase, namespace) if Pod(each).is_ready]
    waiting = [each for each in pods(phase, namespace) if not Pod(each).node]
    for pod in placed[:1]:
        yield "one Pod more without a node", swap(phase, {id(pod): unplaced(pod)})
        yield "one Pod that is not ready", swap(phase, {id(pod): unready(pod)})
        for what, node in elsewhere(phase, str(Pod(pod).node)):
            yield what, swap(phase, {id(pod): on(pod, node)})
    if waiting and placed:
        node = str(Pod(placed[0]).node)
        if len(waiting) > 1:
            one = waiting[0]
            yield "one Pod fewer without a node", swap(phase, {id(one): on(one, node)})
        yield "every Pod on a node", swap(phase, {id(each): on(each, node) for each in waiting})


def otherwise(probe: Probe) -> Iterator[tuple[str, Probe]]:
    """The opposite answer; of what was changed on the cluster there is none."""
    kind, status = probe.request["object"].get("kind"), probe.answer.get("status")
    if kind == "SubjectAccessReview" and isinstance(status, dict):
        allowed = not status.get("allowed")
        other = {**probe.answer, "status": {"allowed": allowed}}
        yield "allowed" if allowed else "not allowed", replace(probe, answer=other)
    elif probe.request.get("query", {}).get("dryRun"):
        refused = {"kind": "Status", "message": "admission denied the request"}
        if probe.status < 400:
            yield "refused", replace(probe, status=403, answer=refused)
        else:
            yield "accepted", replace(probe, status=201, answer=probe.request["object"])


def pods(phase: Phase, namespace: str) -> list[KubeObject]:
    return [each for each in phase.objects if each.get("kind") == "Pod" and is_in(namespace, each)]


def swap(phase: Phase, others: dict[int, KubeObject]) -> Phase:
    return replace(phase, objects=tuple(others.get(id(each), each) for each in phase.objects))


def unplaced(pod: KubeObject) -> KubeObject:
    status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    return {**pod, "spec": spec, "status": status}


def unready(pod: KubeObject) -> KubeObject:
    twin = copy.deepcopy(pod)
    for each in twin["status"]["conditions"]:
        if each["type"] == "Ready":
            each["status"] = "False"
    return twin


def on(pod: KubeObject, node: str) -> KubeObject:
    status = {**pod["status"], "phase": "Running", "conditions": [READY]}
    return {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status}


def elsewhere(phase: Phase, name: str) -> Iterator[tuple[str, str]]:
    """A node of another model, if there is one."""
    nodes = {each.name: each for each in map(Node, phase.objects) if each.object["kind"] == "Node"}
    here = nodes.get(name)
    for node in nodes.values():
        if here and node.capacity() and node.product != here.product:
            yield "one Pod on another model", node.name
            return
