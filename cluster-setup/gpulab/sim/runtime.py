"""What the kubelets share, and what each of them keeps about its node."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from gpulab.sim.addresses import AddressPool
from gpulab.sim.api import Api
from gpulab.sim.devices import DevicePool, Xid
from gpulab.sim.events import Recorder
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import Driver
from gpulab.sim.images import Images
from gpulab.sim.nodes import Node
from gpulab.sim.pace import Pace
from gpulab.sim.workloads import Catalogue

Trouble = Literal["runtime-down", "silent"]


@dataclass
class World:
    """The API server and the behaviour that comes from data files."""

    api: Api
    recorder: Recorder
    images: Images
    workloads: Catalogue
    driver: Driver
    speed: float  # divides pull, back-off and grace times; may change while we run
    pace: Pace = field(default_factory=Pace)

    async def pass_time(self, seconds: float) -> None:
        """Wait so many simulated seconds."""
        await asyncio.sleep(seconds / self.speed)


class Health:
    """Whether a node's kubelet can do its work; None is no trouble."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self._well = asyncio.Event()
        self._well.set()

    def set(self, trouble: Trouble | None) -> None:
        self.trouble = trouble
        if trouble is None:
            self._well.set()
        else:
            self._well.clear()

    async def wait(self) -> None:
        """Return once the kubelet works; at once if it does."""
        await self._well.wait()


@dataclass
class NodeState:
    """One node's devices, addresses and images."""

    node: Node
    devices: DevicePool = field(init=False)
    addresses: AddressPool = field(init=False)
    images: set[str] = field(default_factory=set)
    cdi: bool = True  # how the device plugin that registered last hands over GPUs
    facts: Facts = field(default_factory=Facts)
    defects: set[str] = field(default_factory=set)  # facts that hold as long as a fault does
    troubles: list[Xid] = field(default_factory=list)  # all that its GPUs have ever reported
    health: Health = field(default_factory=Health)
    registered_before: bool = False  # whether a device plugin ever did
    # as kubelet's serializeImagePulls: a second Pod finds the image that the first one pulled
    pulling: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    # Pods that count against the node's room, by UID
    admitted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.devices = DevicePool(self.node.gpus)
        self.addresses = AddressPool(self.node.pod_cidr)
