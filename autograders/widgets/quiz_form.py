"""The quiz as a form: every change is saved at once, and the keyboard is enough.

It takes questions, the answers so far and two functions, never a client. What it shows after a
restart of the kernel is what was saved.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from autograders.errors import InputError
from autograders.model import Answer, Answers, Outcome, Result
from autograders.quiz import RULES, Question
from autograders.widgets.quiz_inputs import INPUTS

Save = Callable[[str, Answer | None], None]
Check = Callable[[], Mapping[str, Result]]
WORDS = {
    Outcome.PASSED: "✓ right",
    Outcome.FAILED: "✗ not right yet",
    Outcome.NOT_YET: "… not yet",
    Outcome.BROKEN: "! not decided",
}


def quiz_form(
    questions: Sequence[Question], answers: Answers, save: Save, check: Check | None = None
) -> widgets.VBox:
    """Make the form; `save` gets each answer as it changes, None for one that was emptied."""
    entries = [
        Entry(number, question, answers.get(question.id), save)
        for number, question in enumerate(questions, 1)
    ]
    rows = [each.box for each in entries]
    if check is not None:
        button = widgets.Button(
            description="Check the answers", tooltip="Grade the cluster and the saved answers"
        )
        said = widgets.HTML()
        button.on_click(lambda _: show_results(entries, check, said))
        rows += [button, said]
    return widgets.VBox(rows)


def show_results(entries: Sequence[Entry], check: Check, said: widgets.HTML) -> None:
    """Only now are explanations shown: each with the answer that it was about."""
    said.value = live("checking …")
    try:
        results = check()
    except InputError as problem:
        said.value = live(f"{problem.what}: {problem.do}")
        return
    for entry in entries:
        entry.explain(results.get(entry.question.id))
    right = sum(each.outcome is Outcome.PASSED for each in results.values())
    said.value = live(f"checked: {right} of {len(results)} are right")


class Entry:
    """One question with its input and what was said about the answer."""

    def __init__(self, number: int, question: Question, answer: Answer | None, save: Save) -> None:
        self.question, self.save = question, save
        self.status = widgets.HTML(live("saved") if answer is not None else "")
        label = f"Answer {number}" + (f" ({question.unit})" if question.unit else "")
        self.input = INPUTS[question.type](question, answer, label, self.changed)
        self.box = widgets.VBox(
            [widgets.HTML(heading(number, question)), self.input, self.status],
            layout={"margin": "0 0 1rem 0"},
        )

    def changed(self, answer: Answer | None) -> None:
        """Save, and say so; a file that cannot be written is named."""
        try:
            self.save(self.question.id, answer)
        except InputError as problem:
            self.status.value = live(f"not saved: {problem.what}; {problem.do}")
        else:
            self.status.value = live("saved" if answer is not None else "")

    def explain(self, result: Result | None) -> None:
        if result is None:
            text = "a person marks this one" if self.question.by_hand else "not asked here"
            self.status.value = live(text)
            return
        points = f"{result.points:g} of {result.max_points:g}"
        lines = [f"{WORDS[result.outcome]} ({points})", result.seen, result.next]
        self.status.value = live(*filter(None, lines))


def heading(number: int, question: Question) -> str:
    """Question, points and rule; of an order also what there is to be put in order."""
    points = f"{question.points:g} point{'s' * (question.points != 1)}"
    rule = RULES.get(question.type, "")
    text = f"<p><strong>{number}. {code(question.text)}</strong> <em>({points})</em></p>"
    listed = ""
    if question.type == "order":
        items = (f"<li>{each.id}) {code(each.text)}</li>" for each in question.options)
        listed = f"<ul>{''.join(items)}</ul>"
    return text + (f"<p>{code(rule)}</p>" if rule else "") + listed


def code(text: str) -> str:
    """Escape; what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def live(*lines: str) -> str:
    """What changes by itself is read aloud by a screen reader."""
    inner = "".join(f"<p>{code(each)}</p>" for each in lines)
    return f'<div role="status" aria-live="polite">{inner}</div>'
