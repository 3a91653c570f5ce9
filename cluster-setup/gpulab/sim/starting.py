"""How a container's process starts, and what is shown if it cannot."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import TYPE_CHECKING

from gpulab.sim import hooks, image_messages, messages, pulling
from gpulab.sim.execution import KILLED
from gpulab.sim.program import CannotStart
from gpulab.sim.status import Container, running, terminated
from gpulab.sim.times import now

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

JOB_SECONDS = 5.0  # how long an unmodelled process under a Job takes to finish


async def start(life: Lifecycle) -> float | None:
    """Start the process; the seconds until the next sync if the runtime or a hook cannot."""
    container, program = life.container, life.program()
    if container.container_id:
        container.restarts += 1
    if "terminated" in container.state:
        container.last = container.state
    container.container_id = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
    container.image_id = _image_id(container.spec["image"])
    await life.say(messages.created())
    if isinstance(program, CannotStart):
        text = messages.start_failed(program.executable)
        await life.say(messages.container_error(text))
        _fail_start(life, text)
        return await _give_up(life, messages.RUN_CONTAINER_ERROR, text)
    life.since = now(exact=True)
    container.state = running(life.since)
    await life.say(messages.started())
    if failure := await hooks.post_start(life):
        life.terminate(KILLED)
        return await _give_up(life, hooks.POST_START_ERROR, failure)
    container.started = "startupProbe" not in container.spec
    container.ready = _ready_at_once(life)
    await life.note()
    if not program.modelled:
        await life.tell_once("NotSimulated", _not_simulated(container, life.under_job()))
    return None


def _ready_at_once(life: Lifecycle) -> bool:
    """An init container is ready when it has ended well; others when their probe says so."""
    container = life.container
    if container.init and not container.sidecar:
        return False
    return container.started and "readinessProbe" not in container.spec


async def _give_up(life: Lifecycle, reason: str, message: str) -> float:
    """Show a start that failed: waiting, with the end in `lastState`, if it may try again."""
    container = life.container
    if not life.ended():
        container.last = container.state
        return await life.wait_as(reason, message, pulling.SOON)
    await life.note()
    return 0.0


def _fail_start(life: Lifecycle, text: str) -> None:
    never = dt.datetime.fromtimestamp(0, dt.UTC)  # as containerd reports what never ran
    cid = life.container.container_id
    code = messages.START_ERROR_EXIT_CODE
    life.container.state = terminated(code, messages.START_ERROR, never, now(), cid, text)


def _image_id(image: str) -> str:
    """A digest of the name: no registry was asked, so the real one is not known."""
    digest = hashlib.sha256(image_messages.reference(image).encode()).hexdigest()
    return f"{image_messages.reference(image).rpartition(':')[0]}@sha256:{digest}"


def _not_simulated(container: Container, under_job: bool) -> str:
    command = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
    what = f"the command {' '.join(command)!r}" if command else "the image's own command"
    then = f"exits with 0 after {JOB_SECONDS:g} s" if under_job else "runs and prints nothing"
    return f"gpulab does not model {what[:300]}: the container {then}"
