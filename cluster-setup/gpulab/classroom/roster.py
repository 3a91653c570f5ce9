"""Who is in the class: read from a CSV, kept as one file that is whole or as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from autograders.errors import InputError
from gpulab.classroom.folder import Classroom
from gpulab.private import write_private

ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?")
"""Names a folder, and a file of every hand-in; nbgrader's exchange parts its names with +."""
COLUMNS = ("id", "student_id", "username", "user_id")
LARGEST = 4 * 1024 * 1024
"""Bytes of the CSV."""


class Learner(msgspec.Struct, frozen=True):
    """One row."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.id


def read(room: Classroom) -> dict[str, Learner]:
    """By id, in the order of the file; empty before the first import."""
    try:
        rows = msgspec.json.decode(room.roster_file.read_bytes(), type=list[Learner])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        do = "import the roster again: gpulab roster import FILE"
        raise InputError(f"{room.roster_file}: {error}", do) from error
    return {each.id: each for each in rows}


def expect(room: Classroom) -> dict[str, Learner]:
    if found := read(room):
        return found
    raise InputError("nobody is in this class yet", "gpulab roster import FILE.csv")


def add(room: Classroom, file: Path) -> tuple[int, int]:
    """Take a CSV in: how many are new, how many there are. Nobody is ever taken out."""
    known = read(room)
    found = {each.id: each for each in parsed(file)}
    write_private(room.roster_file, msgspec.json.encode(list({**known, **found}.values())))
    return len(found.keys() - known.keys()), len({**known, **found})


def parsed(file: Path) -> Iterator[Learner]:
    rows = csv.DictReader(io.StringIO(text_of(file)))
    names = {str(each).strip().lower(): each for each in rows.fieldnames or ()}
    column = next((names[each] for each in COLUMNS if each in names), None)
    if column is None:
        what = f"{file} has no column named {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
        raise InputError(what, "its first line must name the columns: id,first_name,last_name")
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        one = {
            key: (row.get(names[key]) or "").strip()
            for key in Learner.__struct_fields__[1:]
            if key in names
        }
        name = (row.get(column) or "").strip()
        if not ID.fullmatch(name) or ".." in name:
            what = f"{file}, line {number}: {name!r} cannot be a learner's id"
            raise InputError(what, "use letters, digits, dots, dashes, _ and @, up to 64 of them")
        if name.lower() in seen:
            raise InputError(f"{file}, line {number}: {name!r} is there twice", "leave one out")
        seen.add(name.lower())
        yield Learner(name, **one)
    if not seen:
        raise InputError(f"{file} names nobody", "write one learner in each line")


def text_of(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise InputError(f"{file} is larger than 4 MiB", "give the list of one class")
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", "give a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8", "save the CSV as UTF-8") from error
