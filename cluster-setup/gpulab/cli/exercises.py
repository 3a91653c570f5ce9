"""`gpulab start` and `gpulab check`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from autograders.collect import Waiting
from autograders.errors import InputError
from autograders.grade import grade_live
from autograders.load import Exercise, find_exercise, read_variant
from autograders.model import Phase, Probe, Report
from autograders.quiz import read_answers
from gpulab.cli.lab import err, out
from gpulab.paths import ROOT
from gpulab.providers import EXISTING
from gpulab.workspace import answers_file

EXERCISES = ROOT / "exercises"


@dataclass(frozen=True)
class Target:
    """The cluster that is graded."""

    kubeconfig: Path | None
    provider: str
    speed: float = 1.0


def start(text: str, name: str, *, yes: bool) -> None:
    """Apply setup.yaml and lay an empty answers.toml in the learner's folder."""
    from gpulab import given, lab, own_nodes, probing, reset, workspace
    from gpulab.cli import nodes

    paths, record = lab.existing(name)
    exercise = exercise_on(text, Target(paths.grader_kubeconfig, record.provider))
    reset.refuse_foreign(paths, exercise)
    if record.provider == EXISTING:
        reset.refuse_beyond(exercise)
    probing.mend(paths)
    if fleet := own_nodes.to_swap(record, exercise):
        nodes.replace(paths, record, fleet, f"start {exercise.short}", yes=yes)
    said = given.begin(paths, exercise)
    out.print(said or "Started before; what you made since stays.", highlight=False)
    workspace.update()
    if file := workspace.offer_answers(exercise):
        out.print(f"Your answers go into {file}", highlight=False)
    out.print(f"{exercise.title}: work in namespace {exercise.namespace}; ", end="")
    out.print(f"gpulab check {exercise.short} grades it.")


def check(text: str, name: str, kubeconfig: Path | None, *, json: bool, replay: bool) -> int:
    """Grade and show; 0 for full marks."""
    from autograders import show

    target = target_of(name, kubeconfig)
    exercise = exercise_on(text, target)

    def waiting(reason: str) -> None:
        if not json:
            err.print(f"[dim]waiting: {reason}[/]")

    if replay:
        found = _replayed(exercise, name, target, waiting)
        report = _with_self_marks(exercise, found)
    else:
        report = graded(exercise, name, target, waiting)
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(show.json(report))).decode())  # noqa: T201
    else:
        out.print(show.text(report))
    return 0 if report.full_marks else 1


def graded(exercise: Exercise, name: str, target: Target, waiting: Waiting) -> Report:
    """The cluster as it stands, with what the learner gave his own texts."""
    return _with_self_marks(exercise, _live(exercise, name, target, waiting))


def _live(exercise: Exercise, name: str, target: Target, waiting: Waiting) -> Report:
    """The cluster as it stands; what must be tried, is."""
    ours = target.provider != EXISTING
    with _turn(name) if ours and exercise.settings.probe else nullcontext():
        return grade_live(
            exercise,
            target.kubeconfig,
            answers_file(exercise.id),
            provider=target.provider,
            speed=target.speed,
            seed=_seed(exercise),
            waiting=waiting,
            before=_before(exercise, name, waiting) if ours else _found(exercise, name, target),
            probes=_probes(exercise, name) if ours else {},
        )


def _turn(name: str) -> AbstractContextManager[None]:
    from gpulab import probing
    from gpulab.paths import lab_paths

    return probing.alone(lab_paths(name))


def _replayed(exercise: Exercise, name: str, target: Target, waiting: Waiting) -> Report:
    """The learner's files, on a clean lab of their own."""
    from gpulab import replay

    if target.provider == EXISTING:
        what = "a replay makes a lab of its own, and this cluster is somebody's"
        raise InputError(
            what, "leave --replay out; or take a lab of your own: gpulab up --name other"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lab is removed, too
    return replay.replay(exercise, name, _seed(exercise), waiting)


def task(text: str) -> None:
    """Print the task with this learner's values, or what the exercise teaches."""
    exercise = exercise_of(text)
    lines = exercise.task or "\n".join(f"- {each}" for each in exercise.settings.objectives)
    print(f"{exercise.title}\n\n{lines.strip()}")  # noqa: T201 (as it stands; a notebook wraps it)


def exercise_of(text: str) -> Exercise:
    from gpulab import variant

    return variant.exercise_of(find_exercise(EXERCISES, text))


def exercise_on(text: str, target: Target) -> Exercise:
    """The exercise with values that this cluster's nodes offer."""
    from autograders.connect import connect
    from gpulab import variant

    folder = find_exercise(EXERCISES, text)
    if target.provider != EXISTING or read_variant(folder) is None:
        return variant.exercise_of(folder)
    with connect(target.kubeconfig) as api:
        return variant.exercise_of(folder, variant.nodes_of(api))


def _seed(exercise: Exercise) -> str | None:
    from gpulab import variant

    return variant.seed(exercise.id).hex() if exercise.variant else None


def _before(exercise: Exercise, name: str, waiting: Waiting) -> tuple[Phase, ...]:
    """What was found at the start, and what the trials have shown."""
    from autograders.connect import connect
    from gpulab import given, lab, own_nodes, probing

    paths, record = lab.existing(name)
    found = given.as_found(paths, exercise)
    if not exercise.settings.probe:
        probing.mend(paths)
        return found
    own_nodes.expect(record, exercise)
    answers = read_answers(answers_file(exercise.id))
    with connect(paths.grader_kubeconfig) as api:
        return (*found, *probing.probed(paths, exercise, api, answers, waiting))


def _found(exercise: Exercise, name: str, target: Target) -> tuple[Phase, ...]:
    """What `gpulab start` has noted of a cluster that is not ours; nothing is tried there."""
    from gpulab import given
    from gpulab.paths import lab_paths

    paths = lab_paths(name)
    return given.as_found(paths, exercise) if target.kubeconfig == paths.grader_kubeconfig else ()


def _probes(exercise: Exercise, name: str) -> Mapping[str, Probe]:
    """Try YAML answers as the learner, for the grader may only read."""
    from autograders.connect import connect
    from gpulab import dry_run
    from gpulab.paths import lab_paths

    answers = read_answers(answers_file(exercise.id))
    if not dry_run.has_work(exercise.questions, answers):
        return {}
    with connect(lab_paths(name).admin_kubeconfig, read_only=False) as api:
        return dry_run.try_answers(api, exercise.questions, exercise.namespace, answers)


def _with_self_marks(exercise: Exercise, report: Report) -> Report:
    """Beside the score, what the learner gave his own texts."""
    from autograders.quiz.manual import with_self_marks
    from gpulab import progress

    if not report.manual:
        return report
    answers, kept = read_answers(answers_file(exercise.id)), progress.read(exercise.id)
    return with_self_marks(report, exercise.questions, answers, kept.self_marks)


def target_of(name: str, kubeconfig: Path | None) -> Target:
    """--kubeconfig, else the lab, else $KUBECONFIG."""
    from gpulab import lab
    from gpulab.paths import lab_paths

    if kubeconfig is not None:
        return Target(kubeconfig, EXISTING)
    paths = lab_paths(name)
    record = lab.read_record(paths)
    if record is not None:
        return Target(paths.grader_kubeconfig, record.provider, record.speed)
    if "KUBECONFIG" in os.environ:
        return Target(None, EXISTING)
    lab.existing(name)  # raises: there is no such lab
    raise AssertionError
