"""How commands deal with a lab's supervisor: start it, end it, keep it from acting meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from autograders.errors import InputError
from gpulab import supervisor
from gpulab.paths import LabPaths, private_dir
from gpulab.programs import Program, kill, running, spawn
from gpulab.waiting import eventually

NAME = "supervisor"
SECONDS = 10.0  # it holds the lock for milliseconds


@contextmanager
def alone(paths: LabPaths) -> Iterator[None]:
    """Nobody else starts or stops a program of this lab meanwhile."""
    folder = private_dir(paths.processes)
    with ExitStack() as stack:

        def taken() -> str | None:
            with ExitStack() as attempt:
                if not attempt.enter_context(supervisor.lock(folder)):
                    return "another process starts or stops the lab's programs"
                stack.push(attempt.pop_all())
                return None

        eventually(taken, SECONDS, f"gpulab down --name {paths.name}, then gpulab up")
        yield


def watch(paths: LabPaths, programs: list[Program]) -> None:
    """Have these kept running from now on."""
    supervisor.write_programs(private_dir(paths.processes), programs)
    if process(paths) is None:
        spawn(_program(paths))


def watch_also(paths: LabPaths, programs: list[Program]) -> None:
    """Have these kept running, too."""
    names = {each.name for each in programs}
    others = [each for each in supervisor.read_programs(paths.processes) if each.name not in names]
    watch(paths, [*others, *programs])


def forget(paths: LabPaths, names: list[str]) -> None:
    """Have these kept running no longer."""
    known = supervisor.read_programs(paths.processes)
    if known:
        left = [each for each in known if each.name not in names]
        supervisor.write_programs(paths.processes, left)


def process(paths: LabPaths) -> psutil.Process | None:
    """The supervisor, if it runs."""
    return running([_program(paths)]).get(NAME)


def end(paths: LabPaths) -> None:
    """From now on nothing is started again; what was healed is forgotten."""
    found = process(paths)
    if found is not None and kill([found], SECONDS):
        raise InputError(f"process {found.pid}, the lab's supervisor, does not end", "end it")
    for name in (supervisor.WATCHED, supervisor.HEALED):
        (paths.processes / name).unlink(missing_ok=True)


def _program(paths: LabPaths) -> Program:
    folder = str(paths.processes)
    command = [sys.executable, "-m", "gpulab.supervisor", folder]
    return Program(NAME, command, "/", str(paths.logs / "supervisor.log"), {})
