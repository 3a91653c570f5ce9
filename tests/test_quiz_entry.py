"""What is typed becomes an answer, or is asked for again."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.errors import InputError
from autograders.model import Answer
from autograders.quiz import Option, Question
from autograders.quiz.entry import as_text, read_entry

OPTIONS = tuple(Option(each, each, "why") for each in "abc")


def question(type: Any) -> Question:
    options = OPTIONS if type in ("choice", "multiple", "order") else ()
    unit = "GPUs" if type == "number" else ""
    return Question(
        "q", type, 1, "What?", "Because.", "kubectl get pods", options=options, unit=unit
    )


@pytest.mark.parametrize(
    ("type", "text", "answer"),
    [
        ("choice", " B ", "b"),
        ("multiple", "a,c", ("a", "c")),
        ("multiple", "c a", ("c", "a")),
        ("order", "b > a > c", ("b", "a", "c")),
        ("number", "8 gpus", 8),
        ("number", "1,024", 1024),
        ("number", "2.5", 2.5),
        ("text", "  H100  ", "H100"),
        ("yaml", "\nkind: Pod\n\n", "kind: Pod\n"),
        ("free", "One.\n\nTwo.", "One.\n\nTwo.\n"),
        *((type, "  \n", None) for type in ("choice", "number", "text", "yaml", "order")),
    ],
)
def test_typed_text_is_read_as_meant(type: str, text: str, answer: Answer | None) -> None:
    assert read_entry(question(type), text) == answer


@pytest.mark.parametrize(
    ("type", "text"),
    [
        ("choice", "d"),
        ("choice", "a b"),
        ("multiple", "a a"),
        ("multiple", "yes"),
        ("order", "a b"),
        ("number", "many"),
        ("number", "8 nodes"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_what_can(type: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        read_entry(question(type), text)
    assert refused.value.do


@pytest.mark.parametrize("answer", ["b", ("b", "a", "c")])
def test_what_is_shown_can_be_typed_again(answer: Answer) -> None:
    type = "order" if isinstance(answer, tuple) else "choice"
    assert read_entry(question(type), as_text(answer)) == answer
