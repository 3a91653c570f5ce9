"""What an exercise wants tried on its cluster, as data; only gpulab tries it.

Each trial begins with the learner's Jobs halted and every node as it was, takes its steps in order
and leaves one phase in the Evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

Phase = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]+$")]
TAKEN = frozenset({"as-found", "final"})


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to do."""

    do: Literal["open", "stray", "place", "drain"]
    """`open` closes (cordons) all nodes of a label but some, `stray` puts a Pod of somebody else
    on each that is open, `place` lets the learner's Jobs run, `drain` takes the node away that has
    most of their Pods and lets them be placed anew."""
    label: Label | None = None
    """Of open, stray and drain: the nodes that it is about, as `key=value`."""
    nodes: int | str | None = None
    """Of open: how many, or the id of the question that is answered with that number."""
    less: Annotated[int, Meta(ge=0)] = 0
    """Of open: fewer by so many."""
    gpus: Annotated[int, Meta(ge=1)] = 1
    """Of stray: how many GPUs its Pod holds."""


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[probe]]` of exercise.toml."""

    phase: Phase
    """The name of what is recorded after the steps."""
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    """In order."""

    @property
    def asks(self) -> tuple[str, ...]:
        """Questions whose answers it depends on."""
        return tuple(each.nodes for each in self.steps if isinstance(each.nodes, str))


def faults(trials: Sequence[Trial], questions: Collection[str]) -> Iterator[str]:
    """What types cannot say."""
    names = [each.phase for each in trials]
    for name in sorted({each for each in names if names.count(each) > 1 or each in TAKEN}):
        yield f"probe: the phase {name!r} is there twice, or a name of gpulab's own"
    for trial in trials:
        for step in trial.steps:
            if (step.do == "place") == bool(step.label):
                yield f"probe: {trial.phase}: every step but place, and only those, needs a `label`"
            if (step.do == "open") == (step.nodes is None):
                yield f"probe: {trial.phase}: open, and nothing else, needs `nodes`"
        for name in set(trial.asks) - set(questions):
            yield f"probe: {trial.phase}: quiz.toml has no question {name!r}"
