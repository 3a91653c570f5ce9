"""Mutants that a patch cannot say: things that are gone, in another's place, or counted wrongly."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from autograders.cluster import Node, Pod
from autograders.cluster.pods import GPU
from autograders.cluster.workloads import owners
from autograders.load import Question
from autograders.model import Answer, Answers, Evidence, KubeObject, Phase
from autograders.mutants.carry import follow

Change = tuple[str, Evidence]
NO_ANSWER: Answer = ""
ALIKE = 2
"""Pods of one controller that are changed; the rest would only repeat it."""
OTHER_DEVICE = "GPU 0: NVIDIA GPU (UUID: GPU-00000000-0000-4000-8000-000000000000)"


def name_of(thing: KubeObject) -> str:
    return f"{thing.get('kind')}/{thing['metadata']['name']}"


def is_in(namespace: str, thing: KubeObject) -> bool:
    return bool((thing.get("metadata") or {}).get("namespace") == namespace)


def with_final(evidence: Evidence, phase: Phase) -> Evidence:
    return replace(evidence, phases=(*evidence.phases[:-1], phase))


def replaced(evidence: Evidence, old: KubeObject, *new: KubeObject) -> Evidence:
    """Put other objects in the place of one, in the last phase and in what was watched there."""
    phase, objects = evidence.phases[-1], list[KubeObject]()
    for each in phase.objects:
        objects.extend(new if each is old else (each,))
    events = follow(phase.events, old, new) if phase.events else ()
    return with_final(evidence, replace(phase, objects=tuple(objects), events=events))


def gone(evidence: Evidence, namespace: str) -> Iterator[Change]:
    """Objects that were deleted, or replaced by copies that prove nothing."""
    for each in own(evidence, namespace):
        yield f"{name_of(each)}: deleted", replaced(evidence, each)
        twin = copy.deepcopy(each)
        twin["metadata"]["name"] += "-copy"
        yield f"{name_of(each)}: only a copy is left", replaced(evidence, each, twin)
        for found in as_found(evidence, each):
            yield f"{name_of(each)}: as it was found", replaced(evidence, each, found)
    for each in evidence.phases[-1].objects:
        if name_of(each) == f"Namespace/{namespace}":
            yield f"{name_of(each)}: deleted", replaced(emptied(evidence, namespace), each)
    yield "everything: deleted", emptied(evidence, namespace)


def own(evidence: Evidence, namespace: str) -> list[KubeObject]:
    """What the learner has, but of Pods that one controller made alike only two."""
    found, seen = list[KubeObject](), Counter[str]()
    for each in evidence.phases[-1].objects:
        if is_in(namespace, each):
            owner = next(owners(each), "") if each.get("kind") == "Pod" else ""
            seen[owner] += 1
            if not owner or seen[owner] <= ALIKE:
                found.append(each)
    return found


def as_found(evidence: Evidence, thing: KubeObject) -> Iterator[KubeObject]:
    """The same name in the first phase, when it is another object by now."""
    if len(evidence.phases) == 1:
        return
    for each in evidence.phases[0].objects:
        same = (name_of(each), each["metadata"].get("namespace"))
        if same == (name_of(thing), thing["metadata"].get("namespace")) and each != thing:
            yield each


def emptied(evidence: Evidence, namespace: str) -> Evidence:
    phase = evidence.phases[-1]
    left = tuple(each for each in phase.objects if not is_in(namespace, each))
    logs = {k: v for k, v in phase.logs.items() if not k.startswith(f"{namespace}/")}
    events = tuple(each for each in phase.events if not is_in(namespace, each["object"]))
    return with_final(evidence, replace(phase, objects=left, logs=logs, events=events))


def pods(evidence: Evidence, namespace: str) -> Iterator[Change]:
    """Pods that ask for other numbers, were placed by hand, or are elsewhere."""
    nodes = [each for each in evidence.phases[-1].objects if each.get("kind") == "Node"]
    for each in own(evidence, namespace):
        if each.get("kind") != "Pod":
            continue
        for what, pod in (*counted(each), *by_hand(each), *moved(each, nodes), *given(each)):
            yield f"{name_of(each)}: {what}", replaced(evidence, each, pod)


def counted(pod: KubeObject) -> Iterator[tuple[str, KubeObject]]:
    """One GPU more or fewer than the right number."""
    for what, change in (("one GPU more", 1), ("one GPU fewer", -1)):
        twin = copy.deepcopy(pod)
        for container in twin["spec"]["containers"]:
            resources = container.get("resources") or {}
            for amounts in (resources.get("limits") or {}, resources.get("requests") or {}):
                if GPU in amounts:
                    amounts[GPU] = str(int(amounts[GPU]) + change)
        if twin != pod:
            yield what, twin


def by_hand(pod: KubeObject) -> Iterator[tuple[str, KubeObject]]:
    """The same Pod, if its manifest had named the node."""
    twin = copy.deepcopy(pod)
    entry = {
        "manager": "kubectl",
        "operation": "Update",
        "fieldsV1": {"f:spec": {"f:nodeName": {}}},
    }
    twin["metadata"].setdefault("managedFields", []).append(entry)
    yield "node named by hand", twin


def moved(pod: KubeObject, nodes: Iterable[KubeObject]) -> Iterator[tuple[str, KubeObject]]:
    """On a node without GPUs, of another model, or that is not there."""
    mine = {each["metadata"]["name"]: Node(each) for each in nodes}
    here = mine.get(pod["spec"].get("nodeName", ""))
    others = {"on no known node": "gone-1"}
    for name, node in mine.items():
        if not node.capacity():
            others.setdefault("on a node without GPUs", name)
        elif here and node.product != here.product:
            others.setdefault("on another model", name)
    for what, name in others.items():
        yield what, {**pod, "spec": {**pod["spec"], "nodeName": name}}


def given(pod: KubeObject) -> Iterator[tuple[str, KubeObject]]:
    """One device more or fewer than it was given."""
    if not Pod(pod).devices():
        return
    for what, change in (("one device more", 1), ("one device fewer", -1)):
        twin = copy.deepcopy(pod)
        for status in twin["status"]["containerStatuses"]:
            for each in status.get("allocatedResourcesStatus") or ():
                ids = each["resources"]
                each["resources"] = [*ids, {"resourceID": "GPU-0"}] if change > 0 else ids[1:]
        yield what, twin


def logs(evidence: Evidence, namespace: str) -> Iterator[Change]:
    """Logs that are not there, say less, or are those of another Pod."""
    phase = evidence.phases[-1]
    for key, text in phase.logs.items():
        others = {
            "removed": None,
            "emptied": "",
            "cut short": text[: len(text) // 2],
            "of a Pod that saw no GPU": "False\n",
            "of a Pod without nvidia-smi": "sh: 1: nvidia-smi: not found\n",
            "of another program": "Hello from busybox\n",
            "printed with more beside": f"False\n{text}",
            "of another device": f"{text}\n{OTHER_DEVICE}\n",
        }
        pod = key.split("/")[1]
        for what, other in others.items():
            changed = {k: v for k, v in phase.logs.items() if k != key}
            changed |= {} if other is None else {key: other}
            yield f"log of {pod}: {what}", with_final(evidence, replace(phase, logs=changed))


def answers(given: Answers, questions: Iterable[Question]) -> Iterator[tuple[str, Answers]]:
    """Answers that are missing, changed a little, or given to the wrong question."""
    asked = [each for each in questions if each.id in given and not each.by_hand]
    for each in asked:
        others = manifests() if each.type == "yaml" else other_values(given[each.id])
        for what, value in others:
            if value != given[each.id]:
                yield f"answer {each.id}: {what}", {**given, each.id: value}
        yield f"answer {each.id}: removed", {k: v for k, v in given.items() if k != each.id}
    plain = [each.id for each in asked if each.type != "yaml"]
    for first, second in zip(plain, plain[1:] + plain[:1], strict=True):
        if given[first] != given[second]:
            swapped = {**given, first: given[second]}
            yield f"answer {first}: that of {second}", swapped
    if asked:
        yield "answers: all removed", {}


def manifests() -> Iterator[tuple[str, Answer]]:
    """What the grader refuses without a cluster; any other manifest would have to be tried."""
    yield "emptied", NO_ANSWER
    yield "a yes", True
    yield "no mapping", "[]"
    yield "not YAML", "{"


def other_values(value: Answer) -> Iterator[tuple[str, Answer]]:
    yield "emptied", NO_ANSWER
    yield "a yes", True
    if isinstance(value, tuple):
        yield "one fewer", value[:-1]
        yield "the first alone", value[:1]
        yield "one unknown", (*value[:-1], "unknown")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "one more", value + 1
        yield "one less", value - 1
        yield "ten times", value * 10
        yield "negative", -value
        yield "written as text", str(value)
    elif isinstance(value, str):
        yield "with more behind it", f"{value} X"
        yield "cut short", value[:-1]
        yield "in capitals", value.upper()
        yield "between blanks", f"  {value} "
