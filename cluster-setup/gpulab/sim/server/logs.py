"""`kubectl logs`: what a run of a container has printed, computed when it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from aiohttp import web

from gpulab.sim import messages
from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.program import CannotStart, Happening
from gpulab.sim.replay import Line, Replay
from gpulab.sim.server.containers import container
from gpulab.sim.shell.process import raw
from gpulab.sim.times import parse

FOLLOW_SECONDS = 0.2  # how often a followed log is looked at
# A status has whole seconds: a process may have written up to the end of its last one.
TICK = dt.timedelta(microseconds=999_999)
AT_ONCE = 1000  # lines, after which other requests have their turn


class Logs:
    """Serves logs as plain text."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        lifecycle = container(self._kubelets, request)
        options = Options(request.query)
        state = instance(lifecycle, options.previous, request.match_info["pod"])
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # who followed the log went away
            async for chunk in options.select(lines(lifecycle, state, options.follow)):
                await response.write(chunk)
            await response.write_eof()
        return response


def instance(lifecycle: Lifecycle, previous: bool, pod: str) -> dict[str, Any]:
    """The run whose log is asked for; the texts are the kubelet's (kubelet_pods.go)."""
    one = lifecycle.container
    ended = one.last.get("terminated")
    if previous:
        if not ended:
            text = f'previous terminated container "{one.name}" in pod "{pod}" not found'
            raise web.HTTPBadRequest(text=text)
        return dict(ended)
    if "waiting" not in one.state and one.state:
        return dict(next(iter(one.state.values())))
    if ended:
        return dict(ended)
    reason = one.state.get("waiting", {}).get("reason", messages.CONTAINER_CREATING)
    why = {
        messages.ERR_IMAGE_PULL: "image can't be pulled",
        messages.IMAGE_PULL_BACK_OFF: "trying and failing to pull image",
    }.get(reason, reason)
    text = f'container "{one.name}" in pod "{pod}" is waiting to start: {why}'
    raise web.HTTPBadRequest(text=text)


async def lines(
    lifecycle: Lifecycle, state: Mapping[str, Any], follow: bool, since: dt.datetime | None = None
) -> AsyncIterator[Line]:
    """What the run wrote; with `follow`, also what it goes on to write until it ends."""
    if state.get("reason") == messages.START_ERROR:
        return
    said = Said(lifecycle, state)
    while True:
        current = lifecycle.container.state.get("running", {})
        live = current.get("startedAt") == state["startedAt"]
        ended = state.get("finishedAt") or _ended(lifecycle, state)
        until = parse(ended) + TICK if ended else now()
        for number, event in enumerate(said.until(until)):
            if isinstance(event, Line) and (since is None or event.at >= since):
                yield event
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        if not follow or not live or "finishedAt" in state:
            return
        await asyncio.sleep(FOLLOW_SECONDS)


class Said:
    """What a run has written so far. It is computed anew when a GPU reports an Xid meanwhile."""

    def __init__(self, lifecycle: Lifecycle, state: Mapping[str, Any]) -> None:
        self._lifecycle, self._state = lifecycle, state
        self._told = self._skip = 0  # events
        self._begin()

    def _begin(self) -> None:
        self._known = len(self._lifecycle.node.troubles)
        program = self._lifecycle.program()
        self._replay = None
        if not isinstance(program, CannotStart):
            started = self._lifecycle.started_at(dict(self._state))
            self._replay = Replay(program.script, started, self._lifecycle.node.facts)
        self._skip = self._told

    def until(self, moment: dt.datetime) -> Iterator[Line | Happening]:
        """Go on from where the last call stopped."""
        if self._known != len(self._lifecycle.node.troubles):
            self._begin()
        for event in self._replay.until(moment) if self._replay else ():
            if self._skip:
                self._skip -= 1
                continue
            self._told += 1
            yield event


def _ended(lifecycle: Lifecycle, state: Mapping[str, Any]) -> str | None:
    """When a run that was followed has ended, if it is the last one that did."""
    for known in (lifecycle.container.state, lifecycle.container.last):
        ended = known.get("terminated", {})
        if ended.get("startedAt") == state["startedAt"]:
            return str(ended["finishedAt"])
    return None


class Options:
    """kubectl's choices: --tail, --since, --timestamps, --limit-bytes, -f, -p."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self.follow = query.get("follow") == "true"
        self.previous = query.get("previous") == "true"
        self._timestamps = query.get("timestamps") == "true"
        self._tail = int(query["tailLines"]) if "tailLines" in query else None
        self._limit = int(query["limitBytes"]) if "limitBytes" in query else None
        self._since = _since(query)

    async def select(self, found: AsyncIterator[Line]) -> AsyncIterator[bytes]:
        left = self._limit
        async for text in self._tailed(found):
            data = raw(text)
            if left is not None:
                data, left = data[:left], left - len(data)
            yield data
            if left is not None and left <= 0:
                return

    async def _tailed(self, found: AsyncIterator[Line]) -> AsyncIterator[str]:
        """With --tail, only the end of what is there now; what follows comes whole."""
        began, kept = now(), list[str]()
        held = self._tail is not None
        async for line in found:
            if held and line.at > began:
                for text in self._last(kept):
                    yield text
                held = False
            for text in self._physical(line):
                if held:
                    kept.append(text)
                else:
                    yield text
        if held:
            for text in self._last(kept):
                yield text

    def _last(self, kept: list[str]) -> list[str]:
        return kept[-self._tail :] if self._tail else []

    def _physical(self, line: Line) -> Iterator[str]:
        if self._since and line.at < self._since:
            return
        prefix = f"{line.at.isoformat().replace('+00:00', 'Z')} " if self._timestamps else ""
        for text in line.text.splitlines(keepends=True):
            yield prefix + text


def _since(query: Mapping[str, str]) -> dt.datetime | None:
    if "sinceSeconds" in query:
        return now() - dt.timedelta(seconds=int(query["sinceSeconds"]))
    return parse(query["sinceTime"]) if "sinceTime" in query else None


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
