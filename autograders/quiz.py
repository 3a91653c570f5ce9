"""Questions: the answers that a learner wrote down, and whether they are right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograders.errors import InputError
from autograders.load import Question
from autograders.model import Answer, Answers, CheckFailed

LARGEST = 1024 * 1024
"""Bytes of an answer file."""


def read_answers(path: Path) -> Answers:
    """Read answers.toml: question id = value. No file, no answers."""
    if not path.exists():
        return {}
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file", "move it away; answers go into a text file")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB", "keep one line per answer in it")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "make it readable") from error
    return parse_answers(path, data)


def parse_answers(path: Path, data: bytes) -> Answers:
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path} is not UTF-8 (line {line})", "save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
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


def judge(question: Question, answers: Answers, key: Callable[[], Any]) -> str:
    """Return why the answer is right, or raise CheckFailed; the key is asked for only if needed."""
    answer = answers.get(question.id)
    if answer is None or answer == "":
        sample = f"{question.id} = " + ("…" if question.type == "number" else '"…"')
        raise CheckFailed("not answered yet", f"{question.text} Write {sample} in answers.toml.")
    wanted = key()
    accepted = wanted if isinstance(wanted, tuple | list) else (wanted,)
    if not any(RIGHT[question.type](question, answer, each) for each in accepted):
        next = question.hint or f"find it with: {question.proof}"
        raise CheckFailed(f"your answer {shown(answer)} is not right", next)
    return f"{shown(answer)}: {question.explanation}"


def is_same_text(question: Question, answer: Answer, key: Any) -> bool:
    return normal(answer) == normal(key)


def normal(text: Any) -> str:
    """Case, blanks and dashes do not matter: a node's label writes dashes for blanks."""
    return re.sub(r"[\s_-]+", " ", str(text)).strip().casefold()


def is_near(question: Question, answer: Answer, key: Any) -> bool:
    number = as_number(answer, question.unit)
    return number is not None and abs(number - float(key)) <= question.tolerance


def as_number(answer: Answer, unit: str) -> float | None:
    """Read 81559, "81,559" and "81559 MiB" alike; None for what is no number."""
    if isinstance(answer, str):
        answer = re.sub(rf"\s*{re.escape(unit)}\s*$", "", answer.strip(), flags=re.IGNORECASE)
        plain = re.sub(r"(?<=\d)[,_ ](?=\d{3}(?!\d))", "", answer)
        return float(plain) if re.fullmatch(r"[+-]?\d+(\.\d+)?", plain) else None
    return float(answer) if isinstance(answer, int | float) and answer is not True else None


def shown(answer: Answer) -> str:
    """Keep a long answer to one short line."""
    text = repr(answer) if isinstance(answer, str) else str(answer)
    return text if len(text) <= 80 else text[:77] + "…"


RIGHT: dict[str, Callable[[Question, Answer, Any], bool]] = {
    "text": is_same_text,
    "choice": is_same_text,
    "number": is_near,
}
