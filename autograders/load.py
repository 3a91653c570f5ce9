"""From an exercise's folder to an Exercise; whatever is wrong with the folder is said here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from autograders import variants
from autograders.access import READABLE, group_of
from autograders.errors import InputError
from autograders.model import AnswerKey, Check, Guard
from autograders.quiz import question as quiz_rules
from autograders.quiz.question import Question as Question  # also a word of this module
from autograders.quiz.question import Quiz
from autograders.rights import WORKLOADS, Rule
from autograders.rights import faults as wrong_rules
from autograders.trials import Trial
from autograders.trials import faults as wrong_trials
from autograders.variants import Spec, Values

Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
FleetName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.yaml)?$")]
T = TypeVar("T")
BROKEN_CODE = (
    *(SyntaxError, ImportError, NameError, AttributeError, TypeError, ValueError, LookupError),
    *(ArithmeticError, AssertionError, RuntimeError, SystemExit),
)
"""How a checks.py can end before it has defined its checks."""


class Collect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list of objects that the checks need."""

    api: Text
    """apiVersion: `v1`, `batch/v1`."""
    resource: Text
    """The plural: `pods`."""
    scope: Literal["namespace", "cluster"] = "namespace"
    """The exercise's namespace, or everywhere (and kinds without a namespace)."""
    watch: bool = False
    """Record for `watch_seconds` how these objects change, too."""


class LogOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The logs of one Pod in the exercise's namespace."""

    pod: Name
    """The Pod's name."""
    container: Name | None = None
    """One container; None: all of them."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """exercise.toml: what the learner is told, and what is collected."""

    title: Text
    """As in the table of contents."""
    seed_section: Text
    """Where the seed document has it."""
    namespace: Name
    """Where the learner works."""
    objectives: Annotated[tuple[Text, ...], Meta(min_length=1)]
    """What the learner can do afterwards."""
    hints: Annotated[tuple[Text, ...], Meta(min_length=1)]
    """From a nudge to nearly the answer."""
    collect: Annotated[tuple[Collect, ...], Meta(min_length=1)]
    """What the checks need to see."""
    logs: tuple[LogOf, ...] = ()
    """What the checks need to read."""
    fleet: FleetName = "default"
    """The nodes that the exercise needs: a fleet's name, or a .yaml file of this folder."""
    settled: Literal["finished", "running"] = "finished"
    """When a Pod that ends by itself is where it should be."""
    settle_seconds: Annotated[int, Meta(ge=1, le=600)] = 60
    """How long the cluster may be on its way before a check says `not yet`."""
    watch_seconds: Annotated[int, Meta(ge=0, le=60)] = 0
    """How long the kinds with `watch` are watched once the cluster has settled."""
    files: tuple[Text, ...] = ("answers.toml",)
    """What a submission consists of."""
    probe: tuple[Trial, ...] = ()
    """What must be tried, because reading cannot show it; gpulab does, never the grader."""
    allow: tuple[Rule, ...] = WORKLOADS
    """What a submission may do when it is replayed, in the exercise's namespace."""


@dataclass(frozen=True)
class Exercise:
    """An exercise, ready to be graded."""

    id: str
    """The folder's name."""
    folder: Path
    """Where it lies."""
    settings: Settings
    """exercise.toml."""
    checks: tuple[Check, ...]
    """In the order of checks.py."""
    guards: tuple[Guard, ...]
    """In the order of checks.py."""
    questions: tuple[Question, ...]
    """quiz.toml; empty when there is none."""
    keys: tuple[AnswerKey, ...]
    """Keys that are computed from the cluster."""
    digest: str
    """SHA-256 over the folder's files."""
    variant: Values = field(default_factory=dict)
    """What was drawn for this learner; empty when the exercise is the same for all."""
    task: str = ""
    """The task with those values; empty when the exercise is the same for all."""
    derived: Values = field(default_factory=dict)
    """What follows from those values; only files of the exercise use it, no learner is told."""

    @property
    def title(self) -> str:
        return self.settings.title

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    @property
    def values(self) -> Values:
        """What its files may write as `$name`."""
        return {**self.variant, **self.derived}

    @property
    def short(self) -> str:
        """What a learner types: 01, or lesson-02."""
        words = self.id.split("-")
        return "-".join(words[:2]) if words[0] == "lesson" else words[0]

    @property
    def max_score(self) -> float:
        """Machine-marked points."""
        checks = sum(each.points for each in self.checks)
        asked = sum(each.points for each in self.questions if not each.by_hand)
        return float(checks + asked)

    @property
    def manual_max(self) -> float:
        """Points that a person may give."""
        return float(sum(each.points for each in self.questions if each.by_hand))


def find_exercise(root: Path, text: str) -> Path:
    """Find the folder by number, by name or by a part that only one name has."""
    names = exercise_names(root)
    shown = ", ".join(names) or "none"
    for matches in (
        [name for name in names if text in (name, name.split("-")[0])],
        [name for name in names if text and name.startswith(text)],
        [name for name in names if text and text in name],
    ):
        if len(matches) == 1:
            return root / matches[0]
        if matches:
            what = f"{text!r} names more than one exercise: {', '.join(matches)}"
            raise InputError(what, "give the whole name of one of them")
    raise InputError(f"there is no exercise {text!r}", f"choose one of: {shown}")


