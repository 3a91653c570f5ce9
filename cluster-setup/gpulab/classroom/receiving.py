"""A learner takes a release in: the notebook, a place for answers, and the learner's own values."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from autograders import variants
from autograders.errors import InputError
from autograders.load import find_exercise, read_variant
from autograders.variants import Drawn
from gpulab import variant
from gpulab.classroom.folder import EXERCISES
from gpulab.classroom.release import VARIANTS
from gpulab.workspace import answers_file

TAKEN = ("exercise.ipynb", "answers.toml")


def receive(folder: Path, learner: str) -> Path:
    """Put it where every command looks; what the learner has there already stays."""
    if not (folder / "exercise.toml").is_file():
        do = "give the folder that the assignment list has fetched"
        raise InputError(f"{folder} is no released exercise", do)
    name = find_exercise(EXERCISES, folder.resolve().name).name
    values = own_values(folder, name, learner)
    target = answers_file(name).parent
    target.mkdir(parents=True, exist_ok=True)
    for each in TAKEN:
        if (folder / each).is_file() and not (target / each).exists():
            shutil.copyfile(folder / each, target / each)
    if values is not None:
        variant.keep(name, values)
    return target


def own_values(folder: Path, name: str, learner: str) -> dict[str, Drawn] | None:
    """The row of one learner; None where all have the same exercise."""
    spec, path = read_variant(EXERCISES / name), folder / VARIANTS
    if spec is None:
        return None
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Drawn]])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "fetch it again") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}", "fetch it again") from error
    if learner not in rows:
        raise InputError(f"{path} has no values for {learner!r}", "ask your teacher for your id")
    if not variants.is_drawn_from(spec, rows[learner]):
        do = "update your clone, or ask your teacher for a new release"
        raise InputError(f"{path} is of another version of exercise {name}", do)
    return rows[learner]
