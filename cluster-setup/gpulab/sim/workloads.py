"""Which program a container runs: cluster-setup/workloads/*.yaml, matched by image and command."""

from __future__ import annotations

import math
import os
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograders.errors import InputError
from gpulab.sim import gpu_steps, plugin, programs, volumes
from gpulab.sim.gpu_steps import NeedCuda, NeedShm, UseGpu
from gpulab.sim.images import repository
from gpulab.sim.program import (
    Await,
    CannotStart,
    Clock,
    Exit,
    Memory,
    Print,
    Program,
    Provide,
    Require,
    Script,
    Sleep,
    Step,
    Surroundings,
    expand,
)
from gpulab.sim.shell import console, start
from gpulab.sim.shell.image import SHELLS, has_shell

PROGRAMS = programs.PROGRAMS | plugin.PROGRAMS
INJECTED = "nvidia-smi"  # the NVIDIA container toolkit mounts it into containers with GPUs


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a workload applies: every given condition must hold."""

    command: tuple[str, ...] = ()  # regular expressions for the first words of the command line
    image: str | None = None  # regular expression for the repository, with its registry
    more: bool = True  # whether further words may follow
    env: dict[str, str] = {}  # variables that the manifest sets


class Wait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wait that is heard: prints `says` every so many seconds, with its number for $n."""

    fact: str
    says: str
    every: float = 5.0


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact without which the process says why and exits with 1."""

    fact: str
    says: str


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step; exactly one key. `print` may hold $cuda_available, $gpu_count and $node."""

    sleep: float | Literal["infinity"] | None = None
    takes: float | None = None  # seconds on a real node; none while a lab comes up
    print: str | None = None
    exit: int | None = None
    wait: str | Wait | None = None  # until this fact holds on the node
    need: Need | None = None
    unless: Need | None = None  # the opposite: a fact with which it says why and exits with 1
    until_lost: str | None = None  # until this fact no longer holds
    provide: str | None = None  # this fact, from now on
    leave: str | None = None  # this fact, until the Pod goes
    memory_mib: float | None = None  # used from now on
    tell: str | None = None  # what the simulator has to say for the program of this name
    warn_old_driver: str | None = None  # printed under one older than the image's CUDA, as $found
    need_cuda: NeedCuda | None = None
    need_shm: NeedShm | None = None
    use_gpu: UseGpu | None = None


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program by name, steps of its own, or the command line that an image runs by itself."""

    match: Match
    program: str | None = None
    runs: tuple[str, ...] = ()
    steps: tuple[Action, ...] = ()
    ignores_term: bool = False
    term_code: int = 143
    ports: tuple[int, ...] = ()  # on which it answers
    serves: Literal["", "gpu-metrics"] = ""  # what it answers there at /metrics
    once_started: str = ""  # the fact that holds once its startup probe has succeeded


class WorkloadFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of cluster-setup/workloads/."""

    title: str
    workloads: tuple[Workload, ...]


