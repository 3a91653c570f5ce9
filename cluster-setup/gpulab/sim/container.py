"""One container's life on a node: pull, start, exit, back-off, restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from gpulab.sim import messages
from gpulab.sim.messages import Event
from gpulab.sim.program import (
    Await,
    CannotStart,
    Exit,
    Program,
    Provide,
    Run,
    Sleep,
    Surroundings,
)
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, exit_reason, parse, running, terminated, waiting

JOB_SECONDS = 5.0  # how long an unmodelled process under a Job takes to finish
Say = Callable[[Container, Event], Awaitable[None]]
Write = Callable[[], Awaitable[None]]


class Lifecycle:
    """Runs one container of one Pod. `say` records an Event, `write` writes the Pod's status."""

    def __init__(
        self,
        container: Container,
        pod: dict[str, Any],
        node: NodeState,
        world: World,
        *,
        say: Say,
        write: Write,
        ip: Callable[[], str],
    ) -> None:
        self.container = container
        self.pod = pod
        self.node, self._world = node, world
        self._say, self._write, self._ip = say, write, ip
        self._failures = container.restarts
        self._changed = asyncio.Event()
        self._told: set[str] = set()

    async def run(self) -> None:
        """Return when the container has ended for good."""
        if self.container.running:
            await self._finish()
        while not self._ended():
            if self.container.exit_code is not None:
                await self._back_off()
            await self._fetch_image()
            if await self._start():
                await self._finish()

    def redefine(self, pod: dict[str, Any], spec: dict[str, Any]) -> None:
        """Take a changed spec: a new image is what can change in a living Pod."""
        self.pod = pod
        if spec["image"] != self.container.spec["image"]:
            self._changed.set()
        self.container.spec = spec

    def surroundings(self) -> Surroundings:
        return Surroundings(
            self.pod,
            self.container.spec,
            self.node.node.name,
            self._ip(),
            self._world.driver,
            self.container.gpus,
        )

    def program(self) -> Program | CannotStart:
        spec = self.container.spec
        argv = [*(spec.get("command") or []), *(spec.get("args") or [])]
        found = self._world.workloads.find(argv, self.surroundings())
        if isinstance(found, Program) and not found.modelled and self._under_job():
            return Program(lambda clock: iter([Sleep(JOB_SECONDS), Exit(0)]), modelled=False)
        return found

    async def kill(self, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds if the process ignores it."""
        if not self.container.running:
            return
        await self._say(self.container, messages.killing(self.container.name))
        program = self.program()
        if isinstance(program, Program) and program.ignores_term:
            await self._world.pass_time(grace)
            self._terminate(137)
        else:
            self._terminate(143)

    def vanish(self) -> None:
        """The Pod is gone: what the container provided goes with it."""
        self.node.facts.withdraw(self._key)

    # -- steps

    def _ended(self) -> bool:
        code = self.container.exit_code
        if code is None:
            return False
        policy = self.pod["spec"]["restartPolicy"]
        if policy == "Always" and not self.container.init:
            return False
        return code == 0 or policy == "Never"

    async def _back_off(self) -> None:
        """Wait before a restart: not at all the first time, then 10 s, 20 s … 300 s."""
        container, self._failures = self.container, self._failures + 1
        container.last = container.state
        ended = container.state["terminated"]
        ran = (parse(ended["finishedAt"]) - parse(ended["startedAt"])).total_seconds()
        if ran > messages.CRASH_LOOP_BACKOFF.reset_s:
            self._failures = 1
        if self._failures == 1:
            return
        delay = messages.CRASH_LOOP_BACKOFF.delay(self._failures - 1)
        meta = self.pod["metadata"]
        who = (container.name, meta["name"], meta["namespace"], meta["uid"])
        text = messages.crash_back_off_waiting(delay, *who)
        container.state = waiting(messages.CRASH_LOOP_BACK_OFF, text)
        await self._write()
        await self._say(container, messages.crash_back_off(*who))
        await self._pause(delay)

    async def _fetch_image(self) -> None:
        """Have the image on the node; try again with a growing back-off until it is."""
        failures = 0
        while (cause := await self._pull()) is not None:
            failures += 1
            image, container = self.container.spec["image"], self.container
            container.state = waiting(messages.ERR_IMAGE_PULL, cause)
            await self._write()
            await self._world.pass_time(min(1.0, failures))
            text = messages.pull_back_off_waiting(image, cause)
            container.state = waiting(messages.IMAGE_PULL_BACK_OFF, text)
            await self._write()
            await self._say(container, messages.pull_back_off(image))
            await self._say(container, messages.container_error(messages.IMAGE_PULL_BACK_OFF))
            if await self._pause(messages.IMAGE_PULL_BACKOFF.delay(failures)):
                failures = 0

    async def _pull(self) -> str | None:
        """Pull if the policy says so; the cause if that failed."""
        image, container = self.container.spec["image"], self.container
        pull = self._world.images.pull(image)
        async with self.node.pulling[image]:
            present = image in self.node.images
            if present and container.spec.get("imagePullPolicy") != "Always":
                await self._say(container, messages.already_present(image))
                return None
            await self._say(container, messages.pulling(image))
            if pull.failure is not None:
                await self._say(container, messages.pull_failed(image, pull.failure))
                await self._say(container, messages.container_error(messages.ERR_IMAGE_PULL))
                return pull.failure
            seconds = 0.3 if present else pull.seconds
            await self._world.pass_time(seconds)
            self.node.images.add(image)
        await self._say(container, messages.pulled(image, seconds, seconds, pull.size))
        if not pull.verified:
            await self._tell_once("ImageNotVerified", _not_verified(image))
        return None

    async def _start(self) -> bool:
        """Start the process; False if the runtime cannot."""
        container, program = self.container, self.program()
        if container.container_id:
            container.restarts += 1
        container.container_id = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        container.image_id = _image_id(container.spec["image"])
        await self._say(container, messages.created())
        if isinstance(program, CannotStart):
            text = messages.start_failed(program.executable)
            await self._say(container, messages.container_error(text))
            self._fail_start(text)
            await self._write()
            return False
        container.state = running(_now())
        await self._write()
        await self._say(container, messages.started())
        if not program.modelled:
            await self._tell_once("NotSimulated", _not_simulated(container, self._under_job()))
        return True

    async def _finish(self) -> None:
        """Wait for the process to exit, or for a new image, which replaces it."""
        exit_task = asyncio.ensure_future(self._exit())
        change = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({exit_task, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
            exit_task.cancel()
        if exit_task.done() and not exit_task.cancelled():
            self._terminate(exit_task.result())
            await self._write()
            return
        self._changed.clear()
        text = f"Container {self.container.name} definition changed, will be restarted"
        await self._say(self.container, Event("Killing", text))
        self._terminate(143)
        self._failures = 0

    async def _exit(self) -> int:
        """The process's exit code, when it is time; also for one that started long ago."""
        program = self.program()
        assert isinstance(program, Program)
        run = Run(program.script, parse(self.container.state["running"]["startedAt"]))
        facts = self.node.facts
        for event in run:
            if isinstance(event, Sleep):
                due = (run.clock.now - _now(exact=True)).total_seconds() + event.seconds
                await asyncio.sleep(max(due, 0.001))  # also a loop without pause lets others run
            elif isinstance(event, Provide):
                facts.provide(event.fact, self._key, run.clock.now)
            elif isinstance(event, Await):
                await facts.wait(event.fact, event.present)
                run.waited(facts.since(event.fact, event.present) or _now(exact=True))
        return run.code or 0

    def _terminate(self, code: int) -> None:
        container = self.container
        self.node.facts.withdraw(self._key)
        since = parse(container.state["running"]["startedAt"])
        until = max(_now(), since)
        container.state = terminated(code, exit_reason(code), since, until, container.container_id)

    def _fail_start(self, text: str) -> None:
        never = dt.datetime.fromtimestamp(0, dt.UTC)  # as containerd reports what never ran
        cid = self.container.container_id
        code = messages.START_ERROR_EXIT_CODE
        self.container.state = terminated(code, messages.START_ERROR, never, _now(), cid, text)

    async def _pause(self, seconds: float) -> bool:
        """Wait, at most until the spec changes; True if it did."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds / self._world.speed)
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def _tell_once(self, reason: str, message: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            await self._say(self.container, Event(reason, message))

    @property
    def _key(self) -> str:
        return f"{self.pod['metadata']['uid']}/{self.container.name}"

    def _under_job(self) -> bool:
        owners = self.pod["metadata"].get("ownerReferences") or []
        return any(owner["kind"] == "Job" for owner in owners)


def _now(*, exact: bool = False) -> dt.datetime:
    """The time, in whole seconds as status holds it, so that a restart reads what was meant."""
    now = dt.datetime.now(dt.UTC)
    return now if exact else now.replace(microsecond=0)


def _image_id(image: str) -> str:
    """A digest of the name: no registry was asked, so the real one is not known."""
    digest = hashlib.sha256(messages.reference(image).encode()).hexdigest()
    return f"{messages.reference(image).rpartition(':')[0]}@sha256:{digest}"


def _not_verified(image: str) -> str:
    return f'gpulab has no list of the tags of this repository; it took for granted "{image}"'


def _not_simulated(container: Container, under_job: bool) -> str:
    command = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
    what = f"the command {' '.join(command)!r}" if command else "the image's own command"
    then = f"exits with 0 after {JOB_SECONDS:g} s" if under_job else "runs and prints nothing"
    return f"gpulab does not model {what[:300]}: the container {then}"
