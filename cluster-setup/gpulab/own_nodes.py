"""The nodes that an exercise brings along: its folder's fleet file, with the learner's values."""

from __future__ import annotations

import hashlib
from typing import NoReturn

from autograders import variants
from autograders.errors import InputError
from autograders.load import Exercise
from gpulab.lab import Record
from gpulab.paths import home, private_dir
from gpulab.private import write_private
from gpulab.providers import EXISTING


def fleet_of(exercise: Exercise) -> str:
    """The fleet's name, or the path of a file that stays, so that the lab can start again."""
    name = exercise.settings.fleet
    if not name.endswith(".yaml"):
        return name
    source = exercise.folder / name
    try:
        text = variants.render(source.read_text(), exercise.values, str(source))
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}", "put it there") from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    path = private_dir(home() / "fleets") / f"{exercise.id[:20].strip('-')}-{digest}.yaml"
    write_private(path, text.encode())
    return str(path)


def is_own(fleet: str) -> bool:
    """Whether an exercise brought it; others are what the lab's owner chose."""
    return fleet.startswith(str(home() / "fleets"))


def to_swap(record: Record, exercise: Exercise) -> str | None:
    """The fleet that the exercise needs and the lab lacks; an owner's choice is no reason."""
    wanted = fleet_of(exercise)
    if record.provider == EXISTING:
        return _refused(exercise) if is_own(wanted) else None
    lacks = wanted != record.fleet and (is_own(wanted) or is_own(record.fleet))
    return wanted if lacks else None


def _refused(exercise: Exercise) -> NoReturn:
    what = f"exercise {exercise.short} brings its own nodes, which an existing cluster is not given"
    raise InputError(what, "do it in a lab of its own: gpulab up --provider embedded --name other")


def expect(record: Record, exercise: Exercise) -> None:
    """Refuse to go on where the nodes are others than the exercise is about."""
    if to_swap(record, exercise):
        what = f"the lab has other nodes than exercise {exercise.short} is about"
        raise InputError(
            what, f"gpulab start {exercise.short} --yes replaces them, with their Pods"
        )
