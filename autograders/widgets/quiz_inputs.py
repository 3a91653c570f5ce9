"""One input per type of question: what was saved is in it, and every change is told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import ipywidgets as widgets

from autograders.errors import InputError
from autograders.model import Answer
from autograders.quiz import Question
from autograders.quiz.entry import as_text, read_entry
from autograders.quiz.marking import words

NOT_PLACED = ("not chosen yet", "")
WIDE = "min(100%, 46rem)"
Changed = Callable[[Answer | None], None]


def choice_input(
    question: Question, answer: Answer | None, label: str, changed: Changed
) -> widgets.Widget:
    options = [(f"{each.id}) {each.text}", each.id) for each in question.options]
    saved = as_text(answer).strip().casefold()
    found = widgets.RadioButtons(
        options=options,
        value=saved if question.option(saved) else None,
        description=label,
        layout={"width": WIDE},
    )
    found.observe(lambda change: changed(change["new"]), "value")
    return found


def multiple_input(
    question: Question, answer: Answer | None, label: str, changed: Changed
) -> widgets.Widget:
    chosen = words(as_text(answer).casefold())
    boxes = {
        each.id: widgets.Checkbox(
            value=each.id in chosen,
            description=f"{each.id}) {each.text}",
            tooltip=label,
            indent=False,
            layout={"width": WIDE},
        )
        for each in question.options
    }

    def told(_: object) -> None:
        changed(tuple(name for name, box in boxes.items() if box.value) or None)

    for box in boxes.values():
        box.observe(told, "value")
    return widgets.VBox(list(boxes.values()))


def order_input(
    question: Question, answer: Answer | None, label: str, changed: Changed
) -> widgets.Widget:
    """One list per place; a place may stay empty while others are filled."""
    saved = answer if isinstance(answer, tuple) else tuple(words(as_text(answer)))
    options = [NOT_PLACED, *((f"{each.id}) {each.text}", each.id) for each in question.options)]
    places = [
        widgets.Dropdown(
            options=options,
            value=name if question.option(name) else "",
            description=f"{label}, place {place}",
            style={"description_width": "initial"},
            layout={"width": WIDE},
        )
        for place, name in enumerate(filled(saved, len(question.options)), 1)
    ]

    def told(_: object) -> None:
        given = tuple(each.value for each in places)
        changed(given if any(given) else None)

    for each in places:
        each.observe(told, "value")
    return widgets.VBox(places)


def filled(saved: Sequence[object], length: int) -> list[str]:
    return [str(each) for each in (*saved, *[""] * length)][:length]


def text_input(
    question: Question, answer: Answer | None, label: str, changed: Changed
) -> widgets.Widget:
    kind = widgets.Textarea if question.type in ("yaml", "free") else widgets.Text
    more = {"rows": 12 if question.type == "yaml" else 6} if kind is widgets.Textarea else {}
    found = kind(
        value=as_text(answer),
        description=label,
        placeholder=question.unit,
        style={"description_width": "initial"},
        layout={"width": WIDE},
        **more,
    )
    found.observe(partial(typed, question, changed), "value")
    return found


def typed(question: Question, changed: Changed, change: Mapping[str, str]) -> None:
    """Save what stands there, also while it is no number yet: nothing typed is ever lost."""
    try:
        changed(read_entry(question, change["new"]))
    except InputError:
        changed(change["new"])


INPUTS = {
    "choice": choice_input,
    "multiple": multiple_input,
    "order": order_input,
    "text": text_input,
    "number": text_input,
    "yaml": text_input,
    "free": text_input,
}
