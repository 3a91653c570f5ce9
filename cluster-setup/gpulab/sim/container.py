"""One container's life on a node: pull, start, probes, exit, back-off, restart."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from gpulab.sim import (
    execution,
    hooks,
    inputs,
    messages,
    probes,
    pulling,
    references,
    starting,
    view,
)
from gpulab.sim.backoff import CrashBackoff
from gpulab.sim.execution import KILLED
from gpulab.sim.messages import Event
from gpulab.sim.program import CannotStart, Exit, Program, Sleep, Surroundings
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, exit_reason, terminated, waiting
from gpulab.sim.times import now, parse
from gpulab.sim.turns import Turns

OPERATOR = "gpu-operator"  # the namespace of NVIDIA's operator
TERMINATED = 143  # 128 + SIGTERM
Say = Callable[[Container, Event], Awaitable[None]]
Pod = dict[str, Any]


class Lifecycle:
    """Runs one container of one Pod. `say` records an Event, `turns` writes the Pod's status."""

    def __init__(
        self,
        container: Container,
        pod: Pod,
        node: NodeState,
        world: World,
        *,
        say: Say,
        turns: Turns,
        ip: Callable[[], str],
    ) -> None:
        self.container, self.pod, self.node, self.world = container, pod, node, world
        self.up = asyncio.Event()  # set while a sidecar counts as started
        self._say, self._turns, self._ip = say, turns, ip
        self._puller = pulling.Puller(self)
        self.since = now()
        self._backoff = CrashBackoff(container.restarts)
        self.inputs = inputs.Inputs()
        self._changed = asyncio.Event()
        self._told: set[str] = set()

    # -- what the Pod, its probes and the kubelet server use

    async def run(self) -> None:
        """Return when the container has ended for good."""
        if self.container.running:
            await self._load()
            await self._follow()
        while not self.ended():
            async with self._turns.take():
                seconds = await self._sync()
            if seconds is None:
                await self._follow()
                await self._turns.settled()
            else:
                await self.pause(seconds)

    def redefine(self, pod: Pod, spec: dict[str, Any]) -> None:
        """Take a changed spec: a new image is what can change in a living Pod."""
        self.pod = pod
        if spec["image"] != self.container.spec["image"]:
            self._changed.set()
        self.container.spec = spec

    def surroundings(self) -> Surroundings:
        """What a program that starts in it now would see."""
        return view.surroundings(self)

    @property
    def hurried(self) -> bool:
        """Whether it is a container of the GPU Operator's in a lab that is coming up."""
        return self.operand and self.world.pace.hurried(now(exact=True))

    @property
    def operand(self) -> bool:
        return bool(self.pod["metadata"]["namespace"] == OPERATOR)

    @property
    def address(self) -> str:
        return self._ip()

    def started_at(self, state: dict[str, Any]) -> dt.datetime:
        """When the run of this state began: exactly, if this simulator started it."""
        stamped = parse(state["startedAt"])
        return self.since if self.since.replace(microsecond=0) == stamped else stamped

    def program(self) -> Program | CannotStart:
        """The container's main process."""
        spec = self.container.spec
        found = self.find([*(spec.get("command") or []), *(spec.get("args") or [])])
        if isinstance(found, Program) and not found.modelled and self.under_job():
            return Program(
                lambda clock: iter([Sleep(starting.JOB_SECONDS), Exit(0)]), modelled=False
            )
        return found

    def find(self, argv: list[str]) -> Program | CannotStart:
        """What `argv` is inside this container."""
        return self.world.workloads.find(argv, self.surroundings())

    async def kill(self, grace: float, why: Event | None = None) -> None:
        """Run preStop, send SIGTERM, and SIGKILL after `grace` seconds if that is ignored."""
        if not self.container.running:
            return
        await self.say(why or messages.killing(self.container.name))
        began = asyncio.get_running_loop().time()
        await hooks.pre_stop(self, grace)
        spent = (asyncio.get_running_loop().time() - began) * self.world.speed
        program = self.program()
        if isinstance(program, Program) and program.ignores_term:
            await self.world.pass_time(max(grace - spent, 0))
            self.terminate(KILLED)
        else:
            self.terminate(program.term_code if isinstance(program, Program) else TERMINATED)

    def recall(self) -> bool:
        """Provide again what this container provided before a restart of ours; False if nothing."""
        return execution.recall(self)

    def vanish(self) -> None:
        """The Pod is gone: its process, and what that provided, go with it."""
        if self.container.running:
            self.terminate(KILLED)
        self._leave_node()

    def _leave_node(self) -> None:
        """What its process was for the node goes with it."""
        self.node.facts.withdraw(self.key)
        self.node.loads.pop(self.key, None)

    async def say(self, event: Event) -> None:
        await self._say(self.container, event)

    async def note(self) -> None:
        """Have the Pod's status written with what this container shows now."""
        if self.container.started:
            self.up.set()
            execution.provide_started(self, now(exact=True))
        await self._turns.note()

    async def wait_as(self, reason: str, message: str, seconds: float) -> float:
        """Show the container as waiting; the seconds until it is looked at again."""
        before = self.container.state.get("waiting", {}).get("reason")
        if before == reason and seconds == pulling.SOON:  # nothing has changed: no hurry
            seconds = messages.SYNC_SECONDS
        self.container.state = waiting(reason, message)
        await self.note()
        return seconds

    async def pause(self, seconds: float) -> bool:
        """Wait, at most until the spec changes; True if it did."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds / self.world.speed)
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def terminate(self, code: int, reason: str = "") -> None:
        """Note that the process has ended now."""
        container = self.container
        self._leave_node()
        since = parse(container.state["running"]["startedAt"])
        until = max(now(), since)
        reason = reason or exit_reason(code)
        container.state = terminated(code, reason, since, until, container.container_id)
        container.started = container.ready = False

    # -- steps

    def ended(self) -> bool:
        code = self.container.exit_code
        if code is None:
            return False
        policy = self.pod["spec"]["restartPolicy"]
        if self.container.ephemeral:
            return True
        if self.container.sidecar or (policy == "Always" and not self.container.init):
            return False
        return code == 0 or policy == "Never"

    async def _sync(self) -> float | None:
        """What one sync does for a container that does not run: None if it runs now.

        Otherwise the seconds until the next sync.
        """
        await self.node.health.wait()
        if (left := self._held_back()) > 0:
            return await self._back_off(left)
        if (seconds := await self._puller.attempt()) is not None:
            return seconds
        if (problem := await self._config_problem()) is not None:
            await self.say(messages.container_error(problem))
            return await self.wait_as(messages.CREATE_CONTAINER_CONFIG_ERROR, problem, pulling.SOON)
        await self._load()
        return await starting.start(self)

    def _held_back(self) -> float:
        """Seconds until the container may start again after it ended."""
        ended = self.container.state.get("terminated") or self.container.last.get("terminated")
        return self._backoff.left(ended, self._now())

    async def _back_off(self, left: float) -> float:
        container, meta = self.container, self.pod["metadata"]
        if "terminated" in container.state:
            container.last = container.state
        who = (container.name, meta["name"], meta["namespace"], meta["uid"])
        await self.say(messages.crash_back_off(*who))
        text = messages.crash_back_off_waiting(self._backoff.delay, *who)
        return await self.wait_as(
            messages.CRASH_LOOP_BACK_OFF, text, min(left, messages.SYNC_SECONDS)
        )

    async def _config_problem(self) -> str | None:
        """Why the container cannot be configured: a missing reference, or its user."""
        namespace = self.pod["metadata"]["namespace"]
        missing = await references.environment_problem(
            self.world.api, namespace, self.container.spec
        )
        return missing or messages.non_root_problem(self.pod, self.container.spec)

    async def _load(self) -> None:
        """Take what ConfigMaps and Secrets give the container."""
        self.inputs = await inputs.load(self.world.api, self.pod, self.container.spec)

    async def reload(self) -> None:
        """Take what they give it now, in the same place: its process reads a file again."""
        self.inputs.take(await inputs.load(self.world.api, self.pod, self.container.spec))

    async def _follow(self) -> None:
        """Wait until the process exits, a probe gives it up, or a new image replaces it."""
        if self.container.started:
            self.up.set()
        exited = asyncio.ensure_future(execution.run(self))
        sick = asyncio.ensure_future(probes.watch(self))
        change = asyncio.ensure_future(self._changed.wait())
        tasks: set[asyncio.Future[Any]] = {exited, sick, change}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if exited in done:
            self.terminate(*exited.result())
            await self.note()
            return
        if sick in done:
            await self._kill_sick(sick.result())
            return
        self._changed.clear()
        await self.kill(self._grace(""), messages.killing_changed(self.container.name))
        self._backoff.replace()

    async def _kill_sick(self, probe: str) -> None:
        """End a container whose probe failed; the first time, that does not count for back-off."""
        name, init = self.container.name, self.container.init
        stays_down = self.pod["spec"]["restartPolicy"] == "Never" and not self.container.sidecar
        why = messages.killing_unhealthy(name, probe, init)
        await self.kill(self._grace(probe), messages.killing(name) if stays_down else why)
        self._backoff.spare(self.container.state.get("terminated"))
        if self.ended():
            await self.note()

    def _grace(self, probe: str) -> float:
        spec = self.container.spec
        own = spec.get(f"{probe}Probe", {}).get("terminationGracePeriodSeconds")
        whole = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(own if own is not None else whole)

    async def tell_once(self, reason: str, message: str) -> None:
        """Record an event of ours that one container needs to see only once."""
        if reason not in self._told:
            self._told.add(reason)
            await self.say(Event(reason, message))

    def _now(self) -> float:
        """Seconds of the simulation."""
        return asyncio.get_running_loop().time() * self.world.speed

    @property
    def key(self) -> str:
        """As the owner of facts."""
        return f"{self.pod['metadata']['uid']}/{self.container.name}"

    def under_job(self) -> bool:
        owners = self.pod["metadata"].get("ownerReferences") or []
        return any(owner["kind"] == "Job" for owner in owners)
