"""Trials of an exercise, run on its cluster under a Role of their own; each leaves a phase.

Whatever is changed for them is put back, after an error and Ctrl-C, too; after a crash, by the next
command that comes by (`mend`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import msgspec

from autograders.collect import Waiting, collect_settled
from autograders.connect import Api, connect
from autograders.load import Exercise
from autograders.model import Answers, Phase, Probe, Problem
from autograders.quiz.marking import as_number, is_blank
from autograders.rights import Rule
from autograders.trials import Step, Trial
from gpulab import halting, steps
from gpulab.grants import Grant, acting, granted, revoke
from gpulab.paths import LabPaths
from gpulab.pki import private, write_private
from gpulab.steps import Refused, Site, Untried
from gpulab.waiting import eventually

USER = "gpulab-probe"
BUSY_SECONDS = 180.0
"""Until another command's trials must be over; they take a minute at most."""


class Before(msgspec.Struct, frozen=True):
    """What the trials must leave as it was; kept in a file while they last."""

    namespace: str
    """The exercise's."""
    closed: dict[str, bool]
    """Node -> whether it was cordoned."""
    jobs: tuple[str, ...]
    """Jobs that were running."""


def probed(
    paths: LabPaths,
    exercise: Exercise,
    grader: Api,
    answers: Answers,
    waiting: Waiting | None = None,
    trials: Sequence[Trial] | None = None,
) -> tuple[Phase, ...]:
    """Run the trials, or all that exercise.toml lists; what they changed is put back at the end.

    Where another command may try things, too, within `alone`, until all is collected.
    """
    trials = exercise.settings.probe if trials is None else trials
    if not trials:
        return ()
    with connect(paths.admin_kubeconfig, read_only=False) as admin:
        clear_up(paths, admin)
        jobs = tuple(halting.running(admin, exercise.namespace))
        if not jobs:
            untried = f"there is no running Job in namespace {exercise.namespace}"
            return tuple(Phase(each.phase, untried=untried) for each in trials)
        with (
            granted(admin, grants(exercise.namespace)),
            acting(paths, USER) as api,
            as_before(paths, api, exercise.namespace, jobs) as site,
        ):
            return tuple(tried(site, trial, exercise, grader, answers, waiting) for trial in trials)


def grants(namespace: str) -> tuple[Grant, ...]:
    """All that a trial needs, and nothing that could write evidence."""
    read = ("get", "list")
    mine = (
        Rule(("",), ("pods",), (*read, "delete")),
        Rule(("batch",), ("jobs",), (*read, "patch")),
    )
    strays = (Rule(("",), ("pods",), (*read, "create", "delete")),)
    return (
        Grant(USER, (Rule(("",), ("nodes",), (*read, "patch")),)),
        Grant(USER, mine, namespace),
        Grant(USER, strays, steps.ELSEWHERE),
    )


def file(paths: LabPaths) -> Path:
    return paths.root / "probing.json"


@contextmanager
def as_before(paths: LabPaths, api: Api, namespace: str, jobs: tuple[str, ...]) -> Iterator[Site]:
    """Remember nodes and Jobs first, and put them back last."""
    closed = {
        each["metadata"]["name"]: bool(each["spec"].get("unschedulable"))
        for each in halting.items(api, steps.NODES)
    }
    before = Before(namespace, closed, jobs)
    write_private(file(paths), msgspec.json.encode(before))
    try:
        yield Site(api, namespace, jobs, closed)
    finally:
        put_back(api, before)
        file(paths).unlink(missing_ok=True)


def put_back(api: Api, before: Before) -> None:
    """Strays go, nodes are as they were, Jobs run."""
    site = Site(api, before.namespace, before.jobs, before.closed)
    try:
        steps.clear(site)
    finally:
        halting.suspend(api, before.namespace, before.jobs, wanted=False)


@contextmanager
def alone(paths: LabPaths) -> Iterator[None]:
    """One command tries things on a lab at a time; a second one waits for the first."""
    with open(paths.root / "probing.lock", "w", opener=private) as lock:
        eventually(lambda: taken(lock), BUSY_SECONDS, "wait until it has ended, then again")
        yield


def taken(lock: TextIO) -> str | None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "another gpulab trying things on this lab"
    return None


def mend(paths: LabPaths) -> None:
    """Put back what trials that were killed have left, if there is anything."""
    if file(paths).exists():
        with alone(paths), connect(paths.admin_kubeconfig, read_only=False) as admin:
            clear_up(paths, admin)


def clear_up(paths: LabPaths, admin: Api) -> None:
    try:
        before = msgspec.json.decode(file(paths).read_bytes(), type=Before)
    except FileNotFoundError:
        return
    except msgspec.MsgspecError:
        return file(paths).unlink()
    put_back(admin, before)
    revoke(admin, grants(before.namespace))
    file(paths).unlink(missing_ok=True)


def tried(
    site: Site,
    trial: Trial,
    exercise: Exercise,
    grader: Api,
    answers: Answers,
    waiting: Waiting | None,
) -> Phase:
    """One trial: halt, take its steps, wait until there is nothing to wait for, record."""
    tell = waiting or (lambda _: None)
    try:
        counts = [number_of(step, answers, exercise) for step in trial.steps]
        tell(f"the trial {trial.phase}")
        steps.clear(site)
        probes: dict[str, Probe] = {}
        for step, count in zip(trial.steps, counts, strict=True):
            probes |= ACTIONS[step.do](site, step, count)
        return replace(collect_settled(grader, exercise, name=trial.phase), probes=probes)
    except Untried as error:
        return Phase(trial.phase, untried=str(error))
    except Refused as error:
        resources = tuple(each.resource for each in exercise.settings.collect)
        problems = tuple(Problem(each, str(error)) for each in resources)
        return Phase(trial.phase, resources, problems=problems)


def number_of(step: Step, answers: Answers, exercise: Exercise) -> int:
    """How many nodes, which may be what the learner answered."""
    if not isinstance(step.nodes, str):
        return (step.nodes or 0) - step.less
    question = next(each for each in exercise.questions if each.id == step.nodes)
    answer = answers.get(question.id)
    number = None if answer is None or is_blank(answer) else as_number(answer, question.unit)
    if number is None or not number.is_integer():
        raise Untried(f"{question.id} is not answered with a whole number")
    return int(number) - step.less


Action = Callable[[Site, Step, int], dict[str, Probe]]
ACTIONS: dict[str, Action] = {
    "open": steps.open_some,
    "stray": steps.stray,
    "place": steps.place,
    "drain": steps.drain,
}
