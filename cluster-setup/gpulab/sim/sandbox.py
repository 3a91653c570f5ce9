"""What of NVIDIA's software a node needs to admit a Pod with GPUs, or to make its sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from gpulab.sim import messages
from gpulab.sim.ailing import RUNTIME_UNCONFIGURED
from gpulab.sim.api import ApiError
from gpulab.sim.messages import Event
from gpulab.sim.runtime import NodeState, World

Say = Callable[[None, Event], Awaitable[None]]
TOOLKIT = "toolkit"  # fact: containerd knows NVIDIA's runtimes
HANDLERS = ("nvidia", "nvidia-cdi", "nvidia-legacy")
RETRY = 12.0  # a kubelet's next sync
RETURN = 3.0  # for a plugin that ran before this simulator to register again


async def plugin_problem(state: NodeState, resource: str) -> Event | None:
    """Why the device manager refuses a Pod that asks for devices; None if they are registered."""
    if not state.node.gpus or state.facts.holds(resource):
        return None
    if resource not in state.registered:
        return messages.devices_unregistered(resource)
    never = dt.datetime.min.replace(tzinfo=dt.UTC)
    if state.facts.since(resource, False) == never:  # we just began
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(state.facts.wait(resource, True), RETURN)
            return None
    return messages.devices_unhealthy(resource)


async def wait_for_runtime(world: World, state: NodeState, pod: dict[str, Any], say: Say) -> None:
    """Return once containerd knows the handler of the Pod's RuntimeClass."""
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return
    handler = await _handler(world, name)
    while (missing := _missing(state)) or handler not in HANDLERS:
        if not world.pace.hurried(dt.datetime.now(dt.UTC)):
            await say(None, messages.no_runtime(handler))
        if handler not in HANDLERS or missing is None:  # nobody here will ever configure it
            await world.pass_time(RETRY)
            continue
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(state.facts.wait(*missing), RETRY / world.speed)


def _missing(state: NodeState) -> tuple[str, bool] | None:
    """What must change before containerd knows NVIDIA's handlers: a fact, and whether it holds."""
    if not state.facts.holds(TOOLKIT):
        return TOOLKIT, True
    overwritten = state.facts.holds(RUNTIME_UNCONFIGURED)
    return (RUNTIME_UNCONFIGURED, False) if overwritten else None


async def _handler(world: World, name: str) -> str:
    try:
        found = await world.api.get(f"/apis/node.k8s.io/v1/runtimeclasses/{name}")
        return str(found["handler"])
    except ApiError as error:
        if error.status != 404:
            raise
        return name
