"""Waiting: ends at once when nothing is missing, and says what was missing at the deadline."""

from __future__ import annotations

import pytest

from autograders.errors import InputError
from gpulab.waiting import eventually


def test_it_ends_as_soon_as_nothing_is_missing() -> None:
    answers = iter(["one", "two", None, "never asked for"])
    eventually(lambda: next(answers), 30, "nothing")
    assert next(answers) == "never asked for"


def test_it_looks_at_least_once_even_without_time() -> None:
    eventually(lambda: None, 0, "nothing")


def test_at_the_deadline_it_says_what_was_seen_last_and_what_to_do() -> None:
    answers = iter(["no node", *["no Pod"] * 1000])
    with pytest.raises(InputError) as failed:
        eventually(lambda: next(answers), 0.05, "read the log")
    assert failed.value.what == "after 0 s still no Pod"
    assert failed.value.do == "read the log"


def test_what_goes_wrong_while_looking_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: str(1 // 0), 30, "nothing")
