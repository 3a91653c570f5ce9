"""answers.toml: what a learner wrote down, read with care and saved one answer at a time."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograders.errors import InputError
from autograders.model import Answer, Answers

LARGEST = 1024 * 1024
"""Bytes of an answer file."""
LONGEST = 1000
"""Lines of one answer that is replaced in place."""


def read_answers(path: Path) -> Answers:
    """Read answers.toml: question id = value. No file, no answers."""
    return parse_answers(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    if not path.exists():
        return b""
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file", "move it away; answers go into a text file")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB", "keep one line per answer in it")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "make it readable") from error


def parse_answers(path: Path, data: bytes) -> Answers:
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path} is not UTF-8 (line {line})", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # also a number too long for Python
        what = f"{path} is not TOML: {error}"
        raise InputError(what, 'write one answer per line: name = "text", or name = 42') from error
    return {name: expect_answer(path, name, value) for name, value in found.items()}


def expect_answer(path: Path, name: str, value: Any) -> Answer:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return tuple(value)
    what = f"{path}: {name} is a {type(value).__name__}, not a text, a number or a list of them"
    raise InputError(what, f'write it as {name} = "text", or {name} = 42')


def save_answer(path: Path, name: str, answer: Answer | None) -> None:
    """Write one answer into the file, or take it out; everything else stays as it is.

    A file that cannot be read is refused, never overwritten.
    """
    data = read_bytes(path)
    before, answer = parse_answers(path, data), storable(answer)
    after = {key: value for key, value in before.items() if key != name}
    if answer is not None:
        after[name] = answer
    for text in edits(data.decode("utf-8"), name, answer):
        if same(path, text, after):
            return write(path, text)
    # a layout that a line editor cannot follow: comments go, answers stay
    write(path, "".join(line(key, value) for key, value in after.items()))


def storable(answer: Answer | None) -> Answer | None:
    """A terminal may hand on bytes that are no text."""
    if isinstance(answer, str):
        return answer.encode("utf-8", "replace").decode("utf-8")
    return answer


def same(path: Path, text: str, wanted: Answers) -> bool:
    try:
        found = parse_answers(path, text.encode("utf-8"))
    except InputError:
        return False
    return repr(sorted(found.items())) == repr(sorted(wanted.items()))  # nan equals nan


def edits(text: str, name: str, answer: Answer | None) -> Iterator[str]:
    """The file with the answer in each place where it may belong; the caller sees which holds."""
    lines = text.splitlines(keepends=True)
    new = f'# {name} = ""\n' if answer is None else line(name, answer)
    for start, end in (*assignments(lines, name), *placeholders(lines, name)):
        yield "".join([*lines[:start], new, *lines[end:]])
    yield text if answer is None else text + ("" if text.endswith("\n") or not text else "\n") + new


def assignments(lines: list[str], name: str) -> Iterator[tuple[int, int]]:
    """From which to which line the answer may go; texts may have several lines."""
    for start, one in enumerate(lines):
        if re.match(rf"{re.escape(name)}\s*=", one):
            ends = range(start + 1, min(len(lines), start + LONGEST) + 1)
            if found := next((end for end in ends if is_toml("".join(lines[start:end]))), 0):
                yield start, found


def placeholders(lines: list[str], name: str) -> Iterator[tuple[int, int]]:
    for start, one in enumerate(lines):
        if re.match(rf"#\s*{re.escape(name)}\s*=", one):
            yield start, start + 1


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def line(name: str, answer: Answer) -> str:
    """As a person would write it: a text of several lines stays one."""
    import tomli_w

    value = list(answer) if isinstance(answer, tuple) else answer
    readable = isinstance(value, str) and "\r" not in value
    return tomli_w.dumps({name: value}, multiline_strings=readable)


def write(path: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text.encode("utf-8"))
        part.replace(path)
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}"
        raise InputError(what, "mend that path, or free space; nothing was changed") from error