class Catalogue:
    """All workloads, in the order of their files' names."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self._workloads = workloads

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """Read every file; InputError names the file and the key that is wrong."""
        return cls([w for path in sorted(folder.glob("*.yaml")) for w in _read(path).workloads])

    def find(self, argv: Sequence[str], here: Surroundings) -> Program | CannotStart:
        """The program that `argv` is in this container; an unmodelled one runs for ever."""
        argv = expand(argv, here) or self._own_command(here)
        if not argv:
            return self._match(argv, here) or _unmodelled(here)
        name, image = os.path.basename(argv[0]), here.container["image"]
        if name == INJECTED and not here.gpus:
            return CannotStart(argv[0])
        if name in SHELLS and not has_shell(image, name):
            return CannotStart(argv[0])
        if found := console.program(argv, here):
            return found
        return self._match(argv, here) or self._start(argv, here) or _unmodelled(here)

    @property
    def images_of_facts(self) -> list[str]:
        """Patterns of the repositories whose containers say what holds on their node."""
        found = {
            each.match.image
            for each in self._workloads
            if each.once_started
            or each.program in plugin.PROGRAMS
            or any(step.provide or step.leave for step in each.steps)
        }
        return sorted(image for image in found if image)

    def main(self, here: Surroundings) -> list[str]:
        """The command line of a container's main process; empty if nobody knows the image's own."""
        spec = here.container
        argv = [*(spec.get("command") or []), *(spec.get("args") or [])]
        return expand(argv, here) or self._own_command(here)

    def _own_command(self, here: Surroundings) -> list[str]:
        image = repository(here.container["image"])
        for workload in self._workloads:
            if workload.runs and _applies(workload.match, (), image, here):
                return list(workload.runs)
        return []

    def _match(self, argv: Sequence[str], here: Surroundings) -> Program | None:
        image = repository(here.container["image"])
        for workload in self._workloads:
            if not workload.runs and _applies(workload.match, argv, image, here):
                return Program(
                    _script(workload, argv, here),
                    ignores_term=workload.ignores_term,
                    term_code=workload.term_code,
                    ports=frozenset(workload.ports),
                    serves=workload.serves,
                    once_started=workload.once_started,
                    provides=workload.program in plugin.PROGRAMS
                    or any(step.provide for step in workload.steps),
                    leaves=frozenset(step.leave for step in workload.steps if step.leave),
                )
        return None

    def _start(self, argv: Sequence[str], here: Surroundings) -> Program | None:
        """A shell, or one of the programs that the shell has."""

        def find(words: Sequence[str]) -> Script | None:
            if os.path.basename(words[0]) == INJECTED and not here.gpus:
                return lambda clock: iter(_not_found(argv[0], words[0]))
            found = self._match(words, here)
            return found.script if found else None

        starter = start.Starter(here, find, lambda: volumes.left_by_inits(here, self.find))
        return starter.program(argv)


def _not_found(shell: str, word: str) -> list[Step]:
    return [Print(f"{os.path.basename(shell)}: 1: {word}: not found\n", "stderr"), Exit(127)]


def _unmodelled(here: Surroundings) -> Program:
    """A process of which nothing is known but the ports that its container declares."""
    ports = here.container.get("ports") or []
    declared = frozenset(int(port["containerPort"]) for port in ports)
    return Program(_silent, modelled=False, ports=declared)


def _silent(clock: Clock) -> Iterator[Step]:
    yield Sleep(math.inf)


def _applies(match: Match, argv: Sequence[str], image: str, here: Surroundings) -> bool:
    if match.env and not match.env.items() <= _plain(here).items():
        return False
    if match.image is not None and not re.fullmatch(match.image, image):
        return False
    if len(argv) < len(match.command) or (not match.more and len(argv) > len(match.command)):
        return False
    return all(
        re.fullmatch(pattern, word, re.DOTALL)
        for pattern, word in zip(match.command, argv, strict=False)
    )


def _plain(here: Surroundings) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in here.container.get("env") or []}


def _script(workload: Workload, argv: Sequence[str], here: Surroundings) -> Script:
    if workload.program:
        return PROGRAMS[workload.program](argv, here)
    return lambda clock: (step for action in workload.steps for step in _steps(action, here, clock))


def _steps(action: Action, here: Surroundings, clock: Clock) -> Iterator[Step]:
    if action.tell is not None:
        yield from _told(action.tell, here, clock)
    elif (found := gpu_steps.of(action, here)) is not None:
        yield from found
    else:
        yield _step(action, here, clock)


def _told(program: str, here: Surroundings, clock: Clock) -> Iterator[Step]:
    """What the log of a program says that has no process of its own."""
    for each in [one for one in here.journal if one.program == program]:
        if each.at >= clock.now:
            yield Sleep((each.at - clock.now).total_seconds())
            yield Print(f"{each.text}\n")


def _step(action: Action, here: Surroundings, clock: Clock) -> Step:
    if action.sleep is not None:
        return Sleep(float(action.sleep))
    if action.takes is not None:
        return Sleep(here.pace.seconds(clock.now, action.takes))
    if action.exit is not None:
        return Exit(action.exit)
    if action.memory_mib is not None:
        return Memory(action.memory_mib)
    if action.print is not None:
        gpus = 1 if here.slices else len(here.gpus)  # CUDA uses one MIG device alone
        gpus *= gpu_steps.available(here)
        values = {"cuda_available": bool(gpus), "gpu_count": gpus, "node": here.node}
        return Print(string.Template(action.print).safe_substitute(values) + "\n")
    return _about_facts(action)


def _about_facts(action: Action) -> Step:
    if isinstance(action.wait, Wait):
        return Await(action.wait.fact, says=action.wait.says, every=action.wait.every)
    if action.wait is not None:
        return Await(action.wait)
    if action.until_lost is not None:
        return Await(action.until_lost, present=False)
    if action.need is not None:
        return Require(action.need.fact, action.need.says + "\n")
    if action.unless is not None:
        return Require(action.unless.fact, action.unless.says + "\n", present=False)
    if action.leave is not None:
        return Provide(action.leave, stays=True)
    return Provide(action.provide or "")


def _read(path: Path) -> WorkloadFile:
    try:
        file = msgspec.yaml.decode(path.read_bytes(), type=WorkloadFile)
        _check(file)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, re.error) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: {text}", "correct that key; see workloads/tools.yaml") from None
    return file


def _check(file: WorkloadFile) -> None:
    """What types cannot say; raises ValueError or re.error."""
    for index, workload in enumerate(file.workloads):
        where = f"workloads[{index}]"
        for number, action in enumerate(workload.steps):
            given = [key for key in action.__struct_fields__ if getattr(action, key) is not None]
            if len(given) != 1:
                raise ValueError(f"{where}.steps[{number}]: needs exactly one key, has {given}")
        if bool(workload.program) + bool(workload.steps) + bool(workload.runs) != 1:
            raise ValueError(f"{where}: needs either `program` or `steps` or `runs`")
        if workload.program is not None and workload.program not in PROGRAMS:
            known = ", ".join(PROGRAMS)
            raise ValueError(f"{where}.program: {workload.program!r} is none of {known}")
        for pattern in (*workload.match.command, workload.match.image or ""):
            re.compile(pattern)
