"""The form, without a browser: labels, saving at once, explanations only after check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest

from autograders.errors import InputError
from autograders.model import Answer, Outcome, Result
from autograders.quiz import Option, Question, read_answers, save_answer
from autograders.quiz.question import Criterion
from autograders.widgets.quiz_form import quiz_form

OPTIONS = tuple(Option(each, f"text {each}", f"reason {each}") for each in "abc")


def question(type: Any, **more: Any) -> Question:
    text = f"The {type} <question> about `kubectl`?"
    return Question(f"q_{type}", type, 1, text, "EXPLAINED", "kubectl version", **more)


QUESTIONS = (
    question("choice", options=OPTIONS),
    question("multiple", options=OPTIONS),
    question("order", options=OPTIONS),
    question("number", unit="GPUs"),
    question("text"),
    question("yaml"),
    question("free", rubric=(Criterion("r", 1),)),
)
ANSWERS: dict[str, Answer] = {
    "q_choice": "b",
    "q_multiple": ("a", "c"),
    "q_order": ("c", "a", "b"),
    "q_number": 8,
    "q_text": "H100",
    "q_yaml": "kind: Pod\n",
    "q_free": "Because.\n",
}
INPUTS = (
    widgets.RadioButtons,
    widgets.Checkbox,
    widgets.Dropdown,
    widgets.Text,
    widgets.Textarea,
)


def walk(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def inputs(form: widgets.Widget, of: int | None = None) -> list[Any]:
    found = form if of is None else form.children[of]
    return [each for each in walk(found) if isinstance(each, INPUTS)]


def words(form: widgets.Widget) -> str:
    return "".join(each.value for each in walk(form) if isinstance(each, widgets.HTML))


def form_of(path: Path, check: Any = None) -> Any:
    return quiz_form(QUESTIONS, read_answers(path), partial(save_answer, path), check)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.toml"


def fill(form: Any) -> None:
    """Answer everything, one change at a time, as the keyboard would."""
    inputs(form, 0)[0].value = "b"
    for index in (0, 2):
        inputs(form, 1)[index].value = True
    for place, name in zip(inputs(form, 2), "cab", strict=True):
        place.value = name
    for index, text in enumerate(("8 GPUs", "H100", "kind: Pod", "Because."), 3):
        inputs(form, index)[0].value = text


def test_every_change_is_saved_at_once(path: Path) -> None:
    form = form_of(path)
    seen = []
    for index in (0, 2, 1):
        inputs(form, 1)[index].value = True
        seen.append(read_answers(path)["q_multiple"])
    assert seen == [("a",), ("a", "c"), ("a", "b", "c")]
    fill(form)
    inputs(form, 1)[1].value = False
    assert read_answers(path) == ANSWERS


def test_what_was_saved_is_there_after_a_restart_of_the_kernel(path: Path) -> None:
    fill(form_of(path))
    values = [each.value for each in inputs(form_of(path))]
    assert values == [
        "b",
        *(True, False, True),
        *("c", "a", "b"),
        *("8", "H100", "kind: Pod\n", "Because.\n"),
    ]


def test_a_half_made_order_keeps_its_places(path: Path) -> None:
    inputs(form_of(path), 2)[1].value = "a"
    assert read_answers(path) == {"q_order": ("", "a", "")}
    assert [each.value for each in inputs(form_of(path), 2)] == ["", "a", ""]


def test_an_answer_that_is_emptied_is_taken_out(path: Path) -> None:
    form = form_of(path)
    fill(form)
    for each in (*inputs(form, 1), *inputs(form, 2), *inputs(form, 4)):
        each.value = False if isinstance(each, widgets.Checkbox) else ""
    assert read_answers(path).keys() == ANSWERS.keys() - {"q_multiple", "q_order", "q_text"}


def test_a_half_typed_number_is_not_lost(path: Path) -> None:
    inputs(form_of(path), 3)[0].value = "8."
    assert inputs(form_of(path), 3)[0].value == "8."


def test_every_input_has_a_label_of_its_own_and_takes_the_keyboard(path: Path) -> None:
    form = form_of(path)
    labels = [
        (index, each.description) for index in range(len(QUESTIONS)) for each in inputs(form, index)
    ]
    assert len(set(labels)) == len(labels) == 11
    assert all(label.strip() for _, label in labels)
    assert all(each.tabbable is not False and not each.disabled for each in inputs(form))
    texts = {label for _, label in labels if label.startswith("Answer")}
    assert {"Answer 1", "Answer 4 (GPUs)", "Answer 3, place 2"} <= texts


def test_question_texts_are_escaped_and_code_is_code(path: Path) -> None:
    page = words(form_of(path))
    assert "&lt;question&gt;" in page
    assert "<code>kubectl</code>" in page


def results() -> Mapping[str, Result]:
    return {
        "q_choice": Result("q_choice", Outcome.PASSED, 1.0, 1.0, "b: reason b", "", "real"),
        "q_text": Result("q_text", Outcome.FAILED, 0.0, 1.0, "<no>", "try that", "real"),
    }


def test_nothing_is_explained_before_check(path: Path) -> None:
    form = form_of(path, results)
    fill(form)
    assert not any(text in words(form) for text in ("reason", "EXPLAINED", "right ("))


def test_check_explains_each_answer_and_a_change_takes_the_words_away(path: Path) -> None:
    form = form_of(path, results)
    button = next(each for each in walk(form) if isinstance(each, widgets.Button))
    button.click()
    page = words(form)
    assert "✓ right (1 of 1)" in page
    assert "reason b" in page
    assert "&lt;no&gt;" in page
    assert "checked: 1 of 2 are right" in page
    assert "a person marks this one" in page
    inputs(form, 0)[0].value = "a"
    assert "reason b" not in words(form)


def test_a_check_that_cannot_be_done_is_said(path: Path) -> None:
    def refuses() -> Mapping[str, Result]:
        raise InputError("no cluster", "gpulab up")

    form = form_of(path, refuses)
    next(each for each in walk(form) if isinstance(each, widgets.Button)).click()
    assert "no cluster: gpulab up" in words(form)


def test_an_answer_that_is_not_saved_is_said(path: Path) -> None:
    form = form_of(path)
    path.write_text("a = ")
    inputs(form, 4)[0].value = "x"
    assert "not saved: " in words(form)
    assert path.read_text() == "a = "


def test_what_changes_by_itself_is_announced(path: Path) -> None:
    form = form_of(path)
    inputs(form, 4)[0].value = "x"
    assert '<div role="status" aria-live="polite"><p>saved</p></div>' in words(form)


def test_odd_saved_answers_do_not_break_the_form(path: Path) -> None:
    odd: dict[str, Answer] = {
        "q_choice": "z",
        "q_multiple": 5,
        "q_order": ("c", "z", "a", "b", "b"),
        "q_number": "many",
        "q_text": ("a", "b"),
        "q_yaml": True,
    }
    form = quiz_form(QUESTIONS, odd, lambda name, answer: None)
    assert inputs(form, 0)[0].value is None
    assert [each.value for each in inputs(form, 2)] == ["c", "", "a"]
    assert inputs(form, 3)[0].value == "many"
