"""Hand-ins from a learning platform's zips or nbgrader's exchange, taken with care.

A file's name says whose it is, never what is in it. What is refused is kept as a note in its place,
so that it ends as unreadable and not as missing.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import submission
from gpulab.classroom import pack
from gpulab.classroom.folder import Classroom
from gpulab.classroom.roster import Learner
from gpulab.paths import private_dir

REFUSED = "refused.txt"
"""Why nothing was taken."""
STAMP_FILE = "timestamp.txt"
LARGEST_NOTEBOOK = 8 * 1024 * 1024
"""Bytes; no mark is made of a notebook."""
MOST_ENTRIES = 200
"""Of a zip."""
Files = dict[str, bytes]


@dataclass(frozen=True)
class HandIn:
    """One learner's hand-in, where it lies."""

    learner: str
    exercise: str
    at: dt.datetime
    path: Path
    """A zip, or a folder of the exchange."""


@dataclass(frozen=True)
class Taken:
    """What became of it."""

    learner: str
    exercise: str
    why_not: str = ""
    """Empty when it was taken."""


class Refused(Exception):
    """One hand-in cannot be taken; the others can."""


def from_zips(
    folder: Path, learners: Mapping[str, Learner], exercises: Mapping[str, Exercise], only: str
) -> tuple[list[HandIn], list[str]]:
    """Zips of a folder, the latest of each learner; names that fit nobody."""
    found, lost = list[HandIn](), list[str]()
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "give the folder of the zips")
    for path in sorted(folder.glob("*.zip")):
        learner = whose(path.name, learners)
        exercise = only or next((each for each in exercises if each in path.name), "")
        if learner and exercise:
            at = dt.datetime.fromtimestamp(path.lstat().st_mtime, dt.UTC)
            found.append(HandIn(learner, exercise, at, path))
        else:
            lost.append(path.name)
    return latest(found), lost


def from_exchange(
    inbound: Path, learners: Mapping[str, Learner], exercises: Mapping[str, Exercise]
) -> tuple[list[HandIn], list[str]]:
    """What nbgrader's own submit, or `gpulab submit --exchange`, has put there."""
    found, lost = list[HandIn](), list[str]()
    if not inbound.is_dir():
        raise InputError(f"there is no folder {inbound}", "give --exchange, as nbgrader has it")
    for path in sorted(each for each in inbound.iterdir() if not each.name.startswith(".")):
        parts = path.name.split("+")
        moment = stamp(parts[2]) if len(parts) >= 3 else None
        if moment and parts[0] in learners and parts[1] in exercises:
            found.append(HandIn(parts[0], parts[1], moment, path))
        else:
            lost.append(path.name)
    return latest(found), lost


def whose(name: str, learners: Mapping[str, Learner]) -> str:
    """The learner whose id the file's name begins with, as a whole word."""
    fits = [each for each in learners if re.match(rf"{re.escape(each)}(?![A-Za-z0-9._@-])", name)]
    fits += [each for each in learners if name.startswith(f"{each}_")]
    return max(fits, key=len, default="")


def stamp(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(text, pack.STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def latest(found: list[HandIn]) -> list[HandIn]:
    by_place = {(each.learner, each.exercise): each for each in sorted(found, key=lambda x: x.at)}
    return [by_place[key] for key in sorted(by_place)]


def take(room: Classroom, exercise: Exercise, one: HandIn) -> Taken:
    """Copy it whole; what is refused leaves an earlier one as it is."""
    target = room.submitted / one.learner / exercise.id
    try:
        files = of_zip(exercise, one.path) if one.path.is_file() else of_folder(exercise, one.path)
    except Refused as error:
        if not target.exists():
            store(target, {REFUSED: str(error).encode()}, one.at)
        return Taken(one.learner, exercise.id, str(error))
    store(target, files, one.at)
    return Taken(one.learner, exercise.id)


def store(target: Path, files: Files, at: dt.datetime) -> None:
    private_dir(target.parent)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    for name, data in {**files, STAMP_FILE: at.strftime(pack.STAMP).encode()}.items():
        (part / name).write_bytes(data)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def limit(name: str) -> int:
    return LARGEST_NOTEBOOK if name == pack.NOTEBOOK else submission.LARGEST


def of_folder(exercise: Exercise, folder: Path) -> Files:
    """Plain files that the exercise declares; no link is followed."""
    files: Files = {}
    if folder.is_symlink() or not folder.is_dir():
        raise Refused("it is no folder")
    for name in pack.names(exercise):
        path = folder / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise Refused(f"{name} is no plain file")
        if path.exists():
            if path.stat().st_size > limit(name):
                raise Refused(f"{name} is larger than {limit(name) // 1024} KiB")
            files[name] = path.read_bytes()
    return files


def of_zip(exercise: Exercise, path: Path) -> Files:
    """The same of a zip, whose own words about sizes and places are not believed."""
    files: Files = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in wanted(exercise, archive):
                name = PurePosixPath(entry.filename).name
                if name in files:
                    raise Refused(f"{name} is in it twice")
                with archive.open(entry) as file:
                    files[name] = file.read(limit(name) + 1)
                if len(files[name]) > limit(name):
                    raise Refused(f"{name} is larger than {limit(name) // 1024} KiB")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise Refused(f"it is no zip that can be read: {error}") from error
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}") from error
    if not files:
        raise Refused(f"it holds none of {', '.join(pack.names(exercise))}")
    return files


def wanted(exercise: Exercise, archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Entries to take; one that leads out of the zip spoils all of it."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise Refused(f"it has more than {MOST_ENTRIES} entries")
    for entry in entries:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", entry.filename):
            raise Refused(f"{entry.filename!r} leads out of it")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"{entry.filename!r} is no plain file")
        if not entry.is_dir() and place.name in pack.names(exercise) and is_own(place, exercise):
            yield entry


def is_own(place: PurePosixPath, exercise: Exercise) -> bool:
    """At the top, in one folder, or where ~/gpulab has it."""
    parents = place.parts[:-1]
    return len(parents) <= 1 or parents[-2:] == ("exercises", exercise.id)
