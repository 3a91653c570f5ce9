"""A collected hand-in, read as data before any cluster is made for it."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path

from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import submission
from gpulab.classroom.collecting import REFUSED, STAMP_FILE, stamp
from gpulab.classroom.folder import Classroom
from gpulab.submission import ANSWERS, COMMANDS


@dataclass(frozen=True)
class Handed:
    """One learner's hand-in."""

    learner: str
    exercise: str
    folder: Path
    digest: str
    """SHA-256 over the files of which a mark is made."""
    at: dt.datetime
    """When it was handed in, UTC."""


def all_of(room: Classroom, exercise: Exercise) -> list[Handed]:
    """Every hand-in of an exercise, by learner."""
    folders = sorted(room.submitted.glob(f"*/{exercise.id}"))
    return [handed(each, exercise) for each in folders if each.is_dir()]


def handed(folder: Path, exercise: Exercise) -> Handed:
    sum_ = hashlib.sha256()
    for name in dict.fromkeys((*exercise.settings.files, ANSWERS, COMMANDS, REFUSED)):
        path = folder / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= submission.LARGEST:
            data = path.read_bytes()
            sum_.update(f"{name}\0{len(data)}\0".encode() + data)
    learner = folder.parent.name
    return Handed(learner, exercise.id, folder, sum_.hexdigest(), moment(folder))


def moment(folder: Path) -> dt.datetime:
    """What was noted when it was collected; else when the folder changed."""
    try:
        text = (folder / STAMP_FILE).read_text()[:64].strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    found = stamp(text) or stamp(text.replace(" UTC", ".0 UTC"))
    return found or dt.datetime.fromtimestamp(folder.lstat().st_mtime, dt.UTC)


def read(exercise: Exercise, one: Handed, target: Path) -> submission.Submission:
    """Copy its files into an empty folder; InputError says why it is unreadable.

    A file that is missing costs what rests on it, not the rest.
    """
    refused = one.folder / REFUSED
    if refused.is_file():
        raise InputError(refused.read_text(errors="replace"), "hand it in again")
    return submission.read(exercise, one.folder, target, partly=True)
