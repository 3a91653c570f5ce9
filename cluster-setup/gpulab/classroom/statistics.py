"""What a class's verdicts show: how hard each check is, what went wrong, who needs a person."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograders.model import Outcome, Result
from gpulab.classroom.store import Ending, Verdict

SHINGLE = 5
"""Words in a row that two hand-ins are compared by."""
ALIKE = 0.9
"""Share of common shingles above which a person may want to look."""
FEWEST = 8
"""Shingles; of shorter hand-ins everybody's are alike."""


@dataclass(frozen=True)
class Item:
    """One check or question over the class."""

    name: str
    answered: int
    """How many hand-ins it was decided for."""
    difficulty: float
    """Mean share of its points: 1 is easy (the p value of classical test theory)."""
    discrimination: float | None
    """Correlation with the points for everything else; None where one of them never varies."""
    commonest: str
    """What was seen most often where it failed."""


@dataclass(frozen=True)
class Pair:
    """Two hand-ins that look alike: a hint for a person, never a mark."""

    exercise: str
    one: str
    other: str
    share: float


def results(verdict: Verdict) -> tuple[Result, ...]:
    return verdict.report.results if verdict.report else ()


def items(verdicts: Sequence[Verdict]) -> list[Item]:
    """Of one exercise, in the order of its checks."""
    graded = [each for each in verdicts if each.report]
    names = dict.fromkeys(one.name for each in graded for one in results(each))
    return [item(name, graded) for name in names]


def item(name: str, graded: Sequence[Verdict]) -> Item:
    own, rest, seen = list[float](), list[float](), Counter[str]()
    for each in graded:
        one = next((r for r in results(each) if r.name == name), None)
        if one is None or one.outcome is Outcome.BROKEN:
            continue
        own.append(one.points / one.max_points if one.max_points else 0.0)
        rest.append(sum(r.points for r in results(each) if r.name != name))
        if one.outcome is not Outcome.PASSED:
            seen[one.seen] += 1
    mean = sum(own) / len(own) if own else 0.0
    common = seen.most_common(1)
    words = f"{common[0][0]} ({common[0][1]} times)" if common else ""
    return Item(name, len(own), mean, correlation(own, rest), words)


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's r.

    >>> correlation([0, 1, 1], [2, 4, 4]), correlation([1, 1], [2, 3])
    (1.0, None)
    """
    if len(one) < 2:
        return None
    means = sum(one) / len(one), sum(other) / len(other)
    pairs = [(a - means[0], b - means[1]) for a, b in zip(one, other, strict=True)]
    spread = sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)
    return round(sum(a * b for a, b in pairs) / spread**0.5, 3) if spread > 1e-12 else None


def open_ones(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [each for each in verdicts if each.ending is not Ending.GRADED]


def seconds(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Stage -> seconds of all hand-ins together."""
    total: Counter[str] = Counter()
    for each in verdicts:
        total.update(each.seconds)
    return dict(total)


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Words in a row, without comments and numbers: those differ between learners anyway."""
    words = re.findall(r"[a-z]+", re.sub(r"(?m)#.*$", "", text.lower()))
    return frozenset(tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1))


def alike(texts: dict[str, dict[str, str]]) -> Iterator[Pair]:
    """Pairs of texts of one question or manifest, exercise by exercise, the most alike first.

    What is common to half the class (the task's own words) does not count.
    """
    for exercise, by_learner in texts.items():
        sets = {name: shingles(text) for name, text in by_learner.items()}
        usual = Counter(each for one in sets.values() for each in one)
        limit = max(2, len(sets) // 2)
        rare = {n: {e for e in one if usual[e] <= limit} for n, one in sets.items()}
        found = [
            Pair(exercise, one, other, len(rare[one] & rare[other]) / len(rare[one] | rare[other]))
            for one, other in itertools.combinations(sorted(rare), 2)
            if len(rare[one]) >= FEWEST and len(rare[other]) >= FEWEST
        ]
        yield from sorted((p for p in found if p.share >= ALIKE), key=lambda p: -p.share)
