"""Trials of an exercise, run on its cluster under a Role of their own; each leaves a phase.

Whatever is changed for them is put back, after an error and Ctrl-C, too; after a crash, by the next
command that comes by (`mend`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import msgspec

from autograders.collect import Waiting, collect_settled
from autograders.connect import Api, connect
from autograders.load import Exercise
from autograders.model import Answers, Phase, Probe, Problem
from autograders.quiz.marking import as_number, is_blank
from autograders.rights import Rule
from autograders.trials import Drain, DryRun, May, Open, Place, Step, Stray, Trial
from gpulab import asking, halting, steps
from gpulab.discovery import Resource
from gpulab.grants import Grant, acting, granted, revoke
from gpulab.paths import LabPaths
from gpulab.private import private, write_private
from gpulab.sending import send
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


@dataclass(frozen=True)
class Bench:
    """What every trial of one exercise needs."""

    exercise: Exercise
    """With its values."""
    api: Api
    """Acts as gpulab-probe."""
    grader: Api
    """Reads."""
    answers: Answers
    """On which the number of nodes may depend."""
    known: Sequence[Resource]
    """All kinds of the cluster, if some step needs them."""
    waiting: Waiting
    """Told which trial begins."""


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
        known = asking.known_to(admin, trials)
        allowed = grants(exercise.namespace, tuple(asking.rules(exercise, trials, known)))
        with granted(admin, allowed), acting(paths, USER) as api:
            bench = Bench(exercise, api, grader, answers, known, waiting or (lambda _: None))
            found = {each.phase: asked(bench, each) for each in trials if each.only_asks}
            rest = [each for each in trials if not each.only_asks]
            jobs = tuple(halting.running(admin, exercise.namespace)) if rest else ()
            found |= {each.name: each for each in moved(paths, bench, jobs, rest)}
    return tuple(found[each.phase] for each in trials)


def moved(
    paths: LabPaths, bench: Bench, jobs: tuple[str, ...], trials: Sequence[Trial]
) -> Iterator[Phase]:
    """Trials that place the learner's Jobs anew."""
    space = bench.exercise.namespace
    if not jobs:
        untried = f"there is no running Job in namespace {space}"
        yield from (Phase(each.phase, untried=untried) for each in trials)
        return
    with as_before(paths, bench.api, space, jobs) as site:
        for each in trials:
            yield tried(bench, site, each)


def grants(namespace: str, asked: tuple[Rule, ...] = ()) -> tuple[Grant, ...]:
    """All that a trial needs, and nothing that could write evidence."""
    read = ("get", "list")
    mine = (
        Rule(("",), ("pods",), (*read, "delete")),
        Rule(("batch",), ("jobs",), (*read, "patch")),
        *asked,
    )
    strays = (Rule(("",), ("pods",), (*read, "create", "delete")),)
    nodes = Rule(("",), ("nodes",), (*read, "patch"))
    return (
        Grant(USER, (nodes, asking.MAY_ASK)),
        Grant(USER, mine, namespace),
        Grant(USER, strays, steps.ELSEWHERE),
    )


def file(paths: LabPaths) -> Path:
    return paths.probing


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


def tried(bench: Bench, site: Site, trial: Trial) -> Phase:
    """One trial: halt, take its steps, wait until there is nothing to wait for, record."""
    try:
        for each in trial.steps:
            number_of(each, bench.answers, bench.exercise)
        bench.waiting(f"the trial {trial.phase}")
        steps.clear(site)
        return taken_down(bench, trial, lambda step: act(bench, site, step))
    except Untried as error:
        return Phase(trial.phase, untried=str(error))
    except Refused as error:
        resources = tuple(each.resource for each in bench.exercise.settings.collect)
        problems = tuple(Problem(each, str(error)) for each in resources)
        return Phase(trial.phase, resources, problems=problems)


def asked(bench: Bench, trial: Trial) -> Phase:
    """A trial that leaves the cluster as it is."""
    space = bench.exercise.namespace
    if not send(bench.grader, "GET", f"/api/v1/namespaces/{space}").is_success:
        return Phase(trial.phase, untried=f"there is no namespace {space}")
    return taken_down(bench, trial, lambda step: ask(bench, step))


def taken_down(bench: Bench, trial: Trial, take: Callable[[Step], dict[str, Probe]]) -> Phase:
    """Take the steps, then read what the exercise declares."""
    probes: dict[str, Probe] = {}
    for step in trial.steps:
        probes |= take(step)
    phase = collect_settled(bench.grader, bench.exercise, name=trial.phase)
    return replace(phase, probes=probes)


def number_of(step: Step, answers: Answers, exercise: Exercise) -> int:
    """How many nodes stay open, which may be what the learner answered; 0 of other steps."""
    if not isinstance(step, Open):
        return 0
    if not isinstance(step.nodes, str):
        return step.nodes - step.less
    question = next(each for each in exercise.questions if each.id == step.nodes)
    answer = answers.get(question.id)
    number = None if answer is None or is_blank(answer) else as_number(answer, question.unit)
    if number is None or not number.is_integer():
        raise Untried(f"{question.id} is not answered with a whole number")
    return int(number) - step.less


def act(bench: Bench, site: Site, step: Step) -> dict[str, Probe]:
    match step:
        case Open():
            count = number_of(step, bench.answers, bench.exercise)
            return steps.open_some(site, step.label, count)
        case Stray():
            return steps.stray(site, step.label, step.gpus)
        case Place():
            return steps.place(site)
        case Drain():
            return steps.drain(site, step.label)
        case _:
            return ask(bench, step)


def ask(bench: Bench, step: Step) -> dict[str, Probe]:
    if isinstance(step, May):
        return asking.may(bench.api, bench.exercise, step)
    assert isinstance(step, DryRun)
    return asking.dry_run(bench.api, bench.exercise, step, bench.known)
