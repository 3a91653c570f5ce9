"""Four outcomes that are never mixed, and a score that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograders.checks import CheckFailed, NotYet, answer_key, check, guard
from autograders.load import Collect, Exercise, Question, Settings
from autograders.model import Evidence, Outcome, Phase
from autograders.run import decide


def passing(cluster: Any) -> None:
    """It matters."""


def failing(cluster: Any) -> None:
    raise CheckFailed("saw this", "try that")


def waiting(cluster: Any) -> None:
    raise NotYet("on its way", "check again")


def broken(cluster: Any) -> None:
    raise KeyError("spec")


def returning(cluster: Any) -> Any:
    return False


def exercise(*judges: Callable[..., Any], guards: Any = (), **more: Any) -> Exercise:
    settings = Settings("T", "9", "lab", ("o",), ("h",), (Collect("v1", "pods"),))
    checks = tuple(check(points=2, fidelity="simulated")(each) for each in judges)
    quiz = {"questions": (), "keys": (), **more}
    return Exercise(
        "01-t", Path("01-t"), settings, checks, tuple(map(guard, guards)), digest="d", **quiz
    )


def evidence(provider: str = "embedded") -> Evidence:
    phase = Phase("final", ("pods",))
    return Evidence("01-t", "d", provider, {}, None, 1.0, "now", (phase,))


@pytest.mark.parametrize(
    ("judge", "outcome", "points"),
    [
        (passing, Outcome.PASSED, 2.0),
        (failing, Outcome.FAILED, 0.0),
        (waiting, Outcome.NOT_YET, 0.0),
        (broken, Outcome.BROKEN, 0.0),
        (returning, Outcome.BROKEN, 0.0),
    ],
)
def test_a_check_ends_in_one_of_four_ways(judge: Any, outcome: Outcome, points: float) -> None:
    report = decide(exercise(judge), evidence(), {})
    assert [(each.outcome, each.points) for each in report.results] == [(outcome, points)]


def test_a_broken_check_stops_none_and_its_points_are_undecided() -> None:
    report = decide(exercise(broken, passing), evidence(), {})
    assert (report.score, report.undecided, report.max_score) == (2.0, 2.0, 4.0)
    assert report.results[0].seen == "KeyError: 'spec'"


def test_what_was_seen_and_what_is_next_is_told() -> None:
    (result,) = decide(exercise(failing), evidence(), {}).results
    assert (result.seen, result.next) == ("saw this", "try that")


def test_a_passed_check_says_why_it_matters() -> None:
    (result,) = decide(exercise(passing), evidence(), {}).results
    assert (result.seen, result.next) == ("It matters.", "")


def test_the_score_is_a_plain_float() -> None:
    report = decide(exercise(passing), evidence(), {})
    assert (type(report.score), type(report.max_score), report.full_marks) == (float, float, True)


def test_a_failed_guard_takes_all_points() -> None:
    report = decide(exercise(passing, guards=[passing, failing]), evidence(), {})
    assert (report.score, report.undecided, report.full_marks) == (0.0, 0.0, False)
    assert report.guards[1].seen == "saw this"


@pytest.mark.parametrize("undecided", [broken, waiting])
def test_a_guard_that_cannot_decide_leaves_the_points_undecided(undecided: Any) -> None:
    report = decide(exercise(passing, guards=[undecided]), evidence(), {})
    assert (report.score, report.undecided) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("provider", "shown"), [("embedded", "simulated"), ("kind", "simulated"), ("existing", "real")]
)
def test_on_real_hardware_everything_is_real(provider: str, shown: str) -> None:
    (result,) = decide(exercise(passing), evidence(provider), {}).results
    assert result.fidelity == shown


def test_the_same_evidence_gets_the_same_report() -> None:
    one, other = (decide(exercise(passing, failing), evidence(), {}) for _ in range(2))
    assert [each.outcome for each in one.results] == [each.outcome for each in other.results]
    assert one.digest == other.digest


QUESTION = Question("q", "text", 1, "What?", "Because.", "kubectl version", answer="yes")
COMPUTED = Question("q", "text", 1, "What?", "Because.", "kubectl version")


def test_questions_stand_after_checks() -> None:
    report = decide(exercise(passing, questions=(QUESTION,)), evidence(), {"q": "yes"})
    assert [(each.name, each.points) for each in report.results] == [("passing", 2.0), ("q", 1.0)]


def test_a_computed_key_is_compared() -> None:
    key = answer_key("q")(lambda cluster: cluster.namespace)
    asked = exercise(questions=(COMPUTED,), keys=(key,))
    scores = [decide(asked, evidence(), {"q": answer}).score for answer in ("lab", "other")]
    assert scores == [1.0, 0.0]


def test_a_key_that_cannot_be_computed_is_broken() -> None:
    asked = exercise(questions=(COMPUTED,), keys=(answer_key("q")(broken),))
    (result,) = decide(asked, evidence(), {"q": "yes"}).results
    assert result.outcome is Outcome.BROKEN


def test_an_answer_that_nobody_asked_for_is_told() -> None:
    report = decide(exercise(questions=(QUESTION,)), evidence(), {"r": "yes"})
    assert report.warnings == ("answers.toml answers 'r', which nobody asked",)


def test_evidence_of_another_version_of_the_exercise_is_told() -> None:
    from dataclasses import replace

    report = decide(exercise(passing), replace(evidence(), exercise_digest="old"), {})
    assert report.warnings == ("the exercise has changed since this evidence was collected",)
