"""One hand-in on one clean cluster: given, applied, tried, collected, decided."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2

from autograders.connect import ApiAbsent, ApiProblem, connect
from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Evidence, Outcome, Report
from autograders.run import decide
from gpulab import given, replay, trial
from gpulab import submission as submissions
from gpulab.classroom import cluster as clusters
from gpulab.classroom import handed as hand_ins
from gpulab.classroom import sandbox
from gpulab.classroom.cluster import Cluster
from gpulab.classroom.handed import Handed
from gpulab.classroom.store import Ending, Verdict
from gpulab.grants import Grant, granted
from gpulab.submission import Submission
from gpulab.trial import Bench, laid_out

FAULTS = (InputError, ApiAbsent, ApiProblem, httpx2.HTTPError, OSError, sandbox.SandboxBroken)
"""How a cluster, or the way to it, fails while a hand-in is replayed."""


@dataclass(frozen=True)
class Job:
    """One hand-in to be graded."""

    handed: Handed
    exercise: Exercise
    """With this learner's values."""
    seed: str | None
    fleet: str


@dataclass
class Clock:
    """How long each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + time.monotonic() - began
            self.seconds[name] = round(spent, 3)


@dataclass(frozen=True)
class Judged:
    """What one replay found."""

    report: Report
    evidence: Evidence


def grade(cluster: Cluster, kit: sandbox.Kit, job: Job) -> tuple[Verdict, Evidence | None]:
    """The verdict; whatever a hand-in does, only its own is touched."""
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="gpulab-") as made:
        folder = Path(made)
        try:
            submission = hand_ins.read(job.exercise, job.handed, folder)
        except InputError as error:
            why = error.what.replace(f"{job.handed.folder}/", "")
            return verdict(job, Ending.UNREADABLE, why, clock), None
        found = twice(lambda: once(cluster, kit, job, submission, folder, clock), cluster)
    if isinstance(found, str):
        blame = Ending.BROKEN
        if reference_passes(cluster, kit, job, clock):
            blame, found = Ending.PERSON, f"it breaks its cluster, twice: {found}"
        return verdict(job, blame, found, clock, submission=submission), None
    ending, why = ending_of(found.report)
    one = verdict(job, ending, why, clock, found.report, submission, cluster.digest)
    return one, found.evidence


def twice(replayed: Callable[[], Judged], cluster: Cluster) -> Judged | str:
    """The replay, once more on a restored cluster where it broke; then what went wrong."""
    said = ""
    for attempt in (1, 2):
        try:
            found = replayed()
            if not is_broken(found.report) or attempt == 2:
                return found
            said = "a check could not be decided"
        except FAULTS as error:
            said = f"{type(error).__name__}: {error}"
        if attempt == 1:
            try:
                clusters.restore(cluster)
            except FAULTS as error:
                return f"{said}; its cluster could not be restored: {error}"
    return said


def once(
    cluster: Cluster,
    kit: sandbox.Kit,
    job: Job,
    submission: Submission,
    folder: Path,
    clock: Clock,
) -> Judged:
    """One replay, from a cluster that is proven pristine to a report."""
    exercise = job.exercise
    with clock.stage("prepare"):
        clusters.prepare(cluster, exercise, job.fleet)
    paths, record = cluster.paths, cluster.record
    with clock.stage("prove pristine"):
        clusters.pristine(cluster)
    with (
        connect(paths.grader_kubeconfig) as api,
        connect(paths.admin_kubeconfig, read_only=False) as admin,
    ):
        with clock.stage("give"):
            given.begin(paths, exercise)
        grant = Grant(replay.USER, exercise.settings.allow, exercise.namespace)
        with clock.stage("apply"), granted(admin, [grant]):
            port = record.ports["kube-apiserver"]
            refused = sandbox.run(kit, folder, cluster.identity, port, submission.steps)
        with clock.stage("collect"):
            bench = Bench(paths, record, exercise, api, admin, job.seed)
            evidence = trial.evidence_of(bench, submission.answers)
    with clock.stage("decide"):
        report = decide(exercise, evidence, submission.answers)
    return Judged(replace(report, warnings=(*report.warnings, *refused)), evidence)


def is_broken(report: Report) -> bool:
    return any(each.outcome is Outcome.BROKEN for each in (*report.results, *report.guards))


def ending_of(report: Report) -> tuple[Ending, str]:
    """A mark is never made of a fault."""
    broken = [each for each in (*report.results, *report.guards) if each.outcome is Outcome.BROKEN]
    if broken:
        return Ending.PERSON, f"{broken[0].name} cannot be decided: {broken[0].seen}"
    return Ending.GRADED, ""


def reference_passes(cluster: Cluster, kit: sandbox.Kit, job: Job, clock: Clock) -> bool:
    """Whether the solution gets full marks there: then the cluster is not at fault."""
    exercise = job.exercise
    with (
        laid_out(exercise, exercise.folder / trial.SOLUTION) as laid,
        tempfile.TemporaryDirectory(prefix="gpulab-") as made,
    ):
        for path in laid.glob("*.yaml"):  # a solution's manifests have names of their own
            declared = [each for each in exercise.settings.files if each.endswith(".yaml")]
            if path.name not in declared and declared:
                path.rename(laid / declared[0])
        try:
            clusters.restore(cluster)
            found = submissions.read(exercise, laid, Path(made), partly=True)
            return once(cluster, kit, job, found, Path(made), clock).report.full_marks
        except FAULTS:
            return False


def verdict(
    job: Job,
    ending: Ending,
    why: str,
    clock: Clock,
    report: Report | None = None,
    submission: Submission | None = None,
    pristine: str = "",
) -> Verdict:
    by_hand = [each.id for each in job.exercise.questions if each.by_hand]
    answers = submission.answers if submission else {}
    return Verdict(
        learner=job.handed.learner,
        exercise=job.exercise.id,
        ending=ending,
        why=why,
        report=report,
        submission=job.handed.digest,
        exercise_digest=job.exercise.digest,
        handed_in_at=job.handed.at.isoformat(timespec="microseconds"),
        graded_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        pristine=pristine,
        seconds=dict(clock.seconds),
        texts={name: str(answers[name]) for name in by_hand if name in answers},
    )
