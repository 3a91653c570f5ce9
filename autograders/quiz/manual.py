"""Free texts: what a person is to mark, and what a learner gives himself; never summed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autograders.model import Answer, Answers, ManualMark, Report
from autograders.quiz.marking import is_blank
from autograders.quiz.question import Question

NOT_ANSWERED = "not answered yet"


@dataclass(frozen=True)
class SelfMark:
    """Points that a learner gave one answer, line by line of the rubric."""

    answer: str
    """`fingerprint` of the answer that was marked: another answer is not marked yet."""
    points: tuple[float, ...]
    """One entry for each line of the rubric."""


def to_mark(question: Question, answers: Answers) -> ManualMark:
    """What a person has before him."""
    answer = answers.get(question.id)
    count = len(str(answer).split())
    seen = NOT_ANSWERED if is_blank(answer) else f"answered in {count} words"
    rubric = tuple(f"{each.text} ({each.points:g})" for each in question.rubric)
    return ManualMark(question.id, float(question.points), seen, rubric)


def fingerprint(answer: Answer) -> str:
    return hashlib.sha256(str(answer).strip().encode("utf-8", "replace")).hexdigest()


def with_self_marks(
    report: Report,
    questions: Sequence[Question],
    answers: Answers,
    marks: Mapping[str, SelfMark],
) -> Report:
    """Show beside the score what the learner gave himself for the answers as they are now."""
    given = {
        each.id: total
        for each in questions
        if (total := points(each, answers.get(each.id), marks.get(each.id))) is not None
    }
    manual = tuple(replace(each, points=given.get(each.name)) for each in report.manual)
    total = float(sum(each.points or 0.0 for each in manual))
    return replace(report, manual=manual, manual_score=total, self_marked=bool(given))


def points(question: Question, answer: Answer | None, mark: SelfMark | None) -> float | None:
    """The mark, if it is about this answer and this rubric."""
    if mark is None or answer is None or mark.answer != fingerprint(answer):
        return None
    if len(mark.points) != len(question.rubric):
        return None
    pairs = zip(mark.points, question.rubric, strict=True)
    return float(sum(min(max(0.0, given), line.points) for given, line in pairs))
