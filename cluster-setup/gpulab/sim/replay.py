"""A script as it runs: what it has done by some moment, waited for or looked at from outside."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpulab.sim.facts import Facts
from gpulab.sim.program import (
    Await,
    Clock,
    Exit,
    Happening,
    Print,
    Require,
    Script,
    Sleep,
    Stream,
)


@dataclass(frozen=True)
class Line:
    """A piece of output and when it was written."""

    at: dt.datetime
    text: str
    stream: Stream


@dataclass
class Run:
    """One run of a script from `started`; iterate to get its output, then read `code`."""

    script: Script
    started: dt.datetime
    code: int | None = field(default=None, init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.started)

    def __iter__(self) -> Iterator[Line | Happening]:
        """Yield what happens; whoever iterates waits, and calls `waited` after an Await."""
        for step in self.script(self.clock):
            if isinstance(step, Exit):
                self.code = step.code
                return
            if isinstance(step, Print):
                yield Line(self.clock.now, step.text, step.stream)
                continue
            yield step
            if isinstance(step, Sleep):
                self.clock.now = later(self.clock.now, step.seconds)
        self.code = 0

    def waited(self, until: dt.datetime) -> None:
        """An awaited fact has held since `until`; the clock never goes back."""
        self.clock.now = max(self.clock.now, until)


FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def later(moment: dt.datetime, seconds: float) -> dt.datetime:
    try:
        return moment + dt.timedelta(seconds=seconds)
    except OverflowError:
        return FOREVER


class Replay:
    """A run that is followed from outside: what it has done up to a moment, without waiting."""

    def __init__(self, script: Script, started: dt.datetime, facts: Facts) -> None:
        self._run = Run(script, started)
        self._events = iter(self._run)
        self._facts = facts
        self._next = started  # nothing happens before that
        self._awaited: Await | None = None
        self._notices = 0  # printed while it waits
        self.ended = False

    def until(self, moment: dt.datetime) -> Iterator[Line | Happening]:
        """Go on from where the last call stopped."""
        while not self.ended:
            yield from self._wait(moment)
            if self._awaited is not None or self._next > moment:
                return
            event = next(self._events, None)
            if event is None:
                self.ended = True
            elif isinstance(event, Sleep):
                self._next = later(self._run.clock.now, event.seconds)
            elif isinstance(event, Await):
                self._awaited, self._notices = event, 0
            elif isinstance(event, Require):
                yield from self._require(event)
            else:
                yield event

    def _require(self, event: Require) -> Iterator[Line]:
        self.ended = self._held(event.fact) is not event.present
        if self.ended and event.says:
            yield Line(self._run.clock.now, event.says, "stderr")

    def _wait(self, moment: dt.datetime) -> Iterator[Line]:
        """What it prints while it waits; it no longer waits once the fact has held."""
        if (awaited := self._awaited) is None:
            return
        since = self._ended(awaited)
        end = moment if since is None else min(since, moment)
        while awaited.says and (at := self._notice(awaited)) < end:
            self._notices += 1
            yield Line(at, awaited.says.replace("$n", str(self._notices)) + "\n", "stdout")
        if since is not None and since <= moment:
            self._run.waited(since)
            self._awaited, self._next = None, self._run.clock.now

    def _ended(self, awaited: Await) -> dt.datetime | None:
        since = self._facts.since(awaited.fact, awaited.present)
        lost = self._facts.since(awaited.lost, False) if awaited.lost else None
        known = [moment for moment in (since, lost) if moment is not None]
        return min(known, default=None)

    def _notice(self, awaited: Await) -> dt.datetime:
        return later(self._run.clock.now, self._notices * awaited.every)

    def _held(self, fact: str) -> bool:
        since = self._facts.since(fact, True)
        return since is not None and since <= self._run.clock.now


def output(
    script: Script, started: dt.datetime, until: dt.datetime, facts: Facts
) -> Iterator[Line]:
    """What a process that started then has written up to `until`."""
    for event in Replay(script, started, facts).until(until):
        if isinstance(event, Line):
            yield event
