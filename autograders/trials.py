"""What an exercise wants tried on its cluster, as data; only gpulab tries it.

Each trial takes its steps in order and leaves one phase in the Evidence. Before one that changes
something, the learner's Jobs are halted and every node is as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated

from msgspec import Meta, Struct

Phase = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]+$")]
TAKEN = frozenset({"as-found", "final"})


Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$")]
File = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.yaml$")]
Text = Annotated[str, Meta(min_length=1)]


class Open(Struct, tag="open", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Close (cordon) all nodes of a label but some."""

    label: Label
    """The nodes that it is about, as `key=value`."""
    nodes: int | str
    """How many stay open, or the id of the question that is answered with that number."""
    less: Annotated[int, Meta(ge=0)] = 0
    """Fewer by so many."""


class Stray(Struct, tag="stray", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Put a Pod of somebody else on each node of a label that is open."""

    label: Label
    """As of Open."""
    gpus: Annotated[int, Meta(ge=1)] = 1
    """How many GPUs its Pod holds."""


class Place(Struct, tag="place", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Let the learner's Jobs run."""


class Drain(Struct, tag="drain", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Take the node away that has most of the Jobs' Pods, and let them be placed anew."""

    label: Label
    """As of Open."""


class May(Struct, tag="may", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Ask whether somebody may do something: a SubjectAccessReview."""

    name: Name
    """Under which request and answer are kept."""
    user: Text
    """`system:serviceaccount:<namespace>:<name>` for a service account."""
    verb: Text
    """`get`, `list`, `create` …"""
    resource: Text
    """The plural, with a subresource behind a slash: `pods/log`."""
    group: str = ""
    """The API group; empty for the core."""
    groups: tuple[Text, ...] = ()
    """To which the user belongs."""
    everywhere: bool = False
    """In all namespaces, or of a kind without; else in the exercise's."""


class DryRun(Struct, tag="dry-run", frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Ask the API server to create an object as far as it goes without storing it."""

    name: Name
    """As of May."""
    manifest: File
    """A file of the exercise's folder with one object; its namespace is the exercise's."""


Step = Open | Stray | Place | Drain | May | DryRun
ASKING = (May, DryRun)
"""Steps that change nothing: for these alone, no Job is halted and none is needed."""


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[probe]]` of exercise.toml."""

    phase: Phase
    """The name of what is recorded after the steps."""
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    """In order."""

    @property
    def asks(self) -> tuple[str, ...]:
        """Questions whose answers it depends on."""
        opens = (each for each in self.steps if isinstance(each, Open))
        return tuple(each.nodes for each in opens if isinstance(each.nodes, str))

    @property
    def only_asks(self) -> bool:
        """Whether it leaves the cluster as it is."""
        return all(isinstance(each, ASKING) for each in self.steps)

    @property
    def manifests(self) -> tuple[DryRun, ...]:
        """Steps that need a file of the exercise's folder."""
        return tuple(each for each in self.steps if isinstance(each, DryRun))


def faults(trials: Sequence[Trial], questions: Collection[str]) -> Iterator[str]:
    """What types cannot say."""
    names = [each.phase for each in trials]
    for name in sorted({each for each in names if names.count(each) > 1 or each in TAKEN}):
        yield f"probe: the phase {name!r} is there twice, or a name of gpulab's own"
    for trial in trials:
        kept = [each.name for each in trial.steps if isinstance(each, ASKING)]
        for name in sorted({each for each in kept if kept.count(each) > 1}):
            yield f"probe: {trial.phase}: two steps are called {name!r}"
        for name in set(trial.asks) - set(questions):
            yield f"probe: {trial.phase}: quiz.toml has no question {name!r}"
