"""What a learner hands in: the files that the exercise declares, looked at and packed."""

from __future__ import annotations

import datetime as dt
import secrets
import tempfile
import zipfile
from pathlib import Path

from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import submission
from gpulab.classroom.roster import ID
from gpulab.paths import private_dir
from gpulab.workspace import answers_file

NOTEBOOK = "exercise.ipynb"
STAMP = "%Y-%m-%d %H:%M:%S.%f UTC"
"""As nbgrader writes a moment."""


def names(exercise: Exercise) -> tuple[str, ...]:
    """Every file that a hand-in may hold."""
    return tuple(
        dict.fromkeys((*exercise.settings.files, submission.ANSWERS, submission.COMMANDS, NOTEBOOK))
    )


def packed(exercise: Exercise, learner: str, target: Path) -> Path:
    """A zip whose name says whose it is, for a learning platform."""
    found = looked_at(exercise, learner)
    path = private_dir(target, "--to") / f"{learner}+{exercise.id}.zip"
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as made:
        for each in found:
            made.write(each, each.name)
    part.replace(path)
    return path


def handed_in(exercise: Exercise, learner: str, exchange: Path, course: str) -> Path:
    """A folder in nbgrader's exchange, as its own `submit` makes it."""
    found, inbound = looked_at(exercise, learner), exchange / course / "inbound"
    if not inbound.is_dir():
        do = "ask your teacher for the exchange and the name of the class"
        raise InputError(f"there is no folder {inbound}", do)
    stamp = dt.datetime.now(dt.UTC).strftime(STAMP)
    path = inbound / f"{learner}+{exercise.id}+{stamp}+{secrets.token_urlsafe(9)}"
    part = inbound / f".{secrets.token_hex(8)}"
    part.mkdir(mode=0o755)
    for each in found:
        (part / each.name).write_bytes(each.read_bytes())
    (part / "timestamp.txt").write_text(stamp)
    part.rename(path)
    return path


def looked_at(exercise: Exercise, learner: str) -> list[Path]:
    """The learner's files, once a replay would take them; InputError says what is missing."""
    if not ID.fullmatch(learner) or ".." in learner:
        raise InputError(f"{learner!r} cannot be a learner's id", "give yours: --learner ada")
    folder = answers_file(exercise.id).parent
    with tempfile.TemporaryDirectory(prefix="gpulab-") as made:
        found = submission.read(exercise, folder, Path(made))
    asked = {each.id for each in exercise.questions}
    if asked and submission.ANSWERS in exercise.settings.files and not asked & set(found.answers):
        do = f"answer its questions first: gpulab quiz {exercise.short}"
        raise InputError(f"{folder / submission.ANSWERS} answers none of its questions", do)
    return [folder / name for name in names(exercise) if (folder / name).is_file()]
