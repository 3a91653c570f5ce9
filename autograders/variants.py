"""Variants: a seed draws an exercise's values, so that a copied answer is a wrong one.

`variant.toml` names what varies and holds the task's text; it and the other files of the exercise
write a value as `$name` (and a dollar sign as `$$`). One seed always draws the same values.

>>> spec = Spec({"gpus": Value(range=(1, 4)), "pod": Value(choices=("a", "b"))}, "Use $gpus.")
>>> values = draw(spec, seed_of(b"secret of the class", "ada", "02-fix-broken-pytorch"))
>>> render(spec.task, values, "variant.toml")
'Use 4.'
"""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from autograders.arithmetic import compute
from autograders.cluster import Node
from autograders.errors import InputError

Drawn = str | int
Values = Mapping[str, Drawn]
"""Name -> what was drawn."""
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one value may be: one of `choices`, or a number of a `range`."""

    choices: tuple[Drawn, ...] = ()
    """Drawn from these."""
    range: tuple[int, int] | None = None
    """Drawn from these numbers, both ends included."""
    step: Annotated[int, Meta(ge=1)] = 1
    """Of the range."""
    node_label: str = ""
    """On a cluster of the learner's own: drawn from this label's values on its nodes instead."""
    node_capacity: str = ""
    """On such a cluster: the range ends at what one node has of this resource."""


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """variant.toml."""

    values: dict[Name, Value]
    """In the order in which they are drawn; a label narrows the nodes for those after it."""
    task: Annotated[str, Meta(min_length=1)]
    """What the learner is asked to do, with `$name` for each value."""
    derived: dict[Name, str] = {}
    """What follows, as `per_node = "gpus // 2"`: for solution and probes, not for the learner."""


def seed_of(secret: bytes, learner: str, exercise: str) -> bytes:
    """The seed of one learner's variant; without the secret nobody can compute it."""
    if "\0" in learner + exercise:
        raise InputError("a learner's name has a zero byte", "leave it out")
    return hmac.digest(secret, f"{learner}\0{exercise}".encode(), hashlib.sha256)


def draw(spec: Spec, seed: bytes, nodes: Sequence[Node] | None = None) -> dict[str, Drawn]:
    """Draw every value; with `nodes`, only what these offer."""
    values: dict[str, Drawn] = {}
    for name, value in spec.values.items():
        options = options_of(value, nodes)
        if not options:
            what = f"no node of this cluster offers what the exercise needs for {name!r}"
            raise InputError(what, "take a cluster with GPU nodes, or the lab: gpulab up")
        number = int.from_bytes(hmac.digest(seed, name.encode(), hashlib.sha256))
        values[name] = options[number % len(options)]
        nodes = with_label(nodes, value, values[name])
    return values


def with_label(nodes: Sequence[Node] | None, value: Value, drawn: Drawn) -> Sequence[Node] | None:
    """The nodes that are left for the values after this one."""
    if nodes is None or not value.node_label:
        return nodes
    return [each for each in nodes if each.labels.get(value.node_label) == drawn]


def options_of(value: Value, nodes: Sequence[Node] | None = None) -> tuple[Drawn, ...]:
    """Everything that a value may be."""
    if value.range is None:
        if nodes is None or not value.node_label:
            return value.choices
        labels = {each.labels.get(value.node_label) for each in nodes}
        return tuple(sorted(each for each in labels if each))
    first, last = value.range
    if nodes is not None and value.node_capacity:
        largest = max((each.allocatable(value.node_capacity) for each in nodes), default=0)
        last = min(last, largest)
    return tuple(range(first, last + 1, value.step))


def derive(spec: Spec, values: Values) -> dict[str, Drawn]:
    """Compute what follows from the values, in the order of variant.toml."""
    found: dict[str, Drawn] = {}
    for name, text in spec.derived.items():
        found[name] = compute(text, {**values, **found})
    return found


def is_drawn_from(spec: Spec, values: Values, nodes: Sequence[Node] | None = None) -> bool:
    """Say whether these may be values of this exercise, on these nodes."""
    if values.keys() != spec.values.keys():
        return False
    for name, value in spec.values.items():
        if values[name] not in options_of(value, nodes):
            return False
        nodes = with_label(nodes, value, values[name])
    return True


def faults(spec: Spec) -> Iterator[str]:
    """What variant.toml says against itself."""
    for name, value in spec.values.items():
        if bool(value.choices) == (value.range is not None):
            yield f"variant.toml: {name} needs either choices or a range"
        elif not options_of(value):
            yield f"variant.toml: the range of {name} is empty"
        if value.node_label and value.range is not None:
            yield f"variant.toml: {name} has a range; only choices can have a node_label"
    for name in sorted(spec.derived.keys() & spec.values.keys()):
        yield f"variant.toml: {name} is drawn and derived"


def render(text: str, values: Values, where: str) -> str:
    """Put the values in; a name that variant.toml does not draw is a fault of the exercise."""
    try:
        return string.Template(text).substitute(values)
    except KeyError as error:
        what = f"{where}: nothing draws ${error.args[0]}"
        raise InputError(what, "name it under [values] of variant.toml") from error
    except ValueError as error:
        raise InputError(f"{where}: {error}", "write a dollar sign as $$") from error
