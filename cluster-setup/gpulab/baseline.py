"""The lab as `gpulab up` made it: every object, to compare with later and to make again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograders.connect import Api
from gpulab.discovery import kinds
from gpulab.emptying import Found, listed
from gpulab.made import Made, made
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.reset import LABEL

CANARY = "gpulab-ready-"
"""Begins the name of what `gpulab up` makes to see a Pod run; it goes by itself."""
DRAWN = frozenset({"Pod", "ReplicaSet", "ControllerRevision"})
"""Kinds whose names a controller draws, so that another one is as good."""


class Baseline(msgspec.Struct, frozen=True):
    """baseline.json of a lab."""

    fleet: str
    """The nodes that it was made with."""
    made: dict[str, Made]
    """What no controller looks after, by key."""
    owned: dict[str, str]
    """What a controller made under a name of its own: key -> fingerprint."""


@dataclass(frozen=True)
class Differences:
    """What is other than it was."""

    surplus: tuple[Found, ...] = ()
    """Made since."""
    changed: tuple[Found, ...] = ()
    """Changed since."""
    missing: tuple[str, ...] = ()
    """Keys of what was deleted since."""

    def __bool__(self) -> bool:
        return bool(self.surplus or self.changed or self.missing)

    @property
    def beyond(self) -> Found | None:
        """A namespace that somebody made, or one that is going: it would take long to be rid of."""
        for each in (*self.surplus, *self.changed):
            if each.resource.kind == "Namespace":
                return each
        return None

    def lines(self) -> list[str]:
        """For the person who is asked; what a controller owns goes without saying."""
        free = [each for each in self.surplus if not owner(each)]
        return [
            *sorted(f"{each} (made since)" for each in free),
            *sorted(f"{each} (changed since)" for each in self.changed),
            *sorted(f"{key.strip('/')} (deleted since, comes back)" for key in self.missing),
        ]


def file(paths: LabPaths) -> Path:
    return paths.root / "baseline.json"


def keep(api: Api, paths: LabPaths, fleet: str) -> None:
    """Record a lab that has just become ready."""
    found = [each for each in everything(api) if not passing(each)]
    free = {each.key: made(each) for each in found if not owner(each)}
    owned = {
        each.key: each.fingerprint
        for each in found
        if owner(each) and each.resource.kind not in DRAWN
    }
    data = msgspec.json.encode(Baseline(fleet, free, owned))
    write_private(file(paths), data)


def read(paths: LabPaths) -> Baseline | None:
    """What was recorded; None of a lab that an earlier version made."""
    try:
        return msgspec.json.decode(file(paths).read_bytes(), type=Baseline)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def everything(api: Api) -> list[Found]:
    return listed(api, [(kind, kind.everywhere) for kind in kinds(api)])


def compared(found: Iterable[Found], base: Baseline, *, nodes: bool = True) -> Differences:
    """Tell what is other than recorded; namespaces of exercises stay, and are empty at first."""
    there = [each for each in found if nodes or each.resource.kind != "Node"]
    by_uid = {each.thing["metadata"]["uid"]: each for each in there}
    surplus, changed = list[Found](), list[Found]()
    for each in (each for each in there if not passing(each)):
        known = base.made.get(each.key)
        before = known.fingerprint if known else base.owned.get(each.key)
        if before is None:
            if not is_of_exercise(each) and not is_followed(each, by_uid, base):
                surplus.append(each)
        elif before != each.fingerprint or is_leaving(each):
            changed.append(each)
    keys = {each.key for each in there}
    kept = (key for key, one in base.made.items() if nodes or one.thing["kind"] != "Node")
    return Differences(tuple(surplus), tuple(changed), tuple(set(kept) - keys))


def owner(found: Found) -> str:
    """The uid of the controller that looks after it; empty when there is none."""
    for each in found.thing["metadata"].get("ownerReferences") or ():
        if each.get("controller"):
            return str(each["uid"])
    return ""


def is_followed(found: Found, by_uid: Mapping[str, Found], base: Baseline) -> bool:
    """Whether it follows from something that was recorded."""
    seen: set[str] = set()
    while (uid := owner(found)) and uid in by_uid and uid not in seen:
        seen.add(uid)
        found = by_uid[uid]
    return bool(seen) and (found.key in base.made or passing(found))


def is_of_exercise(found: Found) -> bool:
    """The namespace itself, unless it is going."""
    labels = found.thing["metadata"].get("labels") or {}
    return found.resource.kind == "Namespace" and LABEL in labels and not is_leaving(found)


def is_leaving(found: Found) -> bool:
    return "deletionTimestamp" in found.thing["metadata"]


def passing(found: Found) -> bool:
    """What goes by itself."""
    return found.name.startswith(CANARY)