def exercise_names(root: Path) -> list[str]:
    """Names of all exercises, in order."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}", "run it from a checkout of the course")
    return sorted(each.parent.name for each in root.glob("*/exercise.toml"))


def load_exercise(folder: Path, values: Values | None = None) -> Exercise:
    """Read one exercise's folder, with the learner's values, and check it against itself.

    Without values, those that an empty secret draws: enough to look at an exercise.
    """
    spec = read_variant(folder)
    values = values if spec and values is not None else drawn_of(spec, folder.name)
    derived = variants.derive(spec, values) if spec else {}
    every = {**values, **derived}
    settings = read_toml(folder / "exercise.toml", Settings, every)
    quiz = folder / "quiz.toml"
    questions = read_toml(quiz, Quiz, every).question if quiz.is_file() else ()
    hidden = folder.glob("checks_hidden.py")  # what only a class's grader has
    modules = [run_module(each) for each in (folder / "checks.py", *hidden)]
    exercise = Exercise(
        folder.name,
        folder,
        settings,
        tuple(defined(Check, *modules)),
        tuple(defined(Guard, *modules)),
        questions,
        tuple(defined(AnswerKey, *modules)),
        digest_of(folder),
        values,
        variants.render(spec.task, values, f"{folder}/variant.toml") if spec else "",
        derived,
    )
    for fault in faults(exercise):
        raise InputError(f"{folder}: {fault}", "correct the exercise; CONTRIBUTING says how")
    return exercise


def read_variant(folder: Path) -> Spec | None:
    """What varies between learners; None when nothing does."""
    path = folder / "variant.toml"
    spec = read_toml(path, Spec) if path.is_file() else None
    for fault in variants.faults(spec) if spec else ():
        raise InputError(f"{folder}: {fault}", "correct the exercise; CONTRIBUTING says how")
    return spec


def drawn_of(spec: Spec | None, exercise: str) -> Values:
    return variants.draw(spec, variants.seed_of(b"", "", exercise)) if spec else {}


def read_toml(path: Path, shape: type[T], values: Values | None = None) -> T:
    """Read a file of the exercise; with values, they take the place of each `$name`."""
    try:
        text = path.read_bytes()
        if values:
            text = variants.render(text.decode(), values, str(path)).encode()
        return msgspec.toml.decode(text, type=shape)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "put it there") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: {error}", "correct that line or key") from error


def run_module(path: Path) -> ModuleType:
    """Run checks.py under a name that nothing imports, leaving no compiled file beside it."""
    try:
        return module_of(path, compile(path.read_bytes(), str(path), "exec"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "put it there") from error
    except BROKEN_CODE as error:
        raise InputError(f"{path} cannot be loaded: {error}", "correct it") from error


def module_of(path: Path, code: CodeType) -> ModuleType:
    module = ModuleType(f"_exercise_{path.parent.name.replace('-', '_')}")
    module.__file__ = str(path)
    exec(code, module.__dict__)
    return module


def defined(kind: type[T], *modules: ModuleType) -> Iterator[T]:
    """Find what the decorators made, in the order of definition."""
    return (each for one in modules for each in vars(one).values() if isinstance(each, kind))


def digest_of(folder: Path) -> str:
    """SHA-256 over names and contents; caches and hidden files do not count."""
    sum_ = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or any(part.startswith((".", "__")) for part in name.parts):
            continue
        data = path.read_bytes()
        sum_.update(f"{name.as_posix()}\0{len(data)}\0".encode())
        sum_.update(data)
    return sum_.hexdigest()


def faults(exercise: Exercise) -> Iterator[str]:
    """What the files say against each other."""
    names = [each.name for each in exercise.checks] + [each.name for each in exercise.guards]
    names += [each.id for each in exercise.questions]
    yield from (f"the name {name!r} is used twice" for name in names if names.count(name) > 1)
    computed = [key.question for key in exercise.keys]
    for question in exercise.questions:
        for fault in quiz_rules.faults(question, question.id in computed):
            yield f"quiz.toml: {fault}"
    for key in set(computed) - {question.id for question in exercise.questions}:
        yield f"checks.py has a key for {key!r}, which quiz.toml does not ask"
    for each in exercise.settings.collect:
        if each.resource not in READABLE.get(group_of(each.api), ()):
            yield f"collect: {each.resource} of {each.api} is not in autograders/rbac.yaml"
    yield from wrong_rules(exercise.settings.allow)
    yield from wrong_trials(exercise.settings.probe, {each.id for each in exercise.questions})
    yield from wrong_phases(exercise)
    watches = any(each.watch for each in exercise.settings.collect)
    if watches != bool(exercise.settings.watch_seconds):
        yield "needs both or neither: watch_seconds, and a [[collect]] with watch = true"


def wrong_phases(exercise: Exercise) -> Iterator[str]:
    """What trials lack, and phases that no trial makes."""
    for step in (step for each in exercise.settings.probe for step in each.manifests):
        if not (exercise.folder / step.manifest).is_file():
            yield f"probe: there is no {step.manifest}, which the step {step.name!r} tries"
    phases = {each.phase for each in exercise.settings.probe}
    needed = {name for each in exercise.checks for name in each.phases}
    for name in sorted((needed | {name for key in exercise.keys for name in key.phases}) - phases):
        yield f"checks.py needs the phase {name!r}, which no [[probe]] of exercise.toml makes"
