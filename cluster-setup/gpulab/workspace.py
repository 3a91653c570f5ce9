"""The learner's folder: copies of notebooks, never overwritten once edited."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from autograders.load import Exercise
from gpulab.paths import ROOT, private_dir, work

NOTHING = '""'
EXAMPLES = {"number": "0", "multiple": "[]", "order": "[]", "yaml": "''''''", "free": '""""""'}
"""How an answer of each type looks before it is one."""
COPIES = Path(".gpulab") / "copies.json"  # relative path → SHA-256 of the version copied


def update() -> list[Path]:
    """Copy what is new or was changed by an upgrade; returns the edited files that were kept."""
    target = private_dir(work(), "GPULAB_WORK")
    copies, kept = _read(target), []
    for source, relative in _notebooks():
        file = target / relative
        new = _digest(source)
        if file.exists() and _digest(file) not in (copies.get(str(relative)), new):
            if copies.get(str(relative)) != new:  # there is a newer version, not taken
                kept.append(file)
            continue
        if not file.exists() or _digest(file) != new:
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, file)
        copies[str(relative)] = new
    _write(target, copies)
    return kept


def answers_file(exercise_id: str) -> Path:
    """Where the answers to an exercise's questions stand."""
    return work() / "exercises" / exercise_id / "answers.toml"


def offer_answers(exercise: Exercise) -> Path | None:
    """Write an answers.toml with the questions as comments, unless there is one; its path."""
    file = answers_file(exercise.id)
    if not exercise.questions or file.exists():
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(answers_text(exercise))
    return file


def answers_text(exercise: Exercise) -> str:
    """The questions as comments, each with a place for its answer; empty without questions."""
    if not exercise.questions:
        return ""
    lines = [f"# Your answers to {exercise.title}. `gpulab check {exercise.short}` reads them."]
    for question in exercise.questions:
        options = [f"{each.id}) {each.text}" for each in question.options]
        lines += ["", *(f"# {line}" for line in [*question.text.strip().splitlines(), *options])]
        lines.append(f"# {question.id} = {EXAMPLES.get(question.type, NOTHING)}")
    return "\n".join(lines) + "\n"


def _notebooks() -> Iterator[tuple[Path, Path]]:
    for pattern in ("course/*.ipynb", "exercises/*/exercise.ipynb"):
        for source in sorted(ROOT.glob(pattern)):
            yield source, source.relative_to(ROOT)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read(target: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((target / COPIES).read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}  # every file counts as edited then, and is kept


def _write(target: Path, copies: dict[str, str]) -> None:
    file = target / COPIES
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(copies)))
