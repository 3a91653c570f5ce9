"""What a grading says: the words that every other module shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

KubeObject = dict[str, Any]
"""One Kubernetes object as the API returned it."""

Answer = str | int | float | bool | tuple[str | int | float | bool, ...]
Answers = Mapping[str, Answer]
"""Question id -> what the learner answered."""


class CheckFailed(Exception):
    """The learner's work lacks something: what was seen, and what to try next.

    >>> raise CheckFailed("the Pod asks for 2 GPUs", "set limits nvidia.com/gpu to 1")
    Traceback (most recent call last):
    autograders.model.CheckFailed: the Pod asks for 2 GPUs
    """

    def __init__(self, seen: str, next: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.next = next


class Partly(CheckFailed):
    """Part of the learner's answer is right: that share of the points is earned."""

    def __init__(self, seen: str, next: str, share: float) -> None:
        super().__init__(seen, next)
        self.share = share


class NotYet(CheckFailed):
    """The cluster is still on its way to a state that can be judged."""


class Unreadable(Exception):
    """The grader or the cluster is at fault: what a check needs could not be read."""


class Outcome(StrEnum):
    """The four ends of a check; they are never mixed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_YET = "not-yet"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One fact about the learner's work, worth points."""

    name: str
    """The fact, as a function name: `asks_for_exactly_one_gpu`."""
    points: float
    """What the fact is worth."""
    cell: str | None
    """The notebook's grade cell that shows it; None: the exercise's last one."""
    doc: str
    """Why the fact matters, in one sentence."""
    fidelity: str
    """`real`, or `simulated` where the fact rests on the simulated kubelet or GPU."""
    function: Callable[[Any], None]
    """Looks at a `Cluster`; returns, or raises CheckFailed or NotYet."""
    phases: tuple[str, ...] = ()
    """Probes of exercise.toml that it rests on; where none is run, it is left out."""

    def __call__(self, cluster: Any) -> None:
        self.function(cluster)


@dataclass(frozen=True)
class Guard:
    """A fact that must hold whatever else is right: it earns nothing, and its failure costs all."""

    name: str
    """The fact, as a function name."""
    doc: str
    """Why it is guarded, in one sentence."""
    function: Callable[[Any], None]
    """As of a check."""

    def __call__(self, cluster: Any) -> None:
        self.function(cluster)


@dataclass(frozen=True)
class AnswerKey:
    """The right answer of a question whose answer depends on the cluster."""

    question: str
    """The id of the question in quiz.toml."""
    function: Callable[[Any], Any]
    """From a `Cluster` to the answer, or to a tuple of accepted answers."""
    phases: tuple[str, ...] = ()
    """As of a check."""

    def __call__(self, cluster: Any) -> Any:
        return self.function(cluster)


@dataclass(frozen=True)
class Result:
    """What became of one check, guard or question."""

    name: str
    """Name of the check or guard, or id of the question."""
    outcome: Outcome
    """One of the four."""
    points: float
    """Points earned, before a failed guard takes them."""
    max_points: float
    """Points to be had; 0 for a guard."""
    seen: str
    """What was found in the cluster or in the answers."""
    next: str
    """What to try next; empty when there is nothing to do."""
    fidelity: str
    """`real` or `simulated`."""
    cell: str | None = None
    """The notebook's grade cell that shows it."""


@dataclass(frozen=True)
class ManualMark:
    """A question that a person marks; it is never part of the score."""

    name: str
    """Id of the question."""
    max_points: float
    """Points that a person may give."""
    seen: str
    """What was answered, shortened."""
    rubric: tuple[str, ...]
    """What the person looks for."""
    points: float | None = None
    """Points given; None: nobody has marked it yet."""


@dataclass(frozen=True)
class Report:
    """The verdict on one exercise."""

    exercise: str
    """The exercise's folder name."""
    title: str
    """The exercise's title."""
    score: float
    """Machine-marked points, after the guards."""
    max_score: float
    """Machine-marked points to be had."""
    undecided: float
    """Points that nobody could decide, because the grader or the cluster was at fault."""
    results: tuple[Result, ...]
    """Checks in the order of checks.py, then questions in the order of quiz.toml."""
    guards: tuple[Result, ...]
    """Guards in the order of checks.py."""
    digest: str
    """SHA-256 of the Evidence that was judged."""
    provider: str
    """Where the cluster came from."""
    speed: float
    """The simulation's speed while the Evidence was collected; 1 is what learners get."""
    warnings: tuple[str, ...] = ()
    """What the learner should know beside the results."""
    manual_score: float = 0.0
    """Points given by a person."""
    manual_max: float = 0.0
    """Points that a person may give."""
    manual: tuple[ManualMark, ...] = ()
    """The questions behind them."""
    self_marked: bool = False
    """The learner gave those points, not somebody else."""

    @property
    def full_marks(self) -> bool:
        return self.score == self.max_score


@dataclass(frozen=True)
class Problem:
    """Something that should have been read and could not be."""

    resource: str
    """The plural that was asked for: `nodes`, `pods/log`."""
    text: str
    """What the API answered."""


@dataclass(frozen=True)
class Probe:
    """Something that was tried, because reading cannot show it: the request and its answer.

    `gpulab` tries it, never the grader; both are recorded, so that it can be judged again.
    """

    request: Mapping[str, Any]
    """`method`, `path`, `query` and, of a write, `object`."""
    status: int
    """The HTTP status; 0: it was not sent, and `answer` says why as a Status would."""
    answer: KubeObject
    """The object or Status that came back."""


@dataclass(frozen=True)
class Phase:
    """The cluster at one moment, as far as the exercise declares it."""

    name: str
    """`as-found`, `final`, or what the exercise calls it."""
    resources: tuple[str, ...] = ()
    """The plurals that were read; a check that asks for another one is at fault."""
    objects: tuple[KubeObject, ...] = ()
    """All objects of those resources, as the API gave them, with `kind` and `apiVersion`."""
    events: tuple[KubeObject, ...] = ()
    """Watch events after the list, in order; `after` says how many seconds after it."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """`namespace/pod/container` -> what it printed; a container that never started is absent."""
    problems: tuple[Problem, ...] = ()
    """What could not be read."""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """What was tried just before, by name: of a YAML answer the id of its question."""
    untried: str = ""
    """Why nothing was tried: what the learner's work lacks for it."""
    watched: float = 0.0
    """For how many seconds after the list events were recorded; 0: they were not."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a verdict rests on; the same Evidence always gets the same verdict."""

    exercise: str
    """The exercise's folder name."""
    exercise_digest: str
    """SHA-256 over the exercise's files."""
    provider: str
    """`embedded`, `kind` or `existing`."""
    versions: Mapping[str, str]
    """Program -> version."""
    seed: str | None
    """What this learner's variant was drawn from."""
    speed: float
    """The simulation's speed."""
    collected_at: str
    """UTC, RFC 3339."""
    phases: tuple[Phase, ...]
    """In the order in which they were collected; the last one is what checks see first."""
    variant: Mapping[str, str | int] = field(default_factory=dict)
    """What was drawn for this learner."""
