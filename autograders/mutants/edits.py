"""Edits as data: a JSON merge patch at a place in objects of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from autograders.model import KubeObject

FILE = Path(__file__).with_name("edits.yaml")
EACH = "*"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more change of the same edit."""

    at: tuple[str, ...]
    """Where in the object; `*` is every element of a list."""
    merge: dict[str, Any]
    """RFC 7386: null removes, anything else replaces or is merged."""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that makes a right object wrong, or keeps it right."""

    name: str
    """What it does, in the words of mutants.toml."""
    kind: str
    """Of the objects that it changes."""
    merge: dict[str, Any]
    """As of a step."""
    at: tuple[str, ...] = ()
    """As of a step."""
    also: tuple[Step, ...] = ()
    """What changes with it."""

    def __call__(self, thing: KubeObject) -> KubeObject:
        """Return the changed object; the given one stays as it is."""
        for step in (Step(self.at, self.merge), *self.also):
            thing = changed(thing, step.at, step.merge)
        return thing


@cache
def edits() -> tuple[Edit, ...]:
    return msgspec.yaml.decode(FILE.read_bytes(), type=tuple[Edit, ...])


def edits_of(kind: str) -> Iterator[Edit]:
    """Find the edits for a kind; those for any kind are for objects in a namespace."""
    return (each for each in edits() if each.kind in (kind, EACH) and not is_for_others(each, kind))


def is_for_others(edit: Edit, kind: str) -> bool:
    return edit.kind == EACH and kind in ("Node", "Namespace")


def changed(thing: Any, at: tuple[str, ...], patch: dict[str, Any]) -> Any:
    """Merge a patch in at a place; a place that is not there changes nothing.

    >>> changed({"a": [{"b": 1}, {"b": 2}]}, ("a", "*"), {"b": None, "c": 3})
    {'a': [{'c': 3}, {'c': 3}]}
    """
    if not at:
        return merged(thing, patch)
    first, rest = at[0], at[1:]
    if first == EACH:
        return [changed(each, rest, patch) for each in thing]
    if not isinstance(thing, dict) or first not in thing:
        return thing
    return {**thing, first: changed(thing[first], rest, patch)}


def merged(thing: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found
