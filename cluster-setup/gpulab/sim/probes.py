"""Liveness, readiness and startup probes, with the kubelet's words (pkg/kubelet/prober)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpulab.sim import messages
from gpulab.sim.messages import Event
from gpulab.sim.ports_open import listens
from gpulab.sim.program import Await, CannotStart, Require, Sleep
from gpulab.sim.replay import Line, Run, later
from gpulab.sim.scene import find

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

SOON = 0.05  # between probes in a hurry
MAX_OUTPUT = 10 * 1024  # of an exec probe, pkg/probe/exec


async def watch(owner: Lifecycle) -> str:
    """Probe a running container until it must be restarted; the reason, for the Killing event.

    Sets `started` and `ready` of the container on the way; without probes it never returns.
    """
    spec, container = owner.container.spec, owner.container
    if "startupProbe" in spec and not container.started:
        failed = await _until_started(owner, spec["startupProbe"])
        if failed:
            return failed
    readiness = asyncio.ensure_future(_keep_ready(owner, spec.get("readinessProbe")))
    try:
        return await _until_dead(owner, spec.get("livenessProbe"))
    finally:
        readiness.cancel()


async def _until_started(owner: Lifecycle, probe: Mapping[str, Any]) -> str:
    """Empty once the startup probe has succeeded."""
    failures = 0
    await _pass(owner, probe.get("initialDelaySeconds", 0))
    while failures < probe.get("failureThreshold", 3):
        problem = await _try(owner, probe, "Startup")
        if problem is None:
            owner.container.started = True
            owner.container.ready = "readinessProbe" not in owner.container.spec
            await owner.note()
            return ""
        failures += 1
        if failures < probe.get("failureThreshold", 3):
            await _pass(owner, probe.get("periodSeconds", 10))
    return "startup"


async def _until_dead(owner: Lifecycle, probe: Mapping[str, Any] | None) -> str:
    if probe is None:
        await asyncio.Event().wait()
    assert probe is not None
    failures = 0
    await _pace(owner, probe.get("initialDelaySeconds", 0))
    while True:
        problem = await _try(owner, probe, "Liveness")
        failures = failures + 1 if problem is not None else 0
        if failures >= probe.get("failureThreshold", 3):
            return "liveness"
        await _pace(owner, probe.get("periodSeconds", 10))


async def _keep_ready(owner: Lifecycle, probe: Mapping[str, Any] | None) -> None:
    if probe is None:
        return
    good = bad = 0
    await _pass(owner, probe.get("initialDelaySeconds", 0))
    while True:
        problem = await _try(owner, probe, "Readiness")
        good, bad = (good + 1, 0) if problem is None else (0, bad + 1)
        ready = owner.container.ready
        if good >= probe.get("successThreshold", 1):
            ready = True
        elif bad >= probe.get("failureThreshold", 3):
            ready = False
        if ready != owner.container.ready:
            owner.container.ready = ready
            await owner.note()
        await _pass(owner, probe.get("periodSeconds", 10))


async def _pass(owner: Lifecycle, seconds: float) -> None:
    """Wait between probes; in a hurry, the GPU Operator's containers are probed soon."""
    if owner.hurried:
        await asyncio.sleep(SOON)
    else:
        await _pace(owner, seconds)


async def _pace(owner: Lifecycle, seconds: float) -> None:
    await asyncio.sleep(seconds / owner.world.speed if owner.operand else seconds)


async def _try(owner: Lifecycle, probe: Mapping[str, Any], kind: str) -> str | None:
    """Probe once; what went wrong, after the event about it."""
    problem = attempt(owner, probe)
    if problem is not None:
        errored, text, _ = problem
        word = "errored" if errored else "failed"
        await owner.say(Event("Unhealthy", f"{kind} probe {word}: {text}", "Warning"))
        return text
    return None


Problem = tuple[bool, str, int]  # whether it could not even run, the text, the exit code


def attempt(owner: Lifecycle, handler: Mapping[str, Any]) -> Problem | None:
    """Run a probe's or a hook's handler; None if all is well."""
    if "exec" in handler:
        return _execute(owner, handler["exec"].get("command") or [], _timeout(handler))
    if "sleep" in handler:
        return None
    scheme = next(key for key in ("httpGet", "tcpSocket", "grpc") if key in handler)
    port = _port(owner.container.spec, handler[scheme]["port"])
    host = handler[scheme].get("host") or owner.address
    if listens(owner, port):
        return None
    refused = f"dial tcp {host}:{port}: connect: connection refused"
    if scheme == "httpGet":
        method = handler[scheme].get("scheme", "HTTP").lower()
        path = "/" + handler[scheme].get("path", "/").lstrip("/")
        return False, f'Get "{method}://{host}:{port}{path}": {refused}', 1
    if scheme == "grpc":
        text = f'timeout: failed to connect service "{host}:{port}" within 1s: context deadline'
        return False, f"{text} exceeded", 1
    return False, refused, 1


def _timeout(handler: Mapping[str, Any]) -> float:
    return float(handler.get("timeoutSeconds", 1))


def _port(spec: Mapping[str, Any], port: int | str) -> int:
    """Resolve a port given by name; 0 if the container names no such port."""
    if isinstance(port, int):
        return port
    named = {entry.get("name"): entry["containerPort"] for entry in spec.get("ports") or []}
    return int(named.get(port, 0))


def _execute(owner: Lifecycle, argv: list[str], timeout: float) -> Problem | None:
    """Run a command in the container at once, in its own time."""
    found = find(owner, argv)
    if isinstance(found, CannotStart):
        return True, _cannot_exec(owner, found.executable), 1
    if not found.modelled:
        return False, f"gpulab does not model the command {' '.join(argv)!r}", 127
    now = dt.datetime.now(dt.UTC)
    run, text = Run(found.script, now), ""
    for event in run:
        if isinstance(event, Line):
            text += event.text
        elif isinstance(event, Require) and not owner.node.facts.holds(event.fact):
            return False, text + event.says, 1
        elif isinstance(event, Await) or (
            isinstance(event, Sleep) and _exceeds(run.clock.now, event, now, timeout)
        ):
            words = " ".join(argv)
            return True, f'command timed out: "{words}" timed out after {timeout:g}s', 1
    return (False, text[:MAX_OUTPUT], run.code) if run.code else None


def _exceeds(clock: dt.datetime, event: Sleep, began: dt.datetime, timeout: float) -> bool:
    return (later(clock, event.seconds) - began).total_seconds() > timeout


def _cannot_exec(owner: Lifecycle, executable: str) -> str:
    cid = owner.container.container_id.removeprefix("containerd://")
    return f"rpc error: code = Unknown desc = {messages.exec_failed(cid, executable)}"
