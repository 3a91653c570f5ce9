"""A change of one object, made to other states of it as well: a list and its watch events agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograders.model import KubeObject

ABSENT = object()


def carried(old: Any, new: Any, other: Any) -> Any:
    """What `other` is, if what became of `old` becomes of it, too.

    >>> carried({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}, {"a": 9, "b": 2})
    {'a': 9, 'b': 3, 'c': 4}
    >>> carried([{"a": 1}], [{}], [{"a": 1, "b": 2}])
    [{'b': 2}]
    """
    if old == new:
        return other
    every = (old, new, other)
    if all(isinstance(each, dict) for each in every):
        return carried_by_key(old, new, other)
    if all(isinstance(each, list) for each in every) and len(old) == len(new) == len(other):
        return [carried(*each) for each in zip(*every, strict=True)]
    return new


def carried_by_key(
    old: dict[str, Any], new: dict[str, Any], other: dict[str, Any]
) -> dict[str, Any]:
    found = dict(other)
    for key in (*old, *(each for each in new if each not in old)):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if after is ABSENT:
            found.pop(key, None)
        elif before != after:
            found[key] = carried(before, after, other.get(key, ABSENT))
    return found


def follow(
    events: Iterable[KubeObject], old: KubeObject, new: tuple[KubeObject, ...]
) -> tuple[KubeObject, ...]:
    """Watch events once other objects stand in the place of one; none, once it is gone."""
    found = list[KubeObject]()
    for event in events:
        if is_about(event, old):
            found += [{**event, "object": carried(old, each, event["object"])} for each in new]
        else:
            found.append(event)
    return tuple(found)


def is_about(event: KubeObject, thing: KubeObject) -> bool:
    seen = event["object"]
    same = seen.get("kind") == thing.get("kind")
    return same and identity(seen) == identity(thing)


def identity(thing: KubeObject) -> tuple[Any, ...]:
    meta = thing.get("metadata") or {}
    return meta.get("uid"), meta.get("namespace"), meta.get("name")
