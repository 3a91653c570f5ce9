"""One Pod's life on a node, and the only place that writes its status."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from typing import Any

from gpulab.sim import admitting, claims, messages, references, sandbox, takeover
from gpulab.sim.container import Lifecycle
from gpulab.sim.insisting import insist
from gpulab.sim.messages import Event
from gpulab.sim.report import Report, readiness_gates
from gpulab.sim.runtime import NodeState, Trouble, World
from gpulab.sim.status import Container, waiting
from gpulab.sim.turns import Turns

log = logging.getLogger(__name__)
Pod = dict[str, Any]
# Making the sandbox; also lets the scheduler's event about this Pod come before the first of ours.
SANDBOX_SECONDS = 0.04


class PodWorker:
    """Follows one Pod from its binding to its end."""

    def __init__(self, pod: Pod, node: NodeState, world: World) -> None:
        self.pod = pod
        self._node, self._world = node, world
        self._report = Report.of(pod["status"])
        self._admitted = "startTime" in pod["status"]  # by an earlier simulator
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._report_task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._turns = Turns(self._write)
        self.inits = [self._lifecycle(spec, True) for spec in _specs(pod, "initContainers")]
        self.mains = [self._lifecycle(spec, False) for spec in _specs(pod, "containers")]
        self.extras: list[Lifecycle] = []  # of `kubectl debug`
        self._extra_tasks: list[asyncio.Task[None]] = []
        self._adopt()

    # -- what the kubelet calls

    @property
    def trouble(self) -> Trouble | None:
        """Of its node's kubelet."""
        return self._node.health.trouble

    @property
    def ip(self) -> str:
        return self._report.ip

    @property
    def lifecycles(self) -> list[Lifecycle]:
        return [*self.inits, *self.mains, *self.extras]

    def restore(self) -> None:
        """Take over what an earlier simulator wrote in the Pod's status. Starts nothing."""
        final = self._report.final
        if not final and self._admitted:
            self._node.admitted[self._uid] = self.pod
        if self.ip and not final and not self._on_host_network():
            self._node.addresses.restore(self.ip)
        takeover.take_over(self._node, self.pod, [each.container for each in self.lifecycles])
        if final:
            self._node.devices.free(self._uid)

    def recall(self) -> bool:
        """Provide what its containers provided before; whether anything was new."""
        if self._report.final or self.pod["metadata"].get("deletionTimestamp"):
            return False
        return any([lifecycle.recall() for lifecycle in self.lifecycles])

    def start(self) -> None:
        """Begin, or go on."""
        if self.pod["metadata"].get("deletionTimestamp"):
            self.end()
        elif not self._report.final:
            self._task = _spawn(self._live(), f"Pod {self.pod['metadata']['name']}")
            self._run_extras()

    def update(self, pod: Pod) -> None:
        """Take a newer version of the Pod."""
        gates = readiness_gates(self.pod)
        self.pod = pod
        self._adopt()
        if readiness_gates(pod) != gates:
            self.report()
        kinds = ("initContainers", "containers", "ephemeralContainers")
        specs = [spec for kind in kinds for spec in _specs(pod, kind)]
        for lifecycle, spec in zip(self.lifecycles, specs, strict=True):
            lifecycle.redefine(pod, spec)
        if self._task is not None and not self._report.final:
            self._run_extras()
        if pod["metadata"].get("deletionTimestamp"):
            self.end()

    def end(self) -> None:
        """Stop the containers gracefully, then remove the Pod from the API."""
        if self._ending is None:
            self._ending = _spawn(self._terminate(), f"end of {self.pod['metadata']['name']}")

    def report(self) -> None:
        """Write the status again: something has changed that no container does."""
        if self._task is not None and not self._report.final:
            self._report_task = _spawn(self._turns.note(), f"report {self.pod['metadata']['name']}")

    def evict(self, event: Event) -> None:
        """Fail the Pod: it has used more of the node than it may."""
        if self._task is None or self._task.done() or self._ending is not None:
            return
        self._task.cancel()
        verdict = (event.reason, event.message)
        work = self._fail(verdict, event, messages.EVICTION_GRACE)
        self._task = _spawn(work, f"eviction of {self.pod['metadata']['name']}")

    def forget(self) -> None:
        """Drop everything: the Pod is gone from the API."""
        for task in (self._task, self._ending, self._report_task, *self._extra_tasks):
            if task is not None:
                task.cancel()
        for lifecycle in self.lifecycles:
            lifecycle.vanish()
        self._free()

    def _adopt(self) -> None:
        """Know the containers that `kubectl debug` has added to the spec."""
        for spec in _specs(self.pod, "ephemeralContainers")[len(self.extras) :]:
            self.extras.append(self._lifecycle(spec, False))
            self.extras[-1].container.ephemeral = True

    def _run_extras(self) -> None:
        for lifecycle in self.extras[len(self._extra_tasks) :]:
            self._extra_tasks.append(_spawn(lifecycle.run(), lifecycle.container.name))

    # -- the life

    async def _live(self) -> None:
        if not self.ip and not await self._set_up():
            return
        await self._recall_claims()
        sidecars: list[asyncio.Task[None]] = []
        try:
            async with self._deadline():
                for lifecycle in self.inits:
                    if lifecycle.container.sidecar:
                        sidecars.append(_spawn(lifecycle.run(), lifecycle.container.name))
                        await lifecycle.up.wait()
                    elif not await self._complete(lifecycle):
                        return await self._close(sidecars)
                self._begin_mains()
                await asyncio.gather(*(lifecycle.run() for lifecycle in self.mains))
        except TimeoutError:
            _cancel(sidecars)
            return await self._expire()
        except asyncio.CancelledError:
            _cancel(sidecars)
            raise
        await self._close(sidecars)

    async def _set_up(self) -> bool:
        """Admit the Pod, mount its volumes, make its sandbox; False if it was refused."""
        await self._node.health.wait()
        if not self._admitted:
            if not await self._admit():
                return False
            await self._write()
        pause = messages.MOUNT_RETRY
        while event := await references.mount_problem(self._world.api, self.pod):
            await self._say(None, event)
            await self._world.pass_time(pause)
            pause = min(pause * 2, messages.MOUNT_RETRY_MAX)
        if claims.has_claims(self.pod):
            given = [each.container for each in self.lifecycles]
            await claims.wait(self._world, self._node, self.pod, given, self._say)
        await self._world.pass_time(SANDBOX_SECONDS)
        await sandbox.wait_for_runtime(self._world, self._node, self.pod, self._say)
        self._set_up_network()
        return True

    async def _recall_claims(self) -> None:
        """Know the devices of claims that an earlier simulator has prepared."""
        given = [each.container for each in self.lifecycles]
        if claims.has_claims(self.pod) and not any(one.devices for one in given):
            with contextlib.suppress(claims.ClaimProblem):
                await claims.prepare(self._world, self._node, self.pod, given)

    async def _complete(self, lifecycle: Lifecycle) -> bool:
        """Run an init container to its end; one that had ended well before stays ended."""
        await lifecycle.run()
        return lifecycle.container.exit_code == 0

    def _deadline(self) -> asyncio.Timeout:
        """`activeDeadlineSeconds`, counted from the Pod's start."""
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return asyncio.timeout(None)
        spent = (dt.datetime.now(dt.UTC) - self._report.started).total_seconds()
        return asyncio.timeout(max(float(seconds) - spent, 0))

    async def _expire(self) -> None:
        """Fail the Pod: it was active for longer than it may be."""
        event = Event(*messages.DEADLINE_EXCEEDED)
        await self._fail(messages.DEADLINE_EXCEEDED, event, self._grace())
        await self._say(None, event)

    def _grace(self) -> float:
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def _fail(self, verdict: messages.Verdict, event: Event, grace: float) -> None:
        """Stop the containers, and fail the Pod as a whole."""
        self._report.verdict = verdict
        await self._say(None, event)
        await asyncio.gather(*(lifecycle.kill(grace) for lifecycle in self.lifecycles))
        await self._write(terminal=True)
        self._free()

    async def _admit(self) -> bool:
        """Ask the node for devices and room; a Pod that does not get them is rejected."""
        inits, mains = ([c.container for c in group] for group in (self.inits, self.mains))
        event = await admitting.admit(self._world, self._node, self.pod, inits, mains)
        if event is not None:
            await self._reject(event)
            return False
        reason = messages.POD_INITIALIZING if self.inits else messages.CONTAINER_CREATING
        for lifecycle in self.lifecycles:
            lifecycle.container.state = waiting(reason)
        return True

    async def _reject(self, event: Event) -> None:
        await self._say(None, event)
        await self._patch(self._report.reject((event.reason, messages.rejected(event.message))))

    def _begin_mains(self) -> None:
        self._report.initialized = True
        for lifecycle in self.mains:
            state = lifecycle.container.state
            if state.get("waiting", {}).get("reason") == messages.POD_INITIALIZING:
                lifecycle.container.state = waiting(messages.CONTAINER_CREATING)

    def _set_up_network(self) -> None:
        on_host = self._on_host_network()
        self._report.ip = self._node.node.ip if on_host else self._node.addresses.take()

    async def _close(self, sidecars: list[asyncio.Task[None]]) -> None:
        """The main containers have ended for good: then sidecars, last status, devices, address."""
        _cancel(sidecars)
        grace = self._grace()
        for lifecycle in [*self.extras, *reversed(self.inits)]:
            await lifecycle.kill(grace)
        await self._write(terminal=True)
        self._free()

    async def _terminate(self) -> None:
        if self._task is not None:
            self._task.cancel()
        grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        if not self._report.final:
            await self._stop(grace)
        self._free()
        await self._remove()

    async def _stop(self, grace: float) -> None:
        """Kill what runs; what never ran is shown as the kubelet shows it."""
        await self._node.health.wait()
        await asyncio.gather(*(lifecycle.kill(grace) for lifecycle in self.lifecycles))
        waiting_ones = [c for c in self.lifecycles if "waiting" in c.container.state]
        never_ran = [c.container for c in waiting_ones if not c.container.last]
        if never_ran and self.ip:
            for container in never_ran:
                container.state = waiting(messages.CONTAINER_CREATING)
            await self._write()
        for lifecycle in waiting_ones:
            container = lifecycle.container
            container.state = container.last or dict(messages.NOT_LOCATED)
        await self._write(terminal=True)

    async def _remove(self) -> None:
        await self._node.health.wait()
        api, path = self._world.api, self._path()
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        await insist(api, path, self._uid, lambda: api.delete(path, body))

    # -- status

    async def _write(self, *, terminal: bool = False) -> None:
        """Write the whole status as the containers' states give it."""
        if self._unfinished() and not terminal:
            return
        inits, mains, extras = (
            [each.container for each in group] for group in (self.inits, self.mains, self.extras)
        )
        status = self._report.compose(
            self.pod,
            inits,
            mains,
            extras,
            self._node.node.ip,
            terminal=terminal,
            sick=self._node.devices.sick,
        )
        await self._patch(status)

    async def _patch(self, status: dict[str, Any]) -> None:
        await self._node.health.wait()
        api, path = self._world.api, self._path()
        body = {"metadata": {"uid": self._uid}, "status": status}
        async with self._writing:
            await insist(api, path, self._uid, lambda: api.patch(f"{path}/status", body))

    def _unfinished(self) -> bool:
        """Whether its status can wait: an operand's, in a hurry, until all of it is ready."""
        ready = all(lifecycle.container.ready for lifecycle in self.mains)
        return self.mains[0].hurried and not ready and self._ending is None

    async def _say(self, container: Container | None, event: Event) -> None:
        if self.mains[0].hurried and event.type == "Normal":
            return  # as on a cluster that was set up long ago: events last for an hour
        await self._node.health.wait()
        name, init = (container.name, container.init) if container else ("", False)
        await self._world.recorder.record(self.pod, self._node.node.name, event, name, init)

    # -- parts

    @property
    def _uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    def _path(self) -> str:
        meta = self.pod["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    def _on_host_network(self) -> bool:
        return bool(self.pod["spec"].get("hostNetwork"))

    def _free(self) -> None:
        self._node.devices.free(self._uid)
        claims.release(self._node, [each.container for each in self.lifecycles])
        self._node.admitted.pop(self._uid, None)
        self._node.facts.withdraw(self._uid)
        if self.ip and not self._on_host_network():
            self._node.addresses.free(self.ip)

    def _lifecycle(self, spec: dict[str, Any], init: bool) -> Lifecycle:
        return Lifecycle(
            Container(spec, init),
            self.pod,
            self._node,
            self._world,
            say=self._say,
            turns=self._turns,
            ip=lambda: self.ip,
        )


def _specs(pod: Pod, key: str) -> list[dict[str, Any]]:
    return pod["spec"].get(key) or []


def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


def _spawn(work: Any, name: str) -> asyncio.Task[None]:
    """A task whose failure is logged and stops nothing else."""
    task: asyncio.Task[None] = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s failed", task.get_name(), exc_info=error)
