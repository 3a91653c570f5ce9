"""What is broken on purpose, as the simulator is told: a file that `gpulab break` writes.

A cause is a thing that goes wrong, mostly on a node. Everything that is seen of it (conditions,
events, logs, allocatable) follows from the simulation. The cluster does not show that it was done
on purpose.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gpulab.sim.gpus import Driver

log = logging.getLogger(__name__)
LOOK = 0.2  # seconds between two looks at the file


# What somebody could have applied; all else would be an effect, or nobody's to make.
KINDS = ("apps/v1/Deployment", "batch/v1/Job", "v1/ConfigMap")


class Sick(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A GPU of the node that has reported a critical Xid, or that is too hot."""

    index: int
    xid: int | None = None
    hot: bool = False
    """Its cooling fails: it has reached the temperature at which the board slows down."""


class Taint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As in a Node's spec."""

    key: str
    value: str
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Deployment of which somebody has changed the number of replicas."""

    namespace: str
    deployment: str
    replicas: Annotated[int, msgspec.Meta(ge=0)]


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is wrong, with a node or with the cluster. The first block is of a node itself."""

    kubelet: Literal["runtime-down", "silent"] | None = None
    """Its container runtime does not answer; or it does not report, nor do anything."""
    gpu: Sick | None = None
    driver: Driver | None = None
    """Another driver than the ClusterPolicy's is loaded."""
    lost_image: str | None = None
    """A repository that its registry no longer has, nor does the node."""
    daemon_reload: bool = False
    """systemd was told to reload where NVIDIA's hook, not CDI, hands GPUs to containers."""
    defect: str | None = None
    """A fact of the node that only workloads know, which wait for it or fail by it."""

    label: dict[str, str] = {}
    """Labels that somebody has changed; gpulab writes these, as a person would."""
    taint: Taint | None = None
    """One that somebody has set; gpulab writes it, as a person would."""
    delete_operand: str | None = None
    """`app` of the operand whose Pod on the node somebody has deleted."""
    scale: Scale | None = None
    delete_runtime_class: str | None = None
    apply: tuple[dict[str, Any], ...] = ()
    """Objects that somebody has applied, with a namespace each."""

    def __post_init__(self) -> None:
        """Refuse an object that only a controller or a kubelet writes, and every status."""
        for thing in self.apply:
            kind = f"{thing.get('apiVersion')}/{thing.get('kind')}"
            if kind not in KINDS or "status" in thing:
                raise ValueError(f"apply: a status or a {kind}; there may be {', '.join(KINDS)}")


class Injected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault at work, or one that was."""

    fault: str
    node: str  # empty: the whole cluster
    cause: Cause
    since: dt.datetime
    before: dict[str, str | None] = {}  # the labels as they were
    had_taint: bool = False  # whether the node had that very taint already
    replicas: int = 0  # of the Deployment that was scaled
    until: dt.datetime | None = None  # kept when it has ended, for the logs that tell of it

    @property
    def where(self) -> str:
        """As it is told."""
        return self.node or "the cluster"


def read(path: Path) -> list[Injected]:
    """All faults that were injected; none without a file. MsgspecError if it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Injected])
    except FileNotFoundError:
        return []


async def follow(path: Path, changed: Callable[[list[Injected]], None]) -> None:
    """Call `changed` with all faults, now if there are any, and after each change."""
    known: list[Injected] = []
    seen = None
    while True:
        if (stamp := _stamp(path)) != seen:
            seen = stamp
            try:
                found = read(path)
            except (msgspec.MsgspecError, OSError) as error:  # of ours; the last ones stay
                log.error("faults: %s: %s", path, error)
                found = known
            if found != known:
                known = found
                changed(found)
        await asyncio.sleep(LOOK)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino
