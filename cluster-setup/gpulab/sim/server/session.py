"""Plays a program for someone who watches and types: the other end of its steps."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator

from gpulab.sim.container import Lifecycle
from gpulab.sim.facts import Facts
from gpulab.sim.program import Await, Clock, Exit, Print, Read, Script, Sleep, Step
from gpulab.sim.server.streams import Channels
from gpulab.sim.shell.session import Interrupt

INTERRUPTED, KILLED = 130, 137  # 128 + SIGINT, 128 + SIGKILL
LOOK_SECONDS = 0.2  # how often an awaited fact is looked at


async def play(script: Script, channels: Channels, facts: Facts) -> int:
    """Run it in real time; its exit code. Raises HungUp when kubectl goes away."""
    clock = Clock(_now())
    steps = script(clock)
    step = next(steps, None)
    while step is not None:
        if isinstance(step, Exit):
            return step.code
        await _perform(step, channels, facts)
        clock.now = _now()
        step = _go_on(steps, channels)
    return 0


async def play_beside(script: Script, channels: Channels, lifecycle: Lifecycle) -> int:
    """Run it as long as the container runs: with that, every process in it is killed."""
    run = lifecycle.container.container_id
    playing = asyncio.ensure_future(play(script, channels, lifecycle.node.facts))
    try:
        while not playing.done():
            await asyncio.wait({playing}, timeout=LOOK_SECONDS)
            if not lifecycle.container.running or lifecycle.container.container_id != run:
                return playing.result() if playing.done() else KILLED
        return playing.result()
    finally:
        playing.cancel()


async def _perform(step: Step, channels: Channels, facts: Facts) -> None:
    if isinstance(step, Print):
        await channels.print(step)
    elif isinstance(step, Sleep):
        await _sleep(step.seconds, channels)
    elif isinstance(step, Read):
        await channels.wait(None)
    elif isinstance(step, Await):
        while facts.holds(step.fact) is not step.present and not channels.interrupted:
            await channels.wait(LOOK_SECONDS)


def _go_on(steps: Iterator[Step], channels: Channels) -> Step | None:
    if not channels.interrupted:
        return next(steps, None)
    channels.interrupted = False
    try:
        return steps.throw(Interrupt()) if hasattr(steps, "throw") else Exit(INTERRUPTED)
    except Interrupt:
        return Exit(INTERRUPTED)
    except StopIteration:
        return None


async def _sleep(seconds: float, channels: Channels) -> None:
    until = _now().timestamp() + seconds if seconds != float("inf") else None
    while not channels.interrupted:
        left = None if until is None else until - _now().timestamp()
        if left is not None and left <= 0:
            return
        await channels.wait(left)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
