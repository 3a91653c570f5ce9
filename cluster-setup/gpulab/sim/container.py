"""One container's life on a node: pull, start, probes, exit, back-off, restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from gpulab.sim import hooks, image_messages, inputs, messages, probes, pulling, references
from gpulab.sim.gpus import Gpu
from gpulab.sim.messages import Event
from gpulab.sim.program import (
    Await,
    CannotStart,
    Exit,
    Memory,
    Program,
    Provide,
    Require,
    Sleep,
    Surroundings,
)
from gpulab.sim.replay import Replay, Run
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, exit_reason, parse, running, terminated, waiting
from gpulab.sim.turns import Turns

OPERATOR = "gpu-operator"  # the namespace of NVIDIA's operator
DRIVER, DRIVER_CONTAINER = "driver", "nvidia-driver-ctr"  # fact, and who provides it
JOB_SECONDS = 5.0  # how long an unmodelled process under a Job takes to finish
KILLED, TERMINATED = 137, 143  # 128 + SIGKILL, 128 + SIGTERM
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
        self._since = _now()
        self._failures = container.restarts
        self._allowed = self._delay = 0.0  # time of the next start, and how long it was put off
        # the end that has been counted: after a restart of the simulator, the one in the status
        self._counted: dict[str, Any] | None = None
        self._inputs = inputs.Inputs()
        self._changed = asyncio.Event()
        self._told: set[str] = set()
        self._spared = False  # whether a failed probe has had its first restart

    # -- what the Pod, its probes and the kubelet server use

    async def run(self) -> None:
        """Return when the container has ended for good."""
        if self.container.running:
            await self._load()
            await self._follow()
        while not self._ended():
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
        return Surroundings(
            self.pod,
            self.container.spec,
            self.node.node.name,
            self._ip(),
            self.world.driver,
            self._visible(),
            self._inputs,
            pace=self.world.pace,
            cdi=self.node.cdi,
            troubles=tuple(self.node.troubles),
            lost=self.node.devices.lost(),
        )

    def _visible(self) -> tuple[Gpu, ...]:
        """The GPUs that it was given; the driver's container and its clients see all."""
        sees_all = self.operand and self.node.facts.holds(DRIVER) and not self.container.gpus
        client = self.pod["spec"].get("runtimeClassName") or self.container.name == DRIVER_CONTAINER
        return self.node.node.gpus if sees_all and client else self.container.gpus

    @property
    def hurried(self) -> bool:
        """Whether it is a container of the GPU Operator's in a lab that is coming up."""
        return self.operand and self.world.pace.hurried(_now(exact=True))

    @property
    def operand(self) -> bool:
        return bool(self.pod["metadata"]["namespace"] == OPERATOR)

    @property
    def address(self) -> str:
        return self._ip()

    def started_at(self, state: dict[str, Any]) -> dt.datetime:
        """When the run of this state began: exactly, if this simulator started it."""
        stamped = parse(state["startedAt"])
        return self._since if self._since.replace(microsecond=0) == stamped else stamped

    def program(self) -> Program | CannotStart:
        """The container's main process."""
        spec = self.container.spec
        found = self.find([*(spec.get("command") or []), *(spec.get("args") or [])])
        if isinstance(found, Program) and not found.modelled and self._under_job():
            return Program(lambda clock: iter([Sleep(JOB_SECONDS), Exit(0)]), modelled=False)
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
        program = self.program()
        if not isinstance(program, Program):
            return False
        if self.container.exit_code == 0:
            ended = parse(self.container.state["terminated"]["finishedAt"])
            left = [(Provide(fact, stays=True), ended) for fact in program.leaves]
        elif self.container.running and program.provides:
            since = self.started_at(self.container.state["running"])
            replay = Replay(program.script, since, self.node.facts)
            left = [(e, since) for e in replay.until(_now(exact=True)) if isinstance(e, Provide)]
            self._provide_started(since)
        else:
            return False
        return any([self._recall(event, at) for event, at in left])

    def _provide_started(self, at: dt.datetime) -> None:
        if not self.container.started or "startupProbe" not in self.container.spec:
            return
        program = self.program()
        if isinstance(program, Program) and program.once_started:
            self.node.facts.provide(program.once_started, self._key, at)

    def _recall(self, event: Provide, at: dt.datetime) -> bool:
        fresh = not self.node.facts.holds(event.fact)
        self.node.facts.provide(event.fact, self._owner(event), at)
        return fresh

    def vanish(self) -> None:
        """The Pod is gone: its process, and what that provided, go with it."""
        if self.container.running:
            self.terminate(KILLED)
        self.node.facts.withdraw(self._key)

    async def say(self, event: Event) -> None:
        await self._say(self.container, event)

    async def note(self) -> None:
        """Have the Pod's status written with what this container shows now."""
        if self.container.started:
            self.up.set()
            self._provide_started(_now(exact=True))
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
        self.node.facts.withdraw(self._key)
        since = parse(container.state["running"]["startedAt"])
        until = max(_now(), since)
        reason = reason or exit_reason(code)
        container.state = terminated(code, reason, since, until, container.container_id)
        container.started = container.ready = False

    # -- steps

    def _ended(self) -> bool:
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
        return await self._start()

    def _held_back(self) -> float:
        """Seconds until the container may start again after it ended."""
        ended = self.container.state.get("terminated") or self.container.last.get("terminated")
        if ended and ended != self._counted:
            self._count_failure(ended)
        return self._allowed - self._now()

    def _count_failure(self, ended: dict[str, Any]) -> None:
        """Restart at once the first time, then after 10 s, 20 s … 300 s."""
        self._counted, self._failures = ended, self._failures + 1
        ran = (parse(ended["finishedAt"]) - parse(ended["startedAt"])).total_seconds()
        if messages.CRASH_LOOP_BACKOFF.reset_s < ran < 10**9:  # not one that never started
            self._failures = 1
        if self._failures > 1:
            delay = messages.CRASH_LOOP_BACKOFF.delay(self._failures - 1)
            self._allowed, self._delay = self._now() + delay, delay

    async def _back_off(self, left: float) -> float:
        container, meta = self.container, self.pod["metadata"]
        if "terminated" in container.state:
            container.last = container.state
        who = (container.name, meta["name"], meta["namespace"], meta["uid"])
        await self.say(messages.crash_back_off(*who))
        text = messages.crash_back_off_waiting(self._delay, *who)
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
        self._inputs = await inputs.load(self.world.api, self.pod, self.container.spec)

    async def _start(self) -> float | None:
        """Start the process; the seconds until the next sync if the runtime or a hook cannot."""
        container, program = self.container, self.program()
        if container.container_id:
            container.restarts += 1
        if "terminated" in container.state:
            container.last = container.state
        container.container_id = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        container.image_id = _image_id(container.spec["image"])
        await self.say(messages.created())
        if isinstance(program, CannotStart):
            text = messages.start_failed(program.executable)
            await self.say(messages.container_error(text))
            self._fail_start(text)
            return await self._give_up(messages.RUN_CONTAINER_ERROR, text)
        self._since = _now(exact=True)
        container.state = running(self._since)
        await self.say(messages.started())
        if failure := await hooks.post_start(self):
            self.terminate(KILLED)
            return await self._give_up(hooks.POST_START_ERROR, failure)
        container.started = "startupProbe" not in container.spec
        container.ready = self._ready_at_once()
        await self.note()
        if not program.modelled:
            await self.tell_once("NotSimulated", _not_simulated(container, self._under_job()))
        return None

    def _ready_at_once(self) -> bool:
        """An init container is ready when it has ended well; others when their probe says so."""
        container = self.container
        if container.init and not container.sidecar:
            return False
        return container.started and "readinessProbe" not in container.spec

    async def _give_up(self, reason: str, message: str) -> float:
        """Show a start that failed: waiting, with the end in `lastState`, if it may try again."""
        container = self.container
        if not self._ended():
            container.last = container.state
            return await self.wait_as(reason, message, pulling.SOON)
        await self.note()
        return 0.0

    async def _follow(self) -> None:
        """Wait until the process exits, a probe gives it up, or a new image replaces it."""
        if self.container.started:
            self.up.set()
        exited = asyncio.ensure_future(self._exit())
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
        self._failures = -1  # the replacement starts at once, and counts as no failure

    async def _kill_sick(self, probe: str) -> None:
        """End a container whose probe failed; the first time, that does not count for back-off.

        A kubelet kills and restarts in one sync, before it has seen that the container ended.
        """
        name, init = self.container.name, self.container.init
        stays_down = self.pod["spec"]["restartPolicy"] == "Never" and not self.container.sidecar
        why = messages.killing_unhealthy(name, probe, init)
        await self.kill(self._grace(probe), messages.killing(name) if stays_down else why)
        if not self._spared:
            self._spared, self._counted = True, self.container.state.get("terminated")
        if self._ended():
            await self.note()

    def _grace(self, probe: str) -> float:
        spec = self.container.spec
        own = spec.get(f"{probe}Probe", {}).get("terminationGracePeriodSeconds")
        whole = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(own if own is not None else whole)

    async def _exit(self) -> tuple[int, str]:
        """Exit code and reason, when it is time; also for a process that started long ago."""
        program = self.program()
        assert isinstance(program, Program)
        run = Run(program.script, self.started_at(self.container.state["running"]))
        facts = self.node.facts
        for event in run:
            if isinstance(event, Sleep):
                due = (run.clock.now - _now(exact=True)).total_seconds() + event.seconds
                await asyncio.sleep(max(due, 0.001))  # also a loop without pause lets others run
            elif isinstance(event, Provide):
                facts.provide(event.fact, self._owner(event), run.clock.now)
            elif isinstance(event, Require) and facts.holds(event.fact) is not event.present:
                return 1, ""
            elif isinstance(event, Await):
                await facts.wait(event.fact, event.present)
                run.waited(facts.since(event.fact, event.present) or _now(exact=True))
            elif isinstance(event, Memory) and self._exceeds(event):
                return KILLED, messages.OOM_KILLED
        return run.code or 0, ""

    def _exceeds(self, use: Memory) -> bool:
        """Whether the kernel ends the process: over its limit, or over all that the node has."""
        node = self.node.node.shape.group.memory_gib * 2**30
        limit = self.container.memory_limit
        return use.mib * 2**20 > (node if limit is None else min(limit, node))

    def _fail_start(self, text: str) -> None:
        never = dt.datetime.fromtimestamp(0, dt.UTC)  # as containerd reports what never ran
        cid = self.container.container_id
        code = messages.START_ERROR_EXIT_CODE
        self.container.state = terminated(code, messages.START_ERROR, never, _now(), cid, text)

    async def tell_once(self, reason: str, message: str) -> None:
        """Record an event of ours that one container needs to see only once."""
        if reason not in self._told:
            self._told.add(reason)
            await self.say(Event(reason, message))

    def _now(self) -> float:
        """Seconds of the simulation."""
        return asyncio.get_running_loop().time() * self.world.speed

    @property
    def _key(self) -> str:
        return f"{self.pod['metadata']['uid']}/{self.container.name}"

    def _owner(self, event: Provide) -> str:
        return str(self.pod["metadata"]["uid"]) if event.stays else self._key

    def _under_job(self) -> bool:
        owners = self.pod["metadata"].get("ownerReferences") or []
        return any(owner["kind"] == "Job" for owner in owners)


def _now(*, exact: bool = False) -> dt.datetime:
    """The time, in whole seconds as status holds it, so that a restart reads what was meant."""
    now = dt.datetime.now(dt.UTC)
    return now if exact else now.replace(microsecond=0)


def _image_id(image: str) -> str:
    """A digest of the name: no registry was asked, so the real one is not known."""
    digest = hashlib.sha256(image_messages.reference(image).encode()).hexdigest()
    return f"{image_messages.reference(image).rpartition(':')[0]}@sha256:{digest}"


def _not_simulated(container: Container, under_job: bool) -> str:
    command = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
    what = f"the command {' '.join(command)!r}" if command else "the image's own command"
    then = f"exits with 0 after {JOB_SECONDS:g} s" if under_job else "runs and prints nothing"
    return f"gpulab does not model {what[:300]}: the container {then}"
