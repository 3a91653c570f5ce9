"""What a learner hands in, as data: manifests, answers, and kubectl lines. None of it is run here.

`commands.sh` may only do with the submission's own files what a Role can judge: no flag that
chooses another identity or cluster, no file outside, no verb that starts a program.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Answers
from autograders.quiz import read_answers
from gpulab import kubectl

ANSWERS, COMMANDS = "answers.toml", "commands.sh"
LARGEST = 256 * 1024
"""Bytes of one file."""
MOST = 100
"""Lines of commands.sh."""
VERBS = frozenset(
    {
        *("annotate", "apply", "autoscale", "create", "delete", "describe", "expose", "get"),
        *("label", "logs", "patch", "replace", "rollout", "run", "scale", "set", "wait"),
    }
)
FLAGS = frozenset(
    {
        *("-f", "-l", "-n", "-o", "-p"),
        *("--all", "--cascade", "--dry-run", "--filename", "--for", "--force", "--grace-period"),
        *("--ignore-not-found", "--image", "--labels", "--namespace", "--now", "--output"),
        *("--overwrite", "--patch", "--port", "--replicas", "--restart", "--selector"),
        *("--server-side", "--timeout", "--type", "--wait"),
    }
)
FILES = ("-f", "--filename")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(yaml|yml|json)")


@dataclass(frozen=True)
class Submission:
    """One learner's files, read and looked at."""

    answers: Answers
    """answers.toml."""
    steps: tuple[tuple[str, ...], ...]
    """kubectl's arguments, line by line."""


def read(exercise: Exercise, source: Path, target: Path, *, partly: bool = False) -> Submission:
    """Copy what the exercise asks for into an empty folder, and read it.

    `partly`: a manifest may be missing, as long as there is something to judge.
    """
    names = [name for name in exercise.settings.files if name != ANSWERS]
    found = [name for name in (*names, COMMANDS) if copy(source / name, target / name)]
    answers = read_answers(source / ANSWERS)
    missing = [name for name in names if name not in found]
    if missing and not (partly and (found or answers)):
        raise InputError(
            f"{source} has no {missing[0]}, which a submission of exercise {exercise.short} has",
            "write it there: a replay knows nothing else of what you made on the cluster",
        )
    if COMMANDS in found:
        return Submission(answers, tuple(map(tuple, commands(target / COMMANDS, found))))
    again = ("replace", "--force", "-f")  # makes what is not there yet, too
    return Submission(answers, tuple((*again, name) for name in names if name in found))


def copy(source: Path, target: Path) -> bool:
    """Take a plain, small text; no link, whose target may be anybody's."""
    if not source.exists() and not source.is_symlink():
        return False
    if source.is_symlink() or not source.is_file():
        raise InputError(f"{source} is no plain file", "put the file itself there")
    if source.stat().st_size > LARGEST:
        raise InputError(f"{source} is larger than {LARGEST // 1024} KiB", "keep only what counts")
    try:
        source.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8", "save it as UTF-8") from error
    shutil.copyfile(source, target)
    return True


def commands(file: Path, files: list[str]) -> list[list[str]]:
    lines = kubectl.commands(file.read_text(), COMMANDS)
    if len(lines) > MOST:
        raise InputError(f"{COMMANDS} has more than {MOST} lines", "keep what makes your answer")
    for line in lines:
        for fault in faults(line, files):
            do = "write what kubectl does with your own files, under your own rights"
            raise InputError(f"{COMMANDS}: kubectl {' '.join(line)}: {fault}", do)
    return lines


def faults(line: list[str], files: list[str]) -> Iterator[str]:
    """What a replay does not do."""
    if not line or line[0] not in VERBS:
        yield f"the verb must come first, and be one of {', '.join(sorted(VERBS))}"
        return
    words = iter(line[1:])
    for word in words:
        name, value = option(word)
        if not name:
            continue
        if name not in FLAGS:
            yield f"{name} is not among the options that a replay knows"
        if name in FILES:
            value = next(words, "") if value is None else value
            if value not in files or not NAME.fullmatch(value):
                yield f"{value or 'nothing'} is no file of the submission"
        if name in ("-o", "--output") and "file" in (value or next(words, "")):
            yield "the output must not come from a file"


def option(word: str) -> tuple[str, str | None]:
    """An option's name and its value, if that is in the same word.

    >>> option("--filename=a.yaml"), option("-fa.yaml"), option("--now"), option("pod")
    (('--filename', 'a.yaml'), ('-f', 'a.yaml'), ('--now', None), ('', None))
    """
    if not word.startswith("-"):
        return "", None
    if word.startswith("--"):
        name, given, value = word.partition("=")
        return name, value if given else None
    return word[:2], word[2:].removeprefix("=") or None
