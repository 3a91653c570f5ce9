"""What is broken on purpose, as the simulator is told: a file that `gpulab break` writes.

A cause is a thing that goes wrong on a node. Everything that is seen of it (conditions, events,
logs, allocatable) follows from the simulation. The cluster does not show that it was done on
purpose.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

log = logging.getLogger(__name__)
LOOK = 0.2  # seconds between two looks at the file


class Sick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GPU of the node that has reported a critical Xid."""

    index: int
    xid: int


class Taint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As in a Node's spec."""

    key: str
    value: str
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that can be wrong with a node."""

    kubelet: Literal["runtime-down", "silent"] | None = None
    """Its container runtime does not answer; or it does not report, nor do anything."""
    gpu: Sick | None = None
    defect: str | None = None
    """A fact of the node that only workloads know, which wait for it or fail by it."""
    label: dict[str, str] = {}
    """Labels that somebody has changed; gpulab writes these, as a person would."""
    taint: Taint | None = None
    """One that somebody has set; gpulab writes it, as a person would."""


class Injected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault at work, or one that was."""

    fault: str
    node: str
    cause: Cause
    since: dt.datetime
    before: dict[str, str | None] = {}  # the labels as they were
    until: dt.datetime | None = None  # kept when it has ended, for the logs that tell of it


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
