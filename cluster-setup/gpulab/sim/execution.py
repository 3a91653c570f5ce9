"""The process of a container while it runs: what it does to its node, and when it ends."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from gpulab.sim import messages
from gpulab.sim.program import (
    Await,
    Memory,
    Program,
    Provide,
    Require,
    Sleep,
    Use,
    Withdraw,
)
from gpulab.sim.replay import Replay, Run
from gpulab.sim.times import now, parse

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

KILLED = 137  # 128 + SIGKILL


async def run(owner: Lifecycle) -> tuple[int, str]:
    """Exit code and reason, when it is time; also for a process that started long ago."""
    program = owner.program()
    assert isinstance(program, Program)
    process = Run(program.script, owner.started_at(owner.container.state["running"]))
    facts = owner.node.facts
    for event in process:
        if isinstance(event, Sleep):
            due = (process.clock.now - now(exact=True)).total_seconds() + event.seconds
            await asyncio.sleep(max(due, 0.001))  # also a loop without pause lets others run
        elif isinstance(event, Provide | Withdraw | Use):
            _change(owner, event, process.clock.now)
        elif isinstance(event, Require) and facts.holds(event.fact) is not event.present:
            return 1, ""
        elif isinstance(event, Await):
            await facts.wait(event.fact, event.present, event.lost)
            process.waited(facts.since(event.fact, event.present) or now(exact=True))
            if event.reload:
                await owner.reload()
        elif isinstance(event, Memory) and _exceeds(owner, event):
            return KILLED, messages.OOM_KILLED
    return process.code or 0, ""


def _change(owner: Lifecycle, event: Provide | Withdraw | Use, at: dt.datetime) -> None:
    """What the process does to its node."""
    if isinstance(event, Use):
        given = {device.gpu.uuid: device.gpu for device in owner.container.devices}
        owner.node.loads[owner.key] = (tuple(given.values()), event.load)
    elif isinstance(event, Withdraw):
        owner.node.facts.withdraw_one(event.fact, owner.key)
    else:
        owner.node.facts.provide(event.fact, _owner(owner, event), at, event.value)


def _exceeds(owner: Lifecycle, use: Memory) -> bool:
    """Whether the kernel ends the process: over its limit, or over all that the node has."""
    node = owner.node.node.shape.group.memory_gib * 2**30
    limit = owner.container.memory_limit
    return use.mib * 2**20 > (node if limit is None else min(limit, node))


def recall(owner: Lifecycle) -> bool:
    """Provide again what it provided before a restart of ours; whether anything was new."""
    program, container = owner.program(), owner.container
    if not isinstance(program, Program):
        return False
    if container.exit_code == 0:
        ended = parse(container.state["terminated"]["finishedAt"])
        left = [(Provide(fact, stays=True), ended) for fact in program.leaves]
    elif container.running and program.provides:
        since = owner.started_at(container.state["running"])
        replay = Replay(program.script, since, owner.node.facts)
        left = [(e, since) for e in replay.until(now(exact=True)) if isinstance(e, Provide)]
        provide_started(owner, since)
    else:
        return False
    return any([_recall(owner, event, at) for event, at in left])


def provide_started(owner: Lifecycle, at: dt.datetime) -> None:
    """Provide what holds once the startup probe has succeeded."""
    if not owner.container.started or "startupProbe" not in owner.container.spec:
        return
    program = owner.program()
    if isinstance(program, Program) and program.once_started:
        owner.node.facts.provide(program.once_started, owner.key, at)


def _recall(owner: Lifecycle, event: Provide, at: dt.datetime) -> bool:
    fresh = not owner.node.facts.holds(event.fact)
    owner.node.facts.provide(event.fact, _owner(owner, event), at, event.value)
    return fresh


def _owner(owner: Lifecycle, event: Provide) -> str:
    """Who provides it: the container, or its Pod, if it stays with that."""
    return str(owner.pod["metadata"]["uid"]) if event.stays else owner.key
