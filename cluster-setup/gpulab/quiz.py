"""The quiz in a notebook: what the form is given, so that it knows no cluster and no key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial

import msgspec

from autograders.errors import InputError
from autograders.load import find_exercise
from autograders.model import Result
from autograders.quiz import read_answers, save_answer
from gpulab.paths import ROOT
from gpulab.workspace import answers_file

SECONDS = 180.0


def form(text: str) -> object:
    """Make the form of an exercise's questions; answers go into the learner's answers.toml."""
    from autograders.widgets.quiz_form import quiz_form
    from gpulab import variant

    exercise = variant.exercise_of(find_exercise(ROOT / "exercises", text))
    file = answers_file(exercise.id)
    save = partial(save_answer, file)
    return quiz_form(exercise.questions, read_answers(file), save, partial(results, exercise.id))


def results(exercise: str) -> Mapping[str, Result]:
    """What `gpulab check` says in a process of its own; name -> result."""
    program = "from gpulab.cli import main; main()"
    command = [sys.executable, "-c", program, "check", exercise, "--json"]
    try:
        done = subprocess.run(
            command,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"gpulab check did not end within {SECONDS:.0f} s"
        raise InputError(what, "see what is wrong: gpulab status") from None
    if done.returncode not in (0, 1):
        lines = [*done.stderr.strip().splitlines(), "", ""]
        raise InputError(lines[0].removeprefix("gpulab: "), lines[1] or "gpulab status")
    found = msgspec.json.decode(done.stdout, type=dict[str, msgspec.Raw])
    checks = msgspec.json.decode(found["checks"], type=list[Result])
    return {each.name: each for each in checks}
