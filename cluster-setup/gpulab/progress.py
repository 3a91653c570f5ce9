"""How far a learner is: hints seen, and points that he gave his own texts; in his folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autograders.quiz.manual import SelfMark
from gpulab.paths import private_dir, work
from gpulab.private import write_private


class Progress(msgspec.Struct, frozen=True):
    """One exercise's file in .gpulab/progress/."""

    hints: int = 0
    """How many hints were shown."""
    self_marks: dict[str, SelfMark] = {}
    """Question id -> what the learner gave himself."""


def read(exercise: str) -> Progress:
    """What is kept; a file that nobody can read counts as none."""
    try:
        return msgspec.json.decode(_file(exercise).read_bytes(), type=Progress)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return Progress()


def keep_hints(exercise: str, hints: int) -> None:
    _write(exercise, msgspec.structs.replace(read(exercise), hints=hints))


def keep_mark(exercise: str, question: str, mark: SelfMark) -> None:
    before = read(exercise)
    marks = {**before.self_marks, question: mark}
    _write(exercise, msgspec.structs.replace(before, self_marks=marks))


def _file(exercise: str) -> Path:
    return work() / ".gpulab" / "progress" / f"{exercise}.json"


def _write(exercise: str, progress: Progress) -> None:
    private_dir(work())
    file = _file(exercise)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, msgspec.json.format(msgspec.json.encode(progress)))
