"""What happens in a recording: `steps.yaml` beside each `spec.yaml`, read strictly. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

Object = dict[str, Any]
HERE = Path(__file__).parent


class Until(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wait until one thing holds of one object, named as in the goldens (`Pod/web-<rs1>-<id1>`)."""

    of: str
    path: str = ""  # "status.containerStatuses.main.restartCount": keys, list items by name or type
    equals: str | int | bool | None = None
    at_least: int | None = None
    event: str = ""  # the reason of an event about it
    gone: bool = False  # it existed and does not any more


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategic merge patch."""

    of: str
    body: Object


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step; exactly one key."""

    until: Until | None = None
    delete: str | None = None
    patch: Patch | None = None
    create: Object | None = None
    seconds: float | None = None  # let time pass


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    title: str
    steps: tuple[Step, ...]
    seconds: float = 60  # the deadline for all steps
    sample: str = ""  # write the Pod's status to status/SAMPLE.yaml at the end of the steps


def load(name: str, node: str = "$NODE") -> Scenario:
    return msgspec.yaml.decode(_read(name, "steps.yaml", node), type=Scenario)


def load_spec(name: str, node: str) -> list[Object]:
    return [item for item in yaml.safe_load_all(_read(name, "spec.yaml", node)) if item]


def _read(name: str, file: str, node: str) -> str:
    """A file of a scenario; $NODE in it is a node of the cluster at hand."""
    return (HERE / name / file).read_text(encoding="utf-8").replace("$NODE", node)


def names() -> list[str]:
    """Every scenario, in order."""
    return sorted(path.parent.name for path in HERE.glob("[0-9]*/steps.yaml"))


def holds(until: Until, item: Object | None, existed: bool, reasons: Sequence[str]) -> bool:
    """Whether it is time to go on. `item` is the object now, None if there is none."""
    if until.gone:
        return existed and item is None
    if until.event:
        return until.event in reasons
    value = dig(item, until.path)
    if until.at_least is not None:
        return isinstance(value, int) and value >= until.at_least
    return item is not None and value == until.equals


def dig(item: Any, path: str) -> Any:
    """Follow a path into an object; None where it leads nowhere.

    >>> dig({"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    ...     "status.conditions.Ready.status")
    'True'
    """
    for key in path.split("."):
        if isinstance(item, list):
            item = next((entry for entry in item if key in _handles(entry)), None)
        elif isinstance(item, dict):
            item = item.get(key)
        else:
            return None
    return item


def _handles(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("name"), entry.get("type")
