"""Kubernetes quantities as exact numbers, so that 500m + 500m is 1."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

SUFFIXES = {
    "": Fraction(1),
    **{suffix: Fraction(1, 1000**power) for power, suffix in enumerate("mun", start=1)},
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{suffix + "i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
GRAMMAR = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[a-zA-Z]*))"
)


def parse(quantity: str | int | float) -> Fraction:
    """Read a quantity; ValueError when it is none.

    >>> parse("2Gi") == 2 * 1024**3, parse("250m") * 4 == 1, int(parse("1e3"))
    (True, True, 1000)
    """
    found = _read(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity")
    return found


@lru_cache(maxsize=4096)
def _read(text: str) -> Fraction | None:
    """The same few texts stand in every Pod of a cluster."""
    found = GRAMMAR.fullmatch(text)
    if found is None or (found["suffix"] or "") not in SUFFIXES:
        return None
    number = Fraction(found["number"])
    if found["exponent"]:
        return number * Fraction(10) ** int(found["exponent"])
    return number * SUFFIXES[found["suffix"] or ""]


def canonical(amount: Fraction, like: str = "") -> str:
    """Write an amount as the API server does, in the notation of another quantity.

    >>> canonical(Fraction(2), "2000m"), canonical(parse("1.5Gi"), "1Gi"), canonical(parse("0.5"))
    ('2', '1536Mi', '500m')
    """
    if like.endswith("i") and amount >= 1024:
        power = max(each for each in range(7) if amount % 1024**each == 0)
        return f"{math.ceil(amount / 1024**power)}{['', *BINARY][power]}"
    thousands = max(each for each in range(-3, 7) if (amount / _power(each)).denominator == 1)
    exponent = re.search(r"[eE]", like) and f"e{3 * thousands}"
    return f"{amount / _power(thousands)}{exponent or DECIMAL[thousands + 3]}"


BINARY = tuple(f"{suffix}i" for suffix in "KMGTPE")
DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")


def _power(thousands: int) -> Fraction:
    return Fraction(1000) ** thousands
