"""`gpulab check --watch`: grade again whenever the cluster or the answers have changed."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import NoReturn

import msgspec

from autograders import show
from autograders.connect import Unreachable, connect
from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Report
from autograders.observe import Changes
from gpulab.cli import exercises
from gpulab.cli.exercises import Target
from gpulab.cli.lab import out
from gpulab.workspace import answers_file

LOOK = 0.5
"""Seconds between two looks at the answers' file."""
TOGETHER = 0.2
"""Seconds that a change is given to be followed by those that belong to it."""


def watch(text: str, name: str, kubeconfig: Path | None, *, json: bool, replay: bool) -> NoReturn:
    """Until Ctrl-C, which ends the command with 130, or the cluster goes."""
    if json or replay:
        what = f"--{'json' if json else 'replay'} makes one report, --watch goes on"
        raise InputError(what, "leave one of the two out")
    target = exercises.target_of(name, kubeconfig)
    exercise = exercises.exercise_on(text, target)
    if exercise.settings.probe:
        what = f"to grade exercise {exercise.short}, things are tried on the cluster each time"
        raise InputError(what, f"leave --watch out: gpulab check {exercise.short}")
    shown: Report | InputError | None = None
    with connect(target.kubeconfig) as api, Changes(api, exercise) as changes:
        while True:
            answers = stamp(answers_file(exercise.id))
            found = grade(exercise, name, target)
            if not same(found, shown):
                present(found)
                shown = found
            wait(changes, answers_file(exercise.id), answers)


def grade(exercise: Exercise, name: str, target: Target) -> Report | InputError:
    """The verdict now, without waiting for what is on its way: that will be a change."""
    settings = msgspec.structs.replace(exercise.settings, settle_seconds=0)
    try:
        now = dataclasses.replace(exercise, settings=settings)
        return exercises.graded(now, name, target, lambda _: None)
    except Unreachable:
        raise
    except InputError as error:  # such as an answers.toml that is just being written
        return error


def same(found: Report | InputError, shown: Report | InputError | None) -> bool:
    if isinstance(found, Report) and isinstance(shown, Report):
        return dataclasses.replace(found, digest="") == dataclasses.replace(shown, digest="")
    return isinstance(shown, InputError) and str(found) == str(shown)


def present(found: Report | InputError) -> None:
    """On a terminal in place of the last one, else below it."""
    if out.is_terminal:
        out.clear()
    if isinstance(found, Report):
        out.print(show.text(found))
    else:
        out.print(f"{found.what}\n{found.do}", markup=False, highlight=False)
    at = time.strftime("%H:%M:%S")
    out.print(f"[dim]as of {at}; graded again on every change, Ctrl-C ends it[/]\n")


def wait(changes: Changes, file: Path, before: object) -> None:
    while not changes.wait(LOOK):
        if stamp(file) != before:
            return
    time.sleep(TOGETHER)
    changes.wait(0)


def stamp(file: Path) -> tuple[int, int] | None:
    """Differs once the file was written."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
