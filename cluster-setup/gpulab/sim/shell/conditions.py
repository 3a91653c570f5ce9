"""`test` and `[`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from gpulab.sim.shell.process import Process

NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


class BadTest(Exception):
    """An expression that `test` cannot read."""


def holds(words: Sequence[str], process: Process) -> bool:
    """Evaluate the words between the brackets; `-o` binds weaker than `-a`."""
    for joint, combine in (("-o", any), ("-a", all)):
        if joint in words:
            at = list(words).index(joint)
            return combine(holds(part, process) for part in (words[:at], words[at + 1 :]))
    if words[:1] == ["!"]:
        return not holds(words[1:], process)
    if len(words) == 3:
        return _binary(*words)
    if len(words) == 2:
        return _unary(words[0], words[1], process)
    if len(words) > 3:
        raise BadTest(f"{words[3]}: unexpected operator")
    return bool(words and words[0])


def _unary(option: str, text: str, process: Process) -> bool:
    files, path = process.files, process.path(text) if text else ""
    found = files.get(path) if text else None
    answers: dict[str, Callable[[], bool]] = {
        "-n": lambda: bool(text),
        "-z": lambda: not text,
        "-e": lambda: found is not None,
        "-f": lambda: found is not None and found.data is not None,
        "-d": lambda: found is not None and found.data is None,
        "-s": lambda: found is not None and found.size > 0,
        "-r": lambda: found is not None,
        "-w": lambda: found is not None,
        "-x": lambda: found is not None and (found.data is None or bool(found.mode & 0o111)),
        "-L": lambda: False,
        "-h": lambda: False,
        "-t": lambda: process.interactive,
    }
    if option not in answers:
        raise BadTest(f"{option}: unexpected operator")
    return answers[option]()


def _binary(left: str, name: str, right: str) -> bool:
    if name in TEXTS:
        return TEXTS[name](left, right)
    if name not in NUMBERS:
        raise BadTest(f"{name}: unexpected operator")
    for text in (left, right):
        if not text.strip().lstrip("-").isdigit():
            raise BadTest(f"Illegal number: {text}")
    return NUMBERS[name](int(left), int(right))
