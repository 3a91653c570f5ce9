"""Verdicts on a class's submissions, kept where no submission can reach: one Report in a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autograders.errors import InputError
from autograders.model import Report


def file(folder: Path, exercise: str, learner: str) -> Path:
    """Where the verdict stands; both names are single folders of nbgrader's own layout."""
    for name in (exercise, learner):
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise InputError(f"{name!r} cannot name a learner or an exercise", "use a plain name")
    return folder / exercise / f"{learner}.json"


def save(folder: Path, learner: str, report: Report) -> Path:
    """Whole or not at all, and for the grader's eyes alone."""
    path = file(folder, report.exercise, learner)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.encode(report, order="sorted"))
    part.replace(path)
    return path


def read(folder: Path, exercise: str, learner: str) -> Report | None:
    """The verdict; None while nobody has judged this submission."""
    path = file(folder, exercise, learner)
    do = "grade that submission again"
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", do) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not a verdict: {error}", do) from error
    if report.exercise != exercise:
        raise InputError(f"{path} is a verdict on {report.exercise}", do)
    return report
