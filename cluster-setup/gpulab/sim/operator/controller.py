"""The operator's loop: look, decide (plan.py), write. It works while its own Pod runs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import aiohttp

from gpulab.sim.api import MERGE, Api, ApiError
from gpulab.sim.dra import REGISTERED as DRA
from gpulab.sim.operator import plan, policy
from gpulab.sim.operator.cache import CLUSTERS, KINDS, NODES, POLICIES, Cache
from gpulab.sim.operator.manifests import NAMESPACE
from gpulab.sim.operator.node_level import enabled, facts, provide
from gpulab.sim.operator.operands import Operand
from gpulab.sim.operator.plan import Plan
from gpulab.sim.operator.status import READY
from gpulab.sim.pace import Pace
from gpulab.sim.plugin import REGISTERED
from gpulab.sim.runtime import NodeState
from gpulab.sim.times import stamp

log = logging.getLogger(__name__)
Object = dict[str, Any]
MANAGER = "gpu-operator"  # as the manager of the fields that it writes
RUNS = "gpu-operator"  # the fact that its container provides
REQUEUE = 5.0  # seconds until it looks again while something is not ready
TOGETHER = 0.02  # changes that come so close are looked at at once
AT_ONCE = 20  # requests in flight
HURRY = 60.0  # seconds after which even a lab that is not ready goes on at the learner's speed
WITH_PODS = 50  # nodes; in larger fleets operands are simulated on the nodes


class Operator:
    """One operator for the cluster."""

    def __init__(
        self, api: Api, operands: Sequence[Operand], nodes: Mapping[str, NodeState], pace: Pace
    ) -> None:
        self._api, self._operands, self._nodes, self._pace = api, operands, nodes, pace
        self._wake = asyncio.Event()
        self._cache = Cache(api, self._wake.set, self._learn)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.with_pods = len(nodes) <= WITH_PODS
        self._held: bool | None = None  # while it is installed: whether Pods are to wait
        for state in nodes.values():
            state.facts.listen(lambda fact: self._wake.set())

    def _learn(self, node: str, labels: dict[str, str]) -> None:
        if state := self._nodes.get(node):
            state.learn(labels)

    def hold(self) -> None:
        """Work before its own Pod runs, and leave DaemonSets for later."""
        self._held = True

    def release(self) -> None:
        """Go on with DaemonSets: the nodes are ready."""
        self._held = False
        self._wake.set()

    async def run(self) -> None:
        """Work, for ever; what the API server refuses is reported and stops nothing else."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cache.follow())
            group.create_task(self._loop())
            group.create_task(self._calm())

    async def _calm(self) -> None:
        while self._held:
            await asyncio.sleep(1)
        await asyncio.sleep(HURRY)
        self._pace.settle()

    async def _loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), REQUEUE)
            await asyncio.sleep(TOGETHER)
            self._wake.clear()
            try:
                await self._reconcile()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("operator: %s; trying again", error)
            except (ValueError, TypeError, KeyError, AttributeError):  # a defect of ours
                log.exception("operator: trying again")

    async def _reconcile(self) -> None:
        if not self._cache.complete or not self._runs():
            return
        seen = self._cache.seen
        found = plan.make(seen, self._operands, self.with_pods)
        await self._carry_out(found)
        if not self.with_pods:
            provide(self._nodes, seen, self._operands)
        for name, after in plan.statuses(seen, found, NAMESPACE, _now()).items():
            path = f"{POLICIES}/{name}/status"
            await self._try(self._api.patch(path, {"status": after}, MERGE, MANAGER))
        for name, after in plan.cluster_statuses(seen, found, NAMESPACE, _now()).items():
            path = f"{CLUSTERS}/{name}/status"
            await self._try(self._api.patch(path, {"status": after}, MERGE, MANAGER))
        if self._settled(found):
            self._pace.settle()

    def _runs(self) -> bool:
        """Whether the operator's Pod does, or need not yet."""
        early = self._held is not None and self._pace.patient_from is None
        return early or self._has_pod()

    def _has_pod(self) -> bool:
        return any(state.facts.holds(RUNS) for state in self._nodes.values())

    def _settled(self, found: Plan) -> bool:
        """Whether the GPUs that the labels promise are there; a new cluster is ready as a whole."""
        seen = self._cache.seen
        if policy.in_charge(seen.policies.values()) is None:
            if seen.clusters:
                return self._claims_are_served()
            return self._held is None  # none is coming
        ready = plan.verdict(seen, found)[0] == READY and self._has_pod()
        if found.labels or (self._held is not None and not ready):
            return False
        on = enabled(seen, self._operands)
        wanted = (name for name, each in seen.nodes.items() if REGISTERED in facts(each, on))
        states = (self._nodes[name] for name in wanted if name in self._nodes)
        return all(state.facts.holds(REGISTERED) for state in states)

    def _claims_are_served(self) -> bool:
        mine = [state for state in self._nodes.values() if state.node.gpus]
        return self._has_pod() and all(state.facts.holds(DRA) for state in mine)

    # -- writing

    async def _carry_out(self, found: Plan) -> None:
        await asyncio.gather(*(self._label(*each) for each in found.labels.items()))
        for key in found.delete:
            await self._try(self._api.delete(_path(key), {"propagationPolicy": "Background"}))
        first = [each for each in found.create if each[1]["kind"] != "DaemonSet"]
        then = [each for each in found.create if each[1]["kind"] == "DaemonSet" and not self._held]
        for group in (first, then):
            await asyncio.gather(*(self._create(found, *each) for each in group))
        for state, item in found.update:
            await self._report(found, state, self._replace(item))

    async def _label(self, node: str, change: Mapping[str, str | None]) -> None:
        body = {"metadata": {"labels": change}}
        async with self._gate:
            await self._try(self._api.patch(f"{NODES}/{node}", body, MERGE, MANAGER))

    async def _create(self, found: Plan, state: str, item: Object) -> None:
        path = KINDS[item["kind"]]
        async with self._gate:
            await self._report(found, state, self._api.create(path, item, MANAGER))

    async def _replace(self, item: Object) -> None:
        path = _path(plan.key_of(item))
        now = await self._api.get(path)
        version = now["metadata"]["resourceVersion"]
        body = item | {"metadata": item["metadata"] | {"resourceVersion": version}}
        await self._api.replace(path, body, MANAGER)

    async def _report(self, found: Plan, state: str, request: Awaitable[Any]) -> None:
        """Note in the plan that a state's object was refused."""
        try:
            await request
        except ApiError as error:
            if error.reason not in ("AlreadyExists", "NotFound", "Conflict"):
                found.failures[state] = error.message

    async def _try(self, request: Awaitable[Any]) -> None:
        """What is gone meanwhile needs no change; what is refused is logged."""
        try:
            await request
        except ApiError as error:
            if error.status not in (404, 409):
                log.warning("operator: %s", error)


def _path(key: plan.Key) -> str:
    return f"{KINDS[key[0]]}/{key[1]}"


def _now() -> str:
    return stamp(dt.datetime.now(dt.UTC))
