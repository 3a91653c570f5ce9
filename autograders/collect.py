"""Read from the cluster what an exercise declares, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from autograders.access import group_of
from autograders.cluster import Pod
from autograders.connect import FORBIDDEN, UNREACHABLE, Api, ApiAbsent, ApiProblem, Unreachable
from autograders.errors import InputError
from autograders.garbage import no_search
from autograders.load import Collect, Exercise, LogOf
from autograders.model import KubeObject, Phase, Problem
from autograders.settle import in_flight

AT_ONCE = 8
"""Requests in the air at the same time."""
LARGEST_LOG = 1024 * 1024
"""Bytes of one container's log."""
Waiting = Callable[[str], None]
"""Told what is waited for, each time that changes."""


@dataclass(frozen=True)
class Reading:
    """What one request brought."""

    objects: tuple[KubeObject, ...] = ()
    """Of a list."""
    logs: tuple[tuple[str, str], ...] = ()
    """Of a log: its key and text."""
    problems: tuple[Problem, ...] = ()
    """When it was not answered as it should be."""
    absent: bool = False
    """The server knows no such kind."""


def collect(api: Api, exercise: Exercise, name: str = "final") -> Phase:
    """Read all lists at once, then the logs of the Pods that are there."""
    settings = exercise.settings
    with no_search(), ThreadPoolExecutor(AT_ONCE) as pool:
        list_it = partial(read_list, api, exercise.namespace)
        lists = list(pool.map(list_it, settings.collect))
        if lists and all(each.absent for each in lists):  # not even Pods
            told = f"{api.server} does not answer as a Kubernetes API server does (404)"
            raise Unreachable(told, UNREACHABLE)
        objects = tuple(each for reading in lists for each in reading.objects)
        keys = log_keys(objects, exercise.namespace, settings.logs)
        logs = list(pool.map(partial(read_log, api), keys))
    problems = tuple(each for reading in lists + logs for each in reading.problems)
    expect_some_right(problems, len(settings.collect), api.server)
    resources = [each.resource for each in settings.collect]
    return Phase(
        name,
        tuple(resources + ["pods/log"] * bool(settings.logs)),
        objects,
        (),
        dict(entry for reading in logs for entry in reading.logs),
        problems,
    )


def path_of(what: Collect, namespace: str) -> str:
    """Where the API lists this kind.

    >>> path_of(Collect("batch/v1", "jobs"), "train")
    '/apis/batch/v1/namespaces/train/jobs'
    """
    root = f"/apis/{what.api}" if group_of(what.api) else f"/api/{what.api}"
    inside = f"/namespaces/{namespace}" if what.scope == "namespace" else ""
    return f"{root}{inside}/{what.resource}"


def read_list(api: Api, namespace: str, what: Collect) -> Reading:
    try:
        found = api.json(path_of(what, namespace))
    except ApiAbsent:  # this cluster does not know the kind: no objects of it
        return Reading(absent=True)
    except ApiProblem as problem:
        return Reading(problems=(Problem(what.resource, str(problem)),))
    items = found.get("items") or []
    if not is_objects(items):
        return Reading(problems=(Problem(what.resource, "the answer is no list of objects"),))
    kind = {"apiVersion": what.api, "kind": str(found.get("kind", "")).removesuffix("List")}
    return Reading(tuple({**kind, **each} for each in items))


def is_objects(items: Any) -> bool:
    """What an API server lists; another server may say anything."""
    return isinstance(items, list) and all(
        isinstance(each, dict) and isinstance(each.get("metadata"), dict) for each in items
    )


def log_keys(
    objects: tuple[KubeObject, ...], namespace: str, wanted: tuple[LogOf, ...]
) -> Iterator[str]:
    """`namespace/pod/container` for every wanted container that has printed or may have."""
    for pod in (Pod(each) for each in objects if each.get("kind") == "Pod"):
        for one in wanted:
            if (pod.namespace, pod.name) != (namespace, one.pod):
                continue
            for each in pod.all_containers:
                if each.has_started and one.container in (None, each.name):
                    yield f"{pod.namespace}/{pod.name}/{each.name}"


def read_log(api: Api, key: str) -> Reading:
    namespace, pod, container = key.split("/")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    try:
        text = api.text(path, container=container, limitBytes=str(LARGEST_LOG))
    except ApiAbsent:  # the Pod went, or its container has not started
        return Reading()
    except ApiProblem as problem:
        return Reading(problems=(Problem("pods/log", str(problem)),))
    return Reading(logs=((key, text),))


def expect_some_right(problems: tuple[Problem, ...], asked: int, server: str) -> None:
    """An identity that may read nothing is a wrong kubeconfig, not a broken check."""
    forbidden = [each for each in problems if each.text.startswith("403")]
    if asked and len(forbidden) == asked:
        raise InputError(f"the cluster at {server} refuses: {forbidden[0].text}", FORBIDDEN)


def collect_settled(
    api: Api,
    exercise: Exercise,
    *,
    name: str = "final",
    poll: float = 0.2,
    waiting: Waiting | None = None,
) -> Phase:
    """Read until there is nothing to wait for, or `settle_seconds` have passed."""
    deadline = time.monotonic() + exercise.settings.settle_seconds
    phase = collect(api, exercise, name)
    told, retried = "", False
    while time.monotonic() < deadline:
        awaited = awaits(phase, exercise, retried)
        if not awaited:
            break
        if waiting and awaited != told:
            waiting(awaited)
        told, retried = awaited, retried or bool(phase.problems)
        time.sleep(poll)
        phase = collect_again(api, exercise, phase)
    return phase


def awaits(phase: Phase, exercise: Exercise, retried: bool) -> str:
    """What is waited for; what could not be read gets one more chance."""
    unread = () if retried else tuple(f"{each.resource} to be read" for each in phase.problems)
    return ", ".join(in_flight(phase, exercise.namespace, exercise.settings.settled) + unread)


def collect_again(api: Api, exercise: Exercise, before: Phase) -> Phase:
    """Read once more; a cluster that died meanwhile leaves a phase that decides nothing."""
    try:
        return collect(api, exercise, before.name)
    except Unreachable as error:
        gone = tuple(Problem(each, error.what) for each in before.resources)
        return replace(before, objects=(), logs={}, problems=gone)
