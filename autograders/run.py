"""Decide: from an Evidence and answers to a Report, without looking at anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from autograders.cluster import Cluster
from autograders.evidence import digest
from autograders.garbage import no_search
from autograders.load import Exercise
from autograders.model import (
    Answers,
    Check,
    CheckFailed,
    Evidence,
    Guard,
    NotYet,
    Outcome,
    Partly,
    Report,
    Result,
)
from autograders.quiz import judge
from autograders.quiz.manual import to_mark
from autograders.quiz.question import Question

SIMULATED = frozenset({"embedded", "kind"})
"""Providers whose kubelets and GPUs are simulated."""
NOT_YOURS = "your work is not at fault: check again; if it stays, report it to the course"


@dataclass(frozen=True)
class Verdict:
    """How one attempt ended."""

    outcome: Outcome
    """One of the four."""
    seen: str
    """What was found, or why it is right."""
    next: str = ""
    """What to try next."""
    share: float = 0.0
    """Of the points, where only part is right."""


def decide(exercise: Exercise, evidence: Evidence, answers: Answers) -> Report:
    """Judge every guard, check and question; none of them can stop the others."""
    with no_search():
        return judged(exercise, evidence, answers)


def judged(exercise: Exercise, evidence: Evidence, answers: Answers) -> Report:
    cluster = Cluster(evidence.phases, exercise.namespace, exercise.id, exercise.variant, answers)
    simulated = evidence.provider in SIMULATED
    guards = tuple(guarded(each, cluster) for each in exercise.guards)
    left_out = dict(impossible(exercise, evidence))
    results = tuple(
        checked(each, cluster, simulated) for each in exercise.checks if each.name not in left_out
    ) + tuple(
        asked(exercise, each, answers, cluster, simulated)
        for each in exercise.questions
        if not each.by_hand and each.id not in left_out
    )
    manual = tuple(to_mark(each, answers) for each in exercise.questions if each.by_hand)
    score, undecided = total(guards, results)
    return Report(
        exercise=exercise.id,
        title=exercise.title,
        score=score,
        max_score=float(sum(each.max_points for each in results)),
        undecided=undecided,
        results=results,
        guards=guards,
        digest=digest(evidence),
        provider=evidence.provider,
        speed=float(evidence.speed),
        warnings=tuple(warnings(exercise, evidence, answers)),
        manual_max=exercise.manual_max,
        manual=manual,
    )


def impossible(exercise: Exercise, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Checks and questions that need more than reading, and what they need.

    A dry run and a probe ask an API server to act; nobody does that where it is only read.
    """
    if evidence.provider in SIMULATED:
        return
    for check in (each for each in exercise.checks if each.phases):
        yield check.name, "a probe"
    probed = {each.question for each in exercise.keys if each.phases}
    for question in exercise.questions:
        if question.type == "yaml":
            yield question.id, "a dry run"
        elif question.id in probed:
            yield question.id, "a probe"


def attempt(judge: Callable[[], str]) -> Verdict:
    """Call one check; the only place where anything may go wrong unnamed."""
    try:
        return Verdict(Outcome.PASSED, judge())
    except NotYet as verdict:
        return Verdict(Outcome.NOT_YET, verdict.seen, verdict.next)
    except Partly as verdict:
        return Verdict(Outcome.FAILED, verdict.seen, verdict.next, verdict.share)
    except CheckFailed as verdict:
        return Verdict(Outcome.FAILED, verdict.seen, verdict.next)
    except (Exception, SystemExit) as fault:  # noqa: BLE001 (a check is foreign code: its fault is no one's mark)
        return Verdict(Outcome.BROKEN, f"{type(fault).__name__}: {fault}", NOT_YOURS)


def prove(judge: Check | Guard, cluster: Cluster) -> str:
    """Call it; a check that returns something was meant to raise."""
    answer: Any = judge.function(cluster)
    if answer is not None:
        raise TypeError(f"{judge.name} returned {answer!r}; it must raise CheckFailed or return")
    return judge.doc


def guarded(guard: Guard, cluster: Cluster) -> Result:
    verdict = attempt(partial(prove, guard, cluster))
    return Result(guard.name, verdict.outcome, 0.0, 0.0, verdict.seen, verdict.next, "real")


def checked(check: Check, cluster: Cluster, simulated: bool) -> Result:
    verdict = attempt(partial(prove, check, cluster))
    fidelity = check.fidelity if simulated else "real"
    return scored(check.name, check.points, fidelity, verdict, check.cell)


def asked(
    exercise: Exercise, question: Question, answers: Answers, cluster: Cluster, simulated: bool
) -> Result:
    computed = {each.question: each.function for each in exercise.keys}
    function = computed.get(question.id, lambda _: question.answer)
    tried = partial(cluster.tried, question.id)
    verdict = attempt(partial(judge, question, answers, partial(function, cluster), tried))
    fidelity = question.fidelity if simulated else "real"
    return scored(question.id, question.points, fidelity, verdict, None)


def scored(name: str, points: float, fidelity: str, verdict: Verdict, cell: str | None) -> Result:
    share = 1.0 if verdict.outcome is Outcome.PASSED else verdict.share
    earned = float(round(points * share, 2))
    return Result(
        name, verdict.outcome, earned, float(points), verdict.seen, verdict.next, fidelity, cell
    )


def total(guards: tuple[Result, ...], results: tuple[Result, ...]) -> tuple[float, float]:
    """Score, and points that could not be decided: a failed guard takes all, a broken one waits."""
    outcomes = {each.outcome for each in guards}
    if Outcome.FAILED in outcomes:
        return 0.0, 0.0
    if outcomes & {Outcome.BROKEN, Outcome.NOT_YET}:
        return 0.0, float(sum(each.max_points for each in results))
    broken = [each.max_points for each in results if each.outcome is Outcome.BROKEN]
    return float(sum(each.points for each in results)), float(sum(broken))


def warnings(exercise: Exercise, evidence: Evidence, answers: Answers) -> list[str]:
    """What the learner should know beside the results."""
    known = {each.id for each in exercise.questions}
    unknown = sorted(set(answers) - known)
    texts = [f"answers.toml answers {name!r}, which nobody asked" for name in unknown]
    texts += [
        f"not on this provider, and out of the points: {name} needs {need}"
        for name, need in impossible(exercise, evidence)
    ]
    if evidence.exercise_digest != exercise.digest:
        texts.append("the exercise has changed since this evidence was collected")
    return texts
