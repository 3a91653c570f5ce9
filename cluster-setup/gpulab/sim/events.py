"""Events as a kubelet's recorder writes them: equal ones are counted, not repeated."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

import aiohttp

from gpulab.sim.api import Api, ApiError
from gpulab.sim.messages import Event
from gpulab.sim.times import stamp

log = logging.getLogger(__name__)
MAX_KNOWN = 4096  # as many as client-go's correlator keeps


class Recorder:
    """Writes Events about Pods."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, ...], tuple[str, int]] = {}  # key → (Event name, count)

    async def record(
        self, pod: dict[str, Any], node: str, event: Event, container: str = "", init: bool = False
    ) -> None:
        """Record `event` about a Pod, or about one of its containers."""
        meta = pod["metadata"]
        kind = "initContainers" if init else "containers"
        path = f"spec.{kind}{{{container}}}" if container else ""
        key = (meta["uid"], path, event.type, event.reason, event.message)
        now = _after_scheduling(pod, dt.datetime.now(dt.UTC))
        try:
            if key in self._known:
                await self._count(meta["namespace"], key, now)
            else:
                await self._create(meta, node, event, path, key, now)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            # a namespace that is going away takes none; nor does an API server that is away
            log.info("event %s of %s: %s", event.reason, meta["name"], error)

    async def _create(
        self,
        meta: dict[str, Any],
        node: str,
        event: Event,
        path: str,
        key: tuple[str, ...],
        now: dt.datetime,
    ) -> None:
        # the moment, as in client-go: `now` may be one that several events share
        name = f"{meta['name'][:200]}.{time.time_ns():x}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
                **({"fieldPath": path} if path else {}),
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "source": {"component": "kubelet", "host": node},
            "reportingComponent": "kubelet",
            "reportingInstance": node,
            "firstTimestamp": stamp(now),
            "lastTimestamp": stamp(now),
            "count": 1,
        }
        if len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (name, 1)
        await self._api.create(f"/api/v1/namespaces/{meta['namespace']}/events", body)

    async def _count(self, namespace: str, key: tuple[str, ...], now: dt.datetime) -> None:
        name, count = self._known[key]
        self._known[key] = (name, count + 1)
        path = f"/api/v1/namespaces/{namespace}/events/{name}"
        await self._api.patch(path, {"count": count + 1, "lastTimestamp": stamp(now)})


def _after_scheduling(pod: dict[str, Any], now: dt.datetime) -> dt.datetime:
    """Move an event of the very second in which the Pod was scheduled into the next one.

    These stamps hold whole seconds and the scheduler's event holds fractions, so kubectl would
    show it last. A real kubelet's first event comes about a second later.
    """
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("lastTransitionTime"):
            second = dt.datetime.fromisoformat(condition["lastTransitionTime"])
            return max(now, second + dt.timedelta(seconds=1))
    return now
