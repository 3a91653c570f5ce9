"""What quiz.toml may say, and what is wrong with a question that does not explain itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from autograders.model import CheckFailed
from autograders.quiz.manifest import read_manifest

Text = Annotated[str, Meta(min_length=1)]
Points = Annotated[float, Meta(gt=0)]
COMMANDS = ("kubectl ", "gpulab ")
"""What a proof begins with: a learner can run it in the terminal."""
WITH_OPTIONS = ("choice", "multiple", "order")
RULES = {
    "multiple": "Choose all that are right. The share of the right ones that you choose counts,"
    " less the share of the wrong ones; never below 0.",
    "order": "Put all of them in order; only the whole order counts.",
    "yaml": "A manifest. `gpulab check` sends it to the API server as a dry run, which stores"
    " nothing, and judges the API server's answer.",
    "free": "In your own words. A person marks it against a rubric; it is not in the score.",
}
"""Type -> how it is marked, where that is not plain."""


class Option(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to choose, or to put in order."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """What the learner writes: `b`."""
    text: Text
    """What it says."""
    explanation: Text
    """Why it is right, or what is wrong with it; shown once it was chosen and checked."""


class Criterion(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a rubric: what a person looks for in a free text."""

    text: Text
    """What must be there."""
    points: Points
    """What it is worth."""


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """One question of quiz.toml."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    """The key in answers.toml."""
    type: Literal["text", "number", "choice", "multiple", "order", "yaml", "free"]
    """How an answer is compared."""
    points: Points
    """What it is worth."""
    text: Text
    """The question."""
    explanation: Text
    """Why the answer is right; shown once it is. Of a free text: a model answer."""
    proof: str = ""
    """The command that proves the answer, for a question about the cluster."""
    hint: str = ""
    """What to try after a wrong answer; without one, proof or source is shown."""
    fidelity: Literal["real", "simulated"] = "real"
    """`simulated` where the answer comes from the simulated kubelet or GPU."""
    options: tuple[Option, ...] = ()
    """Of choice, multiple and order."""
    answer: str | float | tuple[str | float, ...] | None = None
    """The answer, or the accepted ones; None: checks.py computes it (`@answer_key`).

    Of multiple: all that are right. Of order: all, in order. Of yaml: what the API server's answer
    must contain, as YAML (with `kind: Status` it is a refusal that is wanted).
    """
    unit: str = ""
    """Of a number; an answer may repeat it."""
    tolerance: Annotated[float, Meta(ge=0)] = 0
    """Of a number: how far off is still right."""
    source: str = ""
    """Who says so, with its address, for a question that no command can answer."""
    rubric: tuple[Criterion, ...] = ()
    """Of a free text."""

    @property
    def by_hand(self) -> bool:
        """A person marks it; it never counts for the score."""
        return self.type == "free"

    def option(self, name: str) -> Option | None:
        return next((each for each in self.options if each.id == name), None)


class Quiz(Struct, frozen=True, forbid_unknown_fields=True):
    """quiz.toml as a whole."""

    question: tuple[Question, ...]
    """In the order in which they are asked."""


def faults(question: Question, computed: bool) -> Iterator[str]:
    """What types cannot say, as whole sentences; `computed`: checks.py has the key."""
    parts = (
        *wrong_options(question),
        *wrong_key(question, computed),
        *wrong_evidence(question, computed),
        *wrong_fields(question),
    )
    return (f"question {question.id!r} {part}" for part in parts)


def wrong_key(question: Question, computed: bool) -> Iterator[str]:
    if question.by_hand:
        if computed or question.answer is not None:
            yield "is marked by a person: it has a rubric and no key"
    elif (question.answer is None) != computed:
        yield "needs one key: `answer`, or an @answer_key"
    elif question.answer is not None:
        yield from wrong_answer(question)


def wrong_answer(question: Question) -> Iterator[str]:
    ids = [each.id for each in question.options]
    answer = question.answer
    given = list(answer) if isinstance(answer, tuple) else [answer]
    if question.type == "number" and not all(isinstance(each, int | float) for each in given):
        yield "needs a number as `answer`"
    if question.type in ("choice", "multiple") and not set(given) <= set(ids):
        yield f"has an `answer` that is none of its options: {', '.join(ids)}"
    if question.type == "multiple" and not 0 < len(set(given)) < len(ids):
        yield "needs options that are right and options that are not"
    if question.type == "order" and (sorted(map(str, given)) != sorted(ids) or given == ids):
        yield "needs an `answer` with every option once, in another order than they are listed"
    if question.type == "yaml":
        yield from wrong_manifest(question.answer)


def wrong_manifest(answer: object) -> Iterator[str]:
    try:
        read_manifest(answer)
    except CheckFailed as problem:
        yield f"needs YAML as `answer`: {problem.seen}"


def wrong_evidence(question: Question, computed: bool) -> Iterator[str]:
    if not question.proof and (computed or not question.source):
        yield "needs `proof`, the command that shows it, or `source`, if no command can"
    if question.proof and not question.proof.startswith(COMMANDS):
        yield "needs a command of kubectl or gpulab as `proof`"
    if question.source and "https://" not in question.source:
        yield "needs an address (https://…) in `source`"


def wrong_options(question: Question) -> Iterator[str]:
    ids = [each.id for each in question.options]
    if question.type in WITH_OPTIONS and len(ids) < 2:
        yield "needs at least two `options`"
    if question.type not in WITH_OPTIONS and ids:
        yield f"is of type {question.type}, which has no `options`"
    yield from (f"has two options {each!r}" for each in sorted(set(ids)) if ids.count(each) > 1)


def wrong_fields(question: Question) -> Iterator[str]:
    if question.type != "number" and (question.unit or question.tolerance):
        yield "has `unit` or `tolerance` and is not of type number"
    if question.by_hand != bool(question.rubric):
        yield "needs a `rubric` if, and only if, it is of type free"
    elif question.by_hand and sum(each.points for each in question.rubric) != question.points:
        yield "needs a `rubric` whose points add up to its own"
