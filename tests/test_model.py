"""The words of a verdict."""

from __future__ import annotations

import dataclasses

import pytest

import autograders
from autograders.model import NotYet, Outcome, Result


def test_the_public_names_are_few_and_there() -> None:
    assert len(autograders.__all__) <= 8
    assert all(hasattr(autograders, name) for name in autograders.__all__)


def test_there_are_four_outcomes() -> None:
    assert [each.value for each in Outcome] == ["passed", "failed", "not-yet", "broken"]


def test_a_result_cannot_be_changed() -> None:
    result = Result("a", Outcome.FAILED, 0.0, 1.0, "", "", "real")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.points = 1.0  # type: ignore[misc]


def test_not_yet_carries_what_was_seen_and_what_is_next() -> None:
    verdict = NotYet("still starting", "check again")
    assert (verdict.seen, verdict.next) == ("still starting", "check again")
