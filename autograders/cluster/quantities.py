"""Kubernetes quantities as exact numbers, so that 500m + 500m is 1."""

from __future__ import annotations

import re
from fractions import Fraction

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
    found = GRAMMAR.fullmatch(str(quantity))
    if found is None or (found["suffix"] or "") not in SUFFIXES:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity")
    number = Fraction(found["number"])
    if found["exponent"]:
        return number * Fraction(10) ** int(found["exponent"])
    return number * SUFFIXES[found["suffix"] or ""]
