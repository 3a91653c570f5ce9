"""How large a rate may be, given how often it was seen: the exact bound of Clopper and Pearson."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
STEPS = 60
"""Of the bisection: more than a float can tell apart."""


def upper_bound(seen: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound: the rate at which so few would be seen this seldom.

    Without any, that is 1 - 0.05 ** (1 / cases), which the rule of three approximates by 3 / cases.

    >>> round(upper_bound(0, 100), 4), round(upper_bound(1, 10), 4), upper_bound(0, 0)
    (0.0295, 0.3942, 1.0)
    """
    if not 0 <= seen <= cases:
        raise ValueError(f"{seen} of {cases}")
    if seen == cases:
        return 1.0
    if seen == 0:
        return -math.expm1(math.log1p(-confidence) / cases)
    low, high = seen / cases, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if at_most(seen, cases, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(seen: int, cases: int, rate: float) -> float:
    """Return the probability of that many or fewer, by the binomial distribution."""
    if rate in (0.0, 1.0):
        return 1.0 if rate == 0.0 else float(seen >= cases)
    yes, no = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(log_ways(cases, each) + each * yes + (cases - each) * no)
        for each in range(seen + 1)
    )


def log_ways(cases: int, chosen: int) -> float:
    return math.lgamma(cases + 1) - math.lgamma(chosen + 1) - math.lgamma(cases - chosen + 1)
