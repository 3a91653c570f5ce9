"""One answer tried on a cluster: clean state, setup, the answer's manifests, verdict."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from autograders import variants
from autograders.collect import collect_settled
from autograders.connect import Api
from autograders.grade import gather
from autograders.load import Exercise
from autograders.model import Answers, Evidence, Phase
from autograders.proof import Case, Kind, judged
from autograders.quiz import read_answers
from autograders.run import decide
from autograders.trials import Trial
from gpulab import given, kubectl, node_state, probing, reset
from gpulab.discovery import Resource
from gpulab.dry_run import try_answers
from gpulab.emptying import MADE_BY_OTHERS
from gpulab.lab import Record
from gpulab.node_state import State
from gpulab.paths import LabPaths

REFUSED = re.compile(r"\((Forbidden|Invalid)\)| is invalid: | is forbidden: ")
"""The API server's own refusal, which is one way for a wrong answer to fail."""
KIND = re.compile(r"""\bkind["']?:\s*["']?(\w+)""")
CREATING = frozenset({"create", "run", "expose", "autoscale", "debug"})
"""Verbs of kubectl that make something without a manifest."""
COMMANDS = "commands.sh"
ANSWERS = "answers.toml"
SOLUTION = "solution"


@dataclass(frozen=True)
class Bench:
    """Where answers to one exercise are tried."""

    paths: LabPaths
    """Of the lab."""
    record: Record
    """Of the lab."""
    exercise: Exercise
    """With its drawn values."""
    api: Api
    """Reads as the grader does."""
    admin: Api
    """Cleans up after each answer."""
    seed: str | None = None
    """What the values were drawn from."""
    probed: dict[str, Phase] = field(default_factory=dict)
    """Trials of the state that stands there, by the answers that they depend on."""
    nodes: State = field(default_factory=dict)
    """As they were at first; empty where no answer has to do with them."""
    kinds: Sequence[Resource] = ()
    """Those that an answer may leave behind."""


class Untried(Exception):
    """An answer could not even be applied; its verdict would prove nothing."""


def kinds_of(exercise: Exercise, every: Sequence[Resource]) -> list[Resource]:
    """What answers may leave behind: kinds of the folder's manifests, and what follows from them.

    A kubectl line may create something that no manifest shows; then it is every kind.
    """
    lines = (line for file in exercise.folder.rglob(COMMANDS) for line in steps(file.parent))
    if {line[0] for line in lines} & CREATING:
        return list(every)
    texts = (path.read_text() for path in exercise.folder.rglob("*.yaml"))
    named = {kind for text in texts for kind in KIND.findall(text)}
    return [each for each in every if each.kind in named or each.plural in MADE_BY_OTHERS]


def clean(bench: Bench) -> None:
    """Make the state that `gpulab start` gives."""
    bench.probed.clear()
    node_state.put_back(bench.admin, bench.nodes)
    reset.restore(bench.paths, bench.exercise, bench.api, bench.admin, bench.kinds)


def shipped(bench: Bench) -> Case:
    """Judge the state that every learner is given, without answers."""
    began = time.monotonic()
    clean(bench)
    report = decide(bench.exercise, evidence_of(bench, {}), {})
    seconds = time.monotonic() - began
    return Case(Kind.SHIPPED, "as given", judged(report, Kind.SHIPPED), seconds)


def tried(
    bench: Bench, kind: Kind, name: str, folder: Path, must_fail: tuple[str, ...] = ()
) -> tuple[Case, Evidence | None, Answers]:
    """Apply a folder's answer to a clean state and judge what becomes of it."""
    began = time.monotonic()
    clean(bench)
    answers = read_answers(folder / ANSWERS)
    try:
        apply(bench, folder, may_be_refused=kind in (Kind.WRONG, Kind.LIVE))
    except Untried as error:
        return Case(kind, name, str(error), time.monotonic() - began), None, answers
    case, evidence = verdict(bench, kind, name, answers, must_fail, began)
    if kind is not Kind.SOLUTION:
        remove(bench, folder)
    return case, evidence, answers


def verdict(
    bench: Bench, kind: Kind, name: str, answers: Answers, must_fail: tuple[str, ...], began: float
) -> tuple[Case, Evidence]:
    evidence = evidence_of(bench, answers, must_fail if kind is Kind.WRONG else ())
    fault = judged(decide(bench.exercise, evidence, answers), kind, must_fail)
    return Case(kind, name, fault, time.monotonic() - began, must_fail), evidence


