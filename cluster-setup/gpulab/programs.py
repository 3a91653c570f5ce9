"""The programs of a lab that run in the background: how each is started, and which run.

Who runs is read from the table of processes, by arguments that name the lab's own files: no file
with a pid that could be lost, half written, or true of another process after a reboot. This module
and `supervisor.py` import little, since they stay in memory for as long as a lab runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from gpulab.private import private


@dataclass(frozen=True)
class Program:
    """One process to keep running."""

    name: str
    command: list[str]
    """The arguments, all but the first, tell it from every other process."""
    folder: str
    """Where it runs."""
    log: str
    """File for all that it prints."""
    env: Mapping[str, str]
    """Added to the environment."""


def running(programs: Iterable[Program]) -> dict[str, psutil.Process]:
    """Process of each program that runs, by name."""
    names = {tuple(each.command[1:]): each.name for each in programs}
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        name = names.get(tuple((process.info["cmdline"] or [])[1:]))
        if name is not None and is_alive(process):
            found[name] = process
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether it is still this process, and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_paused(process: psutil.Process) -> bool:
    """Whether it was told to stop and keeps its memory (SIGSTOP)."""
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def spawn(program: Program, *, paused: bool = False) -> psutil.Process:
    """Start it in a session of its own, detached; `paused` keeps it from doing anything yet."""
    Path(program.log).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(program.log, "ab", opener=private) as log:
        process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **program.env},
            start_new_session=True,
            umask=0o077,
        )
    if paused:
        os.kill(process.pid, signal.SIGSTOP)
    process.returncode = 0  # known by its arguments from here on: no warning when it is forgotten
    return psutil.Process(process.pid)


def kill(processes: Iterable[psutil.Process], within: float) -> list[psutil.Process]:
    """End processes at once; those that are still there after `within` seconds.

    A zombie is gone: it waits for its parent alone, and holds no port and no file.
    """
    left = list(processes)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + within
    while (left := [each for each in left if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
