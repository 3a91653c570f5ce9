"""What a person types into a terminal or a form, as an answer to one question."""

from __future__ import annotations

from autograders.errors import InputError
from autograders.model import Answer, CheckFailed
from autograders.quiz.marking import as_number, chosen_options, is_blank, words
from autograders.quiz.question import Question


def read_entry(question: Question, text: str) -> Answer | None:
    """Turn typed text into an answer, None for nothing; InputError says what is expected."""
    if is_blank(text):
        return None
    if question.options:
        return read_options(question, text)
    if question.type == "number":
        number = as_number(text, question.unit)
        if number is None:
            what = f"{text.strip()!r} is no number"
            raise InputError(what, f"write it as 42 or 42 {question.unit}".rstrip())
        return int(number) if number.is_integer() else number
    return text.strip() if question.type == "text" else text.strip("\n") + "\n"


def read_options(question: Question, text: str) -> Answer:
    """Whether it is right is not said here: `gpulab check` does that."""
    known = ", ".join(each.id for each in question.options)
    given: Answer = tuple(words(text.strip("[]")))
    try:
        ids = tuple(each.id for each in chosen_options(question, given))
    except CheckFailed as problem:
        raise InputError(problem.seen, problem.next) from None
    if question.type == "choice" and len(ids) != 1:
        raise InputError("that is more than one", f"choose one of {known}")
    if question.type == "order" and len(ids) != len(question.options):
        raise InputError(f"that is {len(ids)} of {len(question.options)}", f"order all: {known}")
    return ids[0] if question.type == "choice" else ids


def as_text(answer: Answer | None) -> str:
    """Show a saved answer as a person would type it."""
    if answer is None:
        return ""
    if isinstance(answer, tuple):
        return ", ".join(str(each) for each in answer)
    return str(answer)
