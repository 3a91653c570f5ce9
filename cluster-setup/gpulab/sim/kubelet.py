"""All simulated kubelets: they register their nodes and follow the Pods bound to them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp

from gpulab.sim import ailing, causes, eviction
from gpulab.sim.api import Api, ApiError, Object
from gpulab.sim.causes import Injected
from gpulab.sim.devices import Xid
from gpulab.sim.nodes import Node, Server, manifest, status
from gpulab.sim.offered import Offer
from gpulab.sim.pod import PodWorker
from gpulab.sim.publishing import Publisher
from gpulab.sim.runtime import NodeState, Trouble, World

log = logging.getLogger(__name__)
BOUND = "/api/v1/pods?fieldSelector=spec.nodeName!="
PHASES = {None: "Running", "runtime-down": "Pending", "silent": "Terminated"}  # see kwok.yaml
AT_ONCE = 20  # requests in flight while nodes register
# on every node from the start, as the sandbox image is on a real one
PRESENT = ("registry.k8s.io/pause:3.10.1",)


class Kubelets:
    """One object for all nodes of the fleet; a worker per Pod."""

    def __init__(
        self,
        nodes: dict[str, Node],
        world: World,
        server: Server,
        images: Iterable[str] = (),
    ) -> None:
        self.nodes = {name: NodeState(node, {*PRESENT, *images}) for name, node in nodes.items()}
        self._world = world
        self._server = server
        world.pods_on = self.pods_on
        self._workers: dict[str, PodWorker] = {}  # by Pod UID
        having = (state for state in self.nodes.values() if state.node.gpus)
        self._offers = {state.node.name: Offer(state, world) for state in having}
        having = (state for state in self.nodes.values() if state.node.gpus)
        self._publishers = {state.node.name: Publisher(state, world) for state in having}

    async def register(self) -> None:
        """Create each Node, or renew the status of one that exists."""
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._register(state.node, gate) for state in self.nodes.values()))

    async def follow(self) -> None:
        """Follow the Pods, and write what each node offers; for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._world.api.follow(BOUND, self._changed, self._listed))
            group.create_task(eviction.watch(self._world, self._workers.values))
            for offer in self._offers.values():
                group.create_task(offer.run())
            for publisher in self._publishers.values():
                group.create_task(publisher.run())

    async def follow_causes(self, path: Path) -> None:
        """Let go wrong what the file says; for ever."""
        news: asyncio.Queue[list[Injected]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(causes.follow(path, news.put_nowait))
            while True:
                await self._break(await news.get())

    async def _break(self, faults: list[Injected]) -> None:
        now = [each for each in faults if each.until is None]
        troubles = {each.node: each.cause.kubelet for each in now if each.cause.kubelet}
        for name, state in self.nodes.items():
            trouble = troubles.get(name)
            if trouble != state.health.trouble:
                state.health.set(trouble)
                await self._tell_kwok(name, trouble)
            if ailing.take(state, [each for each in faults if each.node == name]):
                self._offers[name].look()
            self._judge_devices(state, [each for each in faults if each.node == name])

    def _judge_devices(self, state: NodeState, faults: list[Injected]) -> None:
        """Mark the GPUs that are sick now, and tell whom it concerns."""
        gpus, sick = state.node.gpus, dict[str, int]()
        state.troubles.clear()
        for each in faults:
            if (cause := each.cause.gpu) is None or cause.xid is None or cause.index >= len(gpus):
                continue
            uuid = gpus[cause.index].uuid
            state.troubles.append(Xid(each.since, uuid, cause.xid))
            if each.until is None:
                sick[uuid] = cause.xid
        changed = sick.keys() ^ state.devices.sick.keys()
        state.devices.sick = sick
        if changed:
            self._offers[state.node.name].look()
            self._publishers[state.node.name].look()
            for uid in state.devices.holders(changed):
                self._workers[uid].report()

    async def _tell_kwok(self, node: str, trouble: Trouble | None) -> None:
        """Stages look at the phase, which nothing else has used since Kubernetes 1.0."""
        status = {"phase": PHASES[trouble]}
        while True:
            try:
                await self._world.api.patch(f"/api/v1/nodes/{node}/status", {"status": status})
                return
            except ApiError as error:
                if error.status == 404:
                    return
                log.warning("phase of %s: %s; trying again", node, error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("phase of %s: %s; trying again", node, error)
            await asyncio.sleep(0.5)

    def pods_on(self, node: str) -> list[Object]:
        """The Pods bound to a node."""
        every = [worker.pod for worker in self._workers.values()]
        return [pod for pod in every if pod["spec"]["nodeName"] == node]

    def busy_gpus(self, node: str) -> set[str]:
        """UUIDs of the GPUs that running containers have, whole or in part."""
        mine = (w for w in self._workers.values() if w.pod["spec"]["nodeName"] == node)
        running = (each.container for w in mine for each in w.lifecycles if each.container.running)
        return {device.gpu.uuid for container in running for device in container.devices}

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a Pod by name."""
        for worker in self._workers.values():
            meta = worker.pod["metadata"]
            if meta["name"] == name and meta["namespace"] == namespace:
                return worker
        return None

    async def _register(self, node: Node, gate: asyncio.Semaphore) -> None:
        async with gate:
            api = self._world.api
            try:
                await api.create("/api/v1/nodes", manifest(node, self._server))
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                known = await api.patch(
                    f"/api/v1/nodes/{node.name}/status", {"status": status(node, self._server)}
                )
                if offer := self._offers.get(node.name):
                    offer.adopt(known)

    def _listed(self, pods: list[Object]) -> None:
        """Restore every allocation before the first new one is made."""
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._workers.keys() - present:
            self._workers.pop(uid).forget()
        fresh = []
        for pod in pods:
            if worker := self._workers.get(pod["metadata"]["uid"]):
                worker.update(pod)
            elif worker := self._make(pod):
                worker.restore()
                fresh.append(worker)
        while any([worker.recall() for worker in fresh]):
            pass  # some facts rest on others
        for worker in fresh:
            worker.start()

    async def _changed(self, event: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event == "DELETED":
            if worker is not None:
                self._workers.pop(uid).forget()
        elif worker is not None:
            worker.update(pod)
        elif worker := self._make(pod):
            worker.restore()
            worker.start()

    def _make(self, pod: dict[str, Any]) -> PodWorker | None:
        state = self.nodes.get(pod["spec"]["nodeName"])
        if state is None:
            return None
        worker = self._workers[pod["metadata"]["uid"]] = PodWorker(pod, state, self._world)
        return worker


async def wait_for(api: Api, seconds: float) -> None:
    """Wait until the API server is ready; TimeoutError says what was seen last.

    Ready, not just answering: a thousand nodes that register while it comes up keep it from it for
    longer than the controller manager waits before it gives up (10 s).
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await api.text("/readyz")
            await api.get("/api/v1/namespaces/default")
            return
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(
                    f"the API server was not ready in {seconds} s: {error}"
                ) from None
        await asyncio.sleep(0.05)
