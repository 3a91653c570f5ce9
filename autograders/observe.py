"""Watch what an exercise declares: for a while, into the Evidence, or until something changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from autograders.collect import is_objects, path_of
from autograders.connect import Api, ApiAbsent, ApiProblem, Unreachable
from autograders.load import Collect, Exercise
from autograders.model import KubeObject, Phase, Problem

UNSEEN = "watch of "
"""Begins the resource of a Problem with a watch; what was listed stays readable."""
ONE_WATCH = 60.0
"""Seconds of one request, when there is no end to wait for."""
RETRY = 1.0
"""Seconds before a failed watch is begun again."""


@dataclass(frozen=True)
class Watched:
    """What became of one kind."""

    kind: str
    """As in the list."""
    objects: tuple[KubeObject, ...]
    """The list that the watch began with."""
    events: tuple[KubeObject, ...]
    """After it."""
    problems: tuple[Problem, ...] = ()
    """Why some events may be missing."""


def observe(api: Api, exercise: Exercise, phase: Phase) -> Phase:
    """List again what is to be watched, and record what happens to it, for `watch_seconds`."""
    wanted = [each for each in exercise.settings.collect if each.watch]
    seconds = float(exercise.settings.watch_seconds)
    if not wanted:
        return phase
    with ThreadPoolExecutor(len(wanted)) as pool:
        watch = partial(watch_kind, api, exercise.namespace, time.monotonic(), seconds)
        found = list(pool.map(watch, wanted))
    kinds = {each.kind for each in found if each.kind}
    kept = tuple(each for each in phase.objects if each.get("kind") not in kinds)
    return replace(
        phase,
        objects=kept + tuple(item for each in found for item in each.objects),
        events=tuple(sorted((e for each in found for e in each.events), key=lambda e: e["after"])),
        problems=phase.problems + tuple(problem for each in found for problem in each.problems),
        watched=seconds,
    )


def watch_kind(api: Api, namespace: str, began: float, seconds: float, what: Collect) -> Watched:
    """One list and the events after it; a trouble is recorded, for events may be missing then."""
    kind = ""
    objects: tuple[KubeObject, ...] = ()
    events: list[KubeObject] = []
    try:
        kind, version, objects = list_kind(api, namespace, what)
        while (left := began + seconds - time.monotonic()) > 0:
            for event in api.watch(path_of(what, namespace), left, resourceVersion=version):
                version = version_of(event["object"]) or version
                if time.monotonic() > began + seconds:
                    break
                events.append(named(event, what, kind, round(time.monotonic() - began, 3)))
    except ApiAbsent:
        pass  # this cluster does not know the kind: nothing happens to it
    except (ApiProblem, Unreachable) as problem:
        trouble = Problem(UNSEEN + what.resource, str(problem))
        return Watched(kind, objects, tuple(events), (trouble,))
    return Watched(kind, objects, tuple(events))


def list_kind(api: Api, namespace: str, what: Collect) -> tuple[str, str, tuple[KubeObject, ...]]:
    """Kind, version to watch from, and objects."""
    found = api.json(path_of(what, namespace))
    items = found.get("items") or []
    if not is_objects(items):
        raise ApiProblem("the answer is no list of objects")
    kind = str(found.get("kind", "")).removesuffix("List")
    head = {"apiVersion": what.api, "kind": kind}
    objects = tuple({**head, **each} for each in items)
    return kind, version_of(found), objects


def version_of(thing: KubeObject) -> str:
    return str((thing.get("metadata") or {}).get("resourceVersion") or "")


def named(event: dict[str, Any], what: Collect, kind: str, after: float) -> KubeObject:
    head = {"apiVersion": what.api, "kind": kind}
    return {"type": event["type"], "after": after, "object": {**head, **event["object"]}}


class Changes:
    """Says when something that an exercise declares has changed; heartbeats are no change."""

    def __init__(self, api: Api, exercise: Exercise) -> None:
        self._api, self._exercise = api, exercise
        self._changed, self._ended = threading.Event(), threading.Event()

    def __enter__(self) -> Changes:
        for what in self._exercise.settings.collect:
            threading.Thread(target=self._follow, args=(what,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Whether there was a change since the last call that said so."""
        if not self._changed.wait(seconds):
            return False
        self._changed.clear()
        return True

    def _follow(self, what: Collect) -> None:
        """One kind, until the end; after a trouble everything may have changed."""
        known: dict[str, bytes] = {}
        while not self._ended.is_set():
            try:
                for thing, gone in self._stream(what):
                    if is_news(known, thing, gone):
                        self._changed.set()
            except ApiAbsent:  # this cluster does not know the kind, or not yet
                self._ended.wait(RETRY)
            except (ApiProblem, Unreachable):
                self._changed.set()
                self._ended.wait(RETRY)

    def _stream(self, what: Collect) -> Iterator[tuple[KubeObject, bool]]:
        namespace = self._exercise.namespace
        _, version, objects = list_kind(self._api, namespace, what)
        yield from ((each, False) for each in objects)
        while not self._ended.is_set():
            path = path_of(what, namespace)
            marks = {"resourceVersion": version, "allowWatchBookmarks": "true"}
            for event in self._api.watch(path, ONE_WATCH, **marks):
                version = version_of(event["object"]) or version
                if event["type"] != "BOOKMARK":
                    yield event["object"], event["type"] == "DELETED"


def is_news(known: dict[str, bytes], thing: KubeObject, gone: bool) -> bool:
    """Whether this differs from what is known of the object, which it becomes."""
    uid = str((thing.get("metadata") or {}).get("uid"))
    if gone:
        return known.pop(uid, None) is not None
    before, known[uid] = known.get(uid), msgspec.json.encode(essence(thing), order="sorted")
    return before != known[uid]


def essence(thing: Any) -> Any:
    """The object without what a heartbeat changes."""
    if isinstance(thing, dict):
        return {key: essence(value) for key, value in thing.items() if key not in HEARTBEAT}
    return [essence(each) for each in thing] if isinstance(thing, list) else thing


HEARTBEAT = ("resourceVersion", "managedFields", "lastHeartbeatTime")
