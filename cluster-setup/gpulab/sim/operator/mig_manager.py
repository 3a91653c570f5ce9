"""What nvidia-mig-manager does on a node: it cuts the GPUs as the label nvidia.com/mig.config says.

After NVIDIA/mig-parted bd7160f4 (v0.15.0), cmd/nvidia-mig-manager and pkg/mig/reconfigure; lines of
its log are theirs, a selection, without stamps.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from gpulab.sim import hardware
from gpulab.sim.api import MERGE, ApiError
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.operator import mig_config
from gpulab.sim.operator.driver_manager import CLIENTS
from gpulab.sim.operator.manifests import NAMESPACE
from gpulab.sim.operator.mig_config import MigError
from gpulab.sim.runtime import NodeState, World

log = logging.getLogger(__name__)
Object = dict[str, Any]
RUNS = LOG = MANAGER = "mig-manager"  # the fact that its container runs; its log
APP = "nvidia-mig-manager"
CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
PAUSED = "paused-for-mig-change"
DEPLOY = "nvidia.com/gpu.deploy."
PAUSES = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm", "client")
SHUT_DOWN = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm")
SECONDS = 300.0  # until it gives up waiting for Pods
TAKES = 5.0  # for the change itself on a real node, our reading
VALIDATOR = "nvidia-operator-validator"


class MigManager:
    """Serves the MIG managers of all nodes; `path` is where the GPUs keep how they are cut."""

    def __init__(self, kubelets: Kubelets, world: World, path: Path) -> None:
        self._kubelets, self._world, self._path = kubelets, world, path
        self._tasks: dict[str, asyncio.Task[None]] = {}
        kept = hardware.read(path)
        for name, state in kubelets.nodes.items():
            state.layout = hardware.layout(kept, state.node.gpus)
            state.facts.listen(partial(self._changed, name, state))

    def _changed(self, name: str, node: NodeState, fact: str) -> None:
        if fact != RUNS:
            return
        if task := self._tasks.pop(name, None):
            task.cancel()
        if node.facts.holds(RUNS):
            self._tasks[name] = asyncio.create_task(self._serve(node), name=f"MIG of {name}")

    async def _serve(self, node: NodeState) -> None:
        """Follow the label, for ever."""
        done, relabelled = "", asyncio.Event()
        node.relabelled.append(relabelled.set)
        try:
            await self._try(self._publish(node))
            while True:
                node.note(LOG, f"Waiting for change to '{CONFIG}' label")
                while (wanted := node.labels.get(CONFIG, "")) in ("", done):
                    relabelled.clear()
                    await relabelled.wait()
                node.note(LOG, f"Updating to MIG config: {wanted}")
                await self._try(self._reconfigure(node, wanted))
                done = wanted
        finally:
            node.relabelled.remove(relabelled.set)

    async def _try(self, work: Any) -> None:
        try:
            await work
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("MIG manager: %s", error)

    # -- the configuration

    async def _publish(self, node: NodeState) -> None:
        """Write the ConfigMap with all configurations that the hardware can have."""
        if self._custom(node) is not None:
            node.note(LOG, "Using custom config: /mig-parted-config/config.yaml")
            return
        node.note(LOG, "Generating MIG configuration from hardware...")
        node.note(LOG, "Generated config: /etc/nvidia-mig-manager/generated-config.yaml")
        name, path = f"{node.node.name}-mig-config", f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        body = self._config_map(node, name)
        try:
            await self._world.api.create(path, body, MANAGER)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await self._world.api.patch(f"{path}/{name}", body, MERGE, MANAGER)
        node.note(LOG, f"Created/updated ConfigMap: {NAMESPACE}/{name}")

    def _config_map(self, node: NodeState, name: str) -> Object:
        pod = self._pod(node, APP)["metadata"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
        labels = {"app.kubernetes.io/component": APP, "nvidia.com/node-name": node.node.name}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "data": {"config.yaml": mig_config.generated(node.node.gpus[0].model)},
        }

    def _pod(self, node: NodeState, app: str) -> Object:
        every = self._kubelets.pods_on(node.node.name)
        named = (pod for pod in every if (pod["metadata"].get("labels") or {}).get("app") == app)
        return next(pod for pod in named if pod["metadata"]["namespace"] == NAMESPACE)

    def _custom(self, node: NodeState) -> str | None:
        """The ConfigMap that the ClusterPolicy names, if it names one."""
        spec = self._pod(node, APP)["spec"]
        env = {each["name"]: each.get("value") for each in spec["containers"][0].get("env") or []}
        volumes = {each["name"]: each for each in spec.get("volumes") or []}
        found = volumes.get("mig-parted-config", {}).get("configMap", {}).get("name")
        return str(found) if "CONFIG_FILE" in env and found else None

    async def _text(self, node: NodeState) -> str:
        name = self._custom(node)
        if name is None:
            return mig_config.generated(node.node.gpus[0].model)
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"
        found = (await self._world.api.get(path)).get("data") or {}
        return str(found.get("config.yaml", ""))

    # -- the change

    async def _reconfigure(self, node: NodeState, wanted: str) -> None:
        before = dict(node.labels)
        node.note(LOG, f"Current value of '{STATE}={before.get(STATE, '')}'")
        node.note(
            LOG,
            "Asserting that the requested configuration is present in the configuration file",
        )
        try:
            entries = mig_config.select(await self._text(node), wanted)
        except MigError as error:
            return await self._fail(node, before, error, "validate MIG configuration")
        node.note(LOG, "Selected MIG configuration is valid")
        node.note(LOG, "Checking if the selected MIG config is currently applied or not")
        if self._is_applied(node, entries):
            node.note(LOG, "Selected MIG config is already applied")
            return await self._end(node, before, "success")
        await self._shut_down(node, before)
        await asyncio.sleep(self._world.pace.seconds(dt.datetime.now(dt.UTC), TAKES))
        try:
            self._apply(node, entries)
        except MigError as error:
            return await self._fail(node, before, error, "apply MIG configuration")
        node.note(LOG, "MIG configuration applied successfully")
        node.note(LOG, "Restarting validator pod to re-run all validations")
        await self._delete(node, VALIDATOR)
        await self._end(node, before, "success")
        node.note(LOG, f"Successfully updated to MIG config: {wanted}")

    def _is_applied(self, node: NodeState, entries: list[mig_config.Entry]) -> bool:
        with contextlib.suppress(MigError):
            return mig_config.apply(entries, node.node.gpus, node.layout, set()) == node.layout
        return False

    def _apply(self, node: NodeState, entries: list[mig_config.Entry]) -> None:
        node.note(LOG, "Applying the selected MIG config to the node")
        busy = self._kubelets.busy_gpus(node.node.name)
        node.layout = mig_config.apply(entries, node.node.gpus, node.layout, busy)
        hardware.keep(self._path, [each.layout for each in self._kubelets.nodes.values()])

    async def _shut_down(self, node: NodeState, before: Mapping[str, str]) -> None:
        """Take the GPUs' clients off the node, and wait until they are gone."""
        await self._label(node, {STATE: "pending"})
        node.note(
            LOG,
            "Shutting down all GPU clients in Kubernetes by disabling their component-specific "
            "nodeSelector labels",
        )
        await self._label(node, _clients(before, PAUSED))
        async with asyncio.timeout(SECONDS):
            for suffix in SHUT_DOWN:
                node.note(LOG, f"Waiting for {suffix} to shutdown")
                while self._has(node, CLIENTS[f"{DEPLOY}{suffix}"]):
                    await asyncio.sleep(0.05)

    def _has(self, node: NodeState, app: str) -> bool:
        with contextlib.suppress(StopIteration):
            return bool(self._pod(node, app))
        return False

    async def _delete(self, node: NodeState, app: str) -> None:
        if self._has(node, app):
            name = self._pod(node, app)["metadata"]["name"]
            with contextlib.suppress(ApiError):  # gone already
                await self._world.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {})

    async def _fail(
        self, node: NodeState, before: Mapping[str, str], error: MigError, what: str
    ) -> None:
        first, *rest = str(error).split("\n")
        for line in (first[:1].upper() + first[1:], *rest):
            node.note(LOG, line)
        await self._end(node, before, "failed")
        node.note(LOG, f"Error: failed to {what}: exit status 1")

    async def _end(self, node: NodeState, before: Mapping[str, str], state: str) -> None:
        node.note(
            LOG,
            "Restarting any GPU clients previously shutdown in Kubernetes by reenabling their "
            "component-specific nodeSelector labels",
        )
        await self._label(node, _clients(before, "true"))
        node.note(LOG, f"Changing the '{STATE}' node label to '{state}'")
        await self._label(node, {STATE: state})

    async def _label(self, node: NodeState, labels: Mapping[str, str]) -> None:
        path = f"/api/v1/nodes/{node.node.name}"
        await self._world.api.patch(path, {"metadata": {"labels": labels}}, MERGE, MANAGER)


def _clients(before: Mapping[str, str], value: str) -> dict[str, str]:
    """What the labels of the GPUs' clients become; one that was off stays off."""
    keys = [f"{DEPLOY}{suffix}" for suffix in PAUSES]
    known = [key for key in keys if key in before]
    return {key: "false" if before[key] == "false" else value for key in known}
