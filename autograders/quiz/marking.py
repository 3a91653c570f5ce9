"""Whether an answer is right, and what to say about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autograders.model import Answer, Answers, CheckFailed, Partly, Probe, Unreadable
from autograders.quiz.manifest import lacks, read_manifest
from autograders.quiz.question import Option, Question

Tried = Callable[[], Probe]


def judge(
    question: Question, answers: Answers, key: Callable[[], Any], tried: Tried | None = None
) -> str:
    """Return why the answer is right, or raise CheckFailed; the key is asked for only if needed.

    `tried` returns the dry run of a YAML answer.
    """
    answer = answers.get(question.id)
    answer = tuple(answer) if isinstance(answer, list) else answer  # as JSON keeps it
    if is_blank(answer):
        raise CheckFailed("not answered yet", f"{question.text} {how_to_write(question)}")
    assert answer is not None
    if question.type == "yaml":
        return judge_yaml(question, answer, key, tried)
    if question.options:
        return judge_options(question, answer, key)
    if not any(RIGHT[question.type](question, answer, each) for each in accepted(key())):
        raise CheckFailed(f"your answer {shown(answer)} is not right", next_step(question))
    return f"{shown(answer)}: {question.explanation}"


def is_blank(answer: Answer | None) -> bool:
    if isinstance(answer, tuple):
        return not any(not is_blank(each) for each in answer)
    return answer is None or (isinstance(answer, str) and not answer.strip())


def how_to_write(question: Question) -> str:
    value = {"number": "…", "multiple": '["…", "…"]', "order": '["…", "…"]'}.get(question.type)
    return f"Write {question.id} = {value or chr(34) + '…' + chr(34)} in answers.toml."


def next_step(question: Question) -> str:
    found = question.proof and f"find it with: {question.proof}"
    return question.hint or found or f"read {question.source}"


def accepted(key: Any) -> tuple[Any, ...]:
    return tuple(key) if isinstance(key, tuple | list) else (key,)


def judge_options(question: Question, answer: Answer, key: Callable[[], Any]) -> str:
    chosen = chosen_options(question, answer)
    wanted = [str(each) for each in accepted(key())]
    if question.type == "choice":
        return judge_choice(question, chosen, wanted)
    if question.type == "order":
        return judge_order(question, chosen, wanted)
    return judge_multiple(question, chosen, wanted)


def chosen_options(question: Question, answer: Answer) -> list[Option]:
    """Read `b`, "b" and ["b", "d"]; what is no option is said, and costs nothing but a try."""
    names = [str(each) for each in answer] if isinstance(answer, tuple) else words(str(answer))
    known = ", ".join(each.id for each in question.options)
    options = []
    for name in names:
        option = question.option(name.strip().casefold())
        if option is None:
            seen = f"{shown(name)} is none of the options" if name else "a place is still empty"
            raise CheckFailed(seen, f"choose from {known}")
        if option in options:
            raise CheckFailed(f"{option.id} stands there twice", f"name each of {known} once")
        options.append(option)
    return options


def words(text: str) -> list[str]:
    return [each for each in re.split(r"[\s,;>]+", text) if each]


def judge_choice(question: Question, chosen: list[Option], wanted: list[str]) -> str:
    if len(chosen) != 1:
        raise CheckFailed("you chose more than one", "choose one")
    option = chosen[0]
    if option.id not in wanted:
        seen = f"your answer {option.id} is not right: {option.explanation}"
        raise CheckFailed(seen, next_step(question))
    return f"{option.id}: {option.explanation} {question.explanation}"


def judge_multiple(question: Question, chosen: list[Option], wanted: list[str]) -> str:
    """Share of the right ones chosen, less the share of the wrong ones: all or none earns 0."""
    right = [each for each in chosen if each.id in wanted]
    wrong = [each for each in chosen if each.id not in wanted]
    ids = ", ".join(sorted(each.id for each in chosen))
    if len(right) == len(wanted) and not wrong:
        return f"{ids}: {question.explanation}"
    share = len(right) / len(wanted) - len(wrong) / (len(question.options) - len(wanted))
    seen = f"you chose {ids}: {len(right)} of {len(wanted)} right ones, and {len(wrong)} wrong"
    reasons = "".join(f"; {each.id}: {each.explanation}" for each in wrong)
    raise Partly(seen + reasons, next_step(question), max(0.0, share))


def judge_order(question: Question, chosen: list[Option], wanted: list[str]) -> str:
    ids = [each.id for each in chosen]
    if len(ids) < len(wanted):
        missing = ", ".join(each.id for each in question.options if each.id not in ids)
        raise CheckFailed(f"{missing} has no place yet", "put all of them in order")
    if ids != wanted:
        seen = f"your order {', '.join(ids)} is not right"
        raise CheckFailed(seen, next_step(question))
    return f"{', '.join(ids)}: {question.explanation}"


def judge_yaml(
    question: Question, answer: Answer, key: Callable[[], Any], tried: Tried | None
) -> str:
    manifest, wanted = read_manifest(answer), read_manifest(key())
    if tried is None:
        raise Unreadable("nobody has tried this answer on the cluster")
    probe = tried()
    if probe.request.get("object") != manifest:
        raise Unreadable("the answer has changed since it was tried on the cluster")
    said = outcome(probe)
    if (wanted.get("kind") == "Status") != (probe.status >= 300 or probe.status == 0):
        raise CheckFailed(said, next_step(question))
    if missing := lacks(wanted, probe.answer):
        raise CheckFailed(f"{said}, but in its answer {missing}", next_step(question))
    return f"{said}: {question.explanation}"


def outcome(probe: Probe) -> str:
    if 200 <= probe.status < 300:
        return "the API server accepts it"
    message = " ".join(str(probe.answer.get("message", "no reason given")).split())
    if probe.status == 0:
        return f"it was not sent to the API server: {message}"
    return f"the API server refuses it ({probe.status}): {message}"


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


def yaml_questions(questions: Sequence[Question]) -> Iterator[Question]:
    """Questions whose answers must be tried on the cluster before they can be judged."""
    return (each for each in questions if each.type == "yaml")


RIGHT: dict[str, Callable[[Question, Answer, Any], bool]] = {
    "text": is_same_text,
    "number": is_near,
}