def answered(
    bench: Bench, kind: Kind, name: str, folder: Path, must_fail: tuple[str, ...] = ()
) -> Case:
    """Judge other answers on the solution's state, which still stands."""
    began = time.monotonic()
    return verdict(bench, kind, name, read_answers(folder / ANSWERS), must_fail, began)[0]


def evidence_of(bench: Bench, answers: Answers, must_fail: tuple[str, ...] = ()) -> Evidence:
    asked = bench.exercise.questions
    return gather(
        bench.api,
        bench.exercise,
        bench.record.provider,
        {},
        bench.record.speed,
        bench.seed,
        before=(
            *given.as_found(bench.paths, bench.exercise),
            *trials_of(bench, answers, must_fail),
        ),
        probes=try_answers(bench.admin, asked, bench.exercise.namespace, answers),
    )


def trials_of(bench: Bench, answers: Answers, must_fail: tuple[str, ...] = ()) -> tuple[Phase, ...]:
    """Run each trial once for a state and the answers that it depends on.

    Of a wrong answer only those that the checks rest on which must fail.
    """
    trials = bench.exercise.settings.probe
    wanted = needed(bench.exercise, must_fail) if must_fail else {each.phase for each in trials}
    new = [
        each for each in trials if each.phase in wanted and key(each, answers) not in bench.probed
    ]
    if new:
        collect_settled(bench.api, bench.exercise)  # not while something is still being made
        found = probing.probed(bench.paths, bench.exercise, bench.api, answers, trials=new)
        bench.probed.update(zip((key(each, answers) for each in new), found, strict=True))
    return tuple(
        bench.probed.get(key(each, answers))
        or Phase(each.phase, untried="this proof does not need it")
        for each in trials
    )


def key(trial: Trial, answers: Answers) -> str:
    """What the trial of one state depends on."""
    return repr([trial.phase, *(answers.get(name) for name in trial.asks)])


def needed(exercise: Exercise, names: tuple[str, ...]) -> set[str]:
    """Phases that these checks and questions look at."""
    judges = [(each.name, each.phases) for each in exercise.checks]
    judges += [(each.question, each.phases) for each in exercise.keys]
    return {phase for name, phases in judges for phase in phases if name in names}


def apply(bench: Bench, folder: Path, *, may_be_refused: bool) -> None:
    """Run commands.sh, or apply every manifest in the order of their names."""
    for arguments in steps(folder):
        done = kubectl.run(bench.paths.kubeconfig, *arguments, folder=folder)
        if done.returncode == 0:
            continue
        if may_be_refused and REFUSED.search(done.stderr):
            return
        raise Untried(f"kubectl {' '.join(arguments)}: {kubectl.last_line(done)}")


def steps(folder: Path) -> list[list[str]]:
    file = folder / COMMANDS
    if file.is_file():
        return kubectl.commands(file.read_text(), str(file))
    return [["apply", "-f", each] for each in manifests(folder)]


def manifests(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.yaml"))


def remove(bench: Bench, folder: Path) -> None:
    """Delete what the manifests made outside the exercise's namespace; a reset does the rest."""
    space = bench.exercise.namespace
    named = [
        word
        for name in manifests(folder)
        if is_beyond(space, folder / name)
        for word in ("-f", name)
    ]
    if named:
        kubectl.run(
            bench.paths.kubeconfig, "delete", *named, "--ignore-not-found", "--now", folder=folder
        )


def is_beyond(namespace: str, manifest: Path) -> bool:
    documents = [each for each in yaml.safe_load_all(manifest.read_text()) if each]
    return any(each["metadata"].get("namespace") != namespace for each in documents)


@contextmanager
def laid_out(exercise: Exercise, *folders: Path) -> Iterator[Path]:
    """Lay an answer out as a learner has it: later folders hold what differs, values put in."""
    with tempfile.TemporaryDirectory(prefix="gpulab-") as made:
        target = Path(made)
        for file in (file for folder in folders for file in sorted(folder.glob("*.*"))):
            if exercise.values:
                text = variants.render(file.read_text(), exercise.values, str(file))
                (target / file.name).write_text(text)
            else:
                shutil.copyfile(file, target / file.name)
        yield target
