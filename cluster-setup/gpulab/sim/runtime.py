"""What the kubelets share, and what each of them keeps about its node."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gpulab.sim.addresses import AddressPool
from gpulab.sim.api import Api
from gpulab.sim.devices import DevicePool, Xid
from gpulab.sim.events import Recorder
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.images import Images
from gpulab.sim.mig import Slice
from gpulab.sim.nodes import Node
from gpulab.sim.pace import Pace
from gpulab.sim.plugin import LABEL as CHOICE
from gpulab.sim.plugin import choice_fact
from gpulab.sim.program import Choice, Entry
from gpulab.sim.smi.reading import Load
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
    # the Pods bound to a node; the kubelets know them
    pods_on: Callable[[str], list[dict[str, Any]]] = field(default=lambda node: [])

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
    hot: frozenset[str] = frozenset()  # UUIDs of GPUs whose cooling fails
    # other drivers than the ClusterPolicy's: since when, and until when if that has ended
    drivers: list[tuple[dt.datetime, dt.datetime | None, Driver]] = field(default_factory=list)
    lost_images: frozenset[str] = frozenset()  # repositories that are nowhere any more
    reloaded: dt.datetime | None = None  # when containers that ran lost their devices, if they did
    # what containers make of their GPUs, by the container's key
    loads: dict[str, tuple[Sequence[Gpu], Load]] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    registered: set[str] = field(default_factory=set)  # resources that a plugin ever did
    layout: dict[str, tuple[Slice, ...]] = field(default_factory=dict)  # of GPUs in MIG mode
    labels: dict[str, str] = field(default_factory=dict)  # as the API has them
    choices: list[Choice] = field(default_factory=list)  # of a plugin's configuration, by label
    journal: list[Entry] = field(default_factory=list)
    relabelled: list[Callable[[], None]] = field(default_factory=list)  # who wants to know
    # as kubelet's serializeImagePulls: a second Pod finds the image that the first one pulled
    pulling: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    # Pods that count against the node's room, by UID
    admitted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def driver_at(self, moment: dt.datetime) -> Driver | None:
        """The driver, if it was another one than the ClusterPolicy's."""
        for since, until, driver in self.drivers:
            if since <= moment and (until is None or moment < until):
                return driver
        return None

    def __post_init__(self) -> None:
        self.devices = DevicePool(self.node.gpus)
        self.addresses = AddressPool(self.node.pod_cidr)
        self.facts.listen(self._offer)

    def _offer(self, fact: str) -> None:
        """Know what a device plugin has registered."""
        if (listed := self.facts.value(fact)) and isinstance(listed, tuple):
            self.devices.offer({fact: listed})
            self.registered.add(fact)

    def learn(self, labels: dict[str, str]) -> None:
        """Take the node's labels as the API has them now."""
        if labels == self.labels and self.choices:
            return
        self.labels = labels
        chosen, now = labels.get(CHOICE, ""), dt.datetime.now(dt.UTC)
        if not self.choices:  # it has been so before we began
            self.choices.append((dt.datetime.min.replace(tzinfo=dt.UTC), chosen))
        elif self.choices[-1][1] != chosen:
            self.choices.append((now, chosen))
            fact = choice_fact(len(self.choices))
            self.facts.provide(fact, fact, now)
        for listener in self.relabelled:
            listener()

    def note(self, program: str, text: str) -> None:
        """Add to the log of a program whose work is done here."""
        self.journal.append(Entry(dt.datetime.now(dt.UTC), program, text))
