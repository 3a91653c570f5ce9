"""Quantities are exact, whatever their suffix."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.cluster.quantities import SUFFIXES, parse

whole = st.integers(min_value=0, max_value=10**9)


@given(whole, st.sampled_from(sorted(SUFFIXES)))
def test_a_suffix_multiplies_exactly(number: int, suffix: str) -> None:
    assert parse(f"{number}{suffix}") == number * SUFFIXES[suffix]


@given(whole)
def test_a_thousand_thousandths_are_one(number: int) -> None:
    assert parse(f"{number}m") * 1000 == number


@given(whole, st.integers(min_value=-9, max_value=9))
def test_an_exponent_is_a_power_of_ten(number: int, power: int) -> None:
    assert parse(f"{number}e{power}") == number * Fraction(10) ** power


@pytest.mark.parametrize(
    ("text", "value"),
    [("1E", 10**18), ("1E3", 1000), ("1.5Gi", 3 * 2**29), ("-2", -2), (".5", 0.5)],
)
def test_known_values(text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "one", "1e", "--1", "1e9999", "1K"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse(text)
