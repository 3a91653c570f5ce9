"""What the kubelets share, and what each of them keeps about its node."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from gpulab.sim.addresses import AddressPool
from gpulab.sim.api import Api
from gpulab.sim.devices import DevicePool
from gpulab.sim.events import Recorder
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import Driver
from gpulab.sim.images import Images
from gpulab.sim.nodes import Node
from gpulab.sim.pace import Pace
from gpulab.sim.workloads import Catalogue


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


@dataclass
class NodeState:
    """One node's devices, addresses and images."""

    node: Node
    devices: DevicePool = field(init=False)
    addresses: AddressPool = field(init=False)
    images: set[str] = field(default_factory=set)
    cdi: bool = True  # how the device plugin that registered last hands over GPUs
    facts: Facts = field(default_factory=Facts)
    registered_before: bool = False  # whether a device plugin ever did
    # as kubelet's serializeImagePulls: a second Pod finds the image that the first one pulled
    pulling: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    # Pods that count against the node's room, by UID
    admitted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.devices = DevicePool(self.node.gpus)
        self.addresses = AddressPool(self.node.pod_cidr)
