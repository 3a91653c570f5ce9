"""What became of the cluster in a phase that was watched: pure answers for checks.

>>> from autograders.model import Phase
>>> running = {"kind": "Pod", "metadata": {"uid": "1", "name": "p"}, "status": {"phase": "Running"}}
>>> failed = {**running, "status": {"phase": "Failed"}}
>>> event = {"type": "MODIFIED", "after": 2.0, "object": failed}
>>> cluster = Cluster([Phase("final", ("pods",), (running,), (event,), watched=5.0)], "", "01-t")
>>> eventually(cluster, lambda seen: seen.pods()[0].phase == "Failed")
True
>>> holds_for(cluster, lambda seen: seen.pods()[0].phase == "Running", 2), never(cluster, bool)
(True, False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from autograders.cluster import Cluster
from autograders.model import CheckFailed, KubeObject, Phase, Unreadable

Holds = Callable[[Cluster], bool]


def eventually(cluster: Cluster, holds: Holds) -> bool:
    """It is so at some moment of the phase, the list included."""
    return any(is_so(holds, seen) for _, seen in moments(cluster))


def never(cluster: Cluster, holds: Holds) -> bool:
    """It is so at no moment of the phase."""
    return not eventually(cluster, holds)


def holds_for(cluster: Cluster, holds: Holds, seconds: float) -> bool:
    """It is so without a break for that long, whenever that begins."""
    if seconds > cluster.phase.watched:
        watched = f"watched for {cluster.phase.watched:g} s"
        raise Unreadable(f"the cluster was {watched}, of {seconds:g} s that the check needs")
    since: float | None = None
    for at, seen in moments(cluster):
        if since is not None and at - since >= seconds:
            return True
        if not is_so(holds, seen):
            since = None
        elif since is None:
            since = at
    return since is not None and cluster.phase.watched - since >= seconds


def is_so(holds: Holds, seen: Cluster) -> bool:
    """What is not there, or not yet, is not so."""
    try:
        return holds(seen)
    except CheckFailed:
        return False


def moments(cluster: Cluster) -> Iterator[tuple[float, Cluster]]:
    """The cluster as listed and after each event, with seconds since the list."""
    phase = cluster.phase
    expect_watched(cluster)
    objects = {key_of(each): each for each in phase.objects}
    yield 0.0, seen_as(cluster, phase, objects)
    for event in phase.events:
        thing = event["object"]
        if event["type"] == "DELETED":
            objects.pop(key_of(thing), None)
        else:
            objects[key_of(thing)] = thing
        yield float(event["after"]), seen_as(cluster, phase, objects)


def expect_watched(cluster: Cluster) -> None:
    for problem in cluster.phase.problems:
        raise Unreadable(f"{problem.resource} ended or could not be read: {problem.text}")
    if not cluster.phase.watched:
        raise Unreadable(f"exercise.toml of {cluster.exercise} has no watch_seconds")


def key_of(thing: KubeObject) -> tuple[str, str, str, str]:
    meta = thing.get("metadata") or {}
    names = (thing.get("kind"), meta.get("namespace"), meta.get("name"), meta.get("uid"))
    kind, namespace, name, uid = (str(each or "") for each in names)
    return kind, namespace, name, uid


def seen_as(
    cluster: Cluster, phase: Phase, objects: dict[tuple[str, str, str, str], KubeObject]
) -> Cluster:
    now = replace(phase, objects=tuple(objects.values()))
    return replace(cluster, phases=(*cluster.phases[:-1], now))
