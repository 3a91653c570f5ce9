"""`python -m gpulab.supervisor FOLDER`: starts again what of a lab has died, and says so in a file.

One such process per lab. `gpulab up` starts it, `gpulab down` ends it first. It acts only while it
holds the lock in FOLDER, as a command does that starts or stops something itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from gpulab.private import private, write_private
from gpulab.programs import Program, is_alive, is_paused, running, spawn

WATCHED, HEALED, LOCK = "watched.json", "healed.json", "lock"
LOOK = 1.0  # seconds between two looks, if nothing dies; where a death is not announced, fewer
LOOK_OFTEN = 0.25
BUSY = 0.05  # seconds until the next try to get the lock
SHORT = 5.0  # who lived for fewer seconds has died again
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0


@dataclass
class Healing:
    """What was done for one program."""

    restarts: int = 0
    last: float = 0.0
    """When it was started last, in seconds since the epoch."""
    again: int = 0
    """How often in a row it died soon after it was started."""
    until: float = 0.0
    """It is not started before; seconds since the epoch."""

    def died(self, started: float, now: float) -> None:
        """Start it at once, but wait longer each time that it does not last."""
        self.again = self.again + 1 if self.restarts and now - started < SHORT else 0
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self.again - 1)) if self.again else 0.0
        self.until = now + wait


@dataclass
class Supervisor:
    """What is known of a lab's programs."""

    folder: Path
    healings: dict[str, Healing]
    programs: list[Program] = field(default_factory=list)
    alive: dict[str, psutil.Process] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Start what has died; the lock is ours."""
        self.programs = read_programs(self.folder) or self.programs
        for name, process in list(self.alive.items()):
            if not is_alive(process):
                del self.alive[name]
                self._healing(name).died(process.create_time(), time.time())
        missing = [each for each in self.programs if each.name not in self.alive]
        if missing:
            self.alive |= running(missing)  # what a command has started meanwhile
            self._start([each for each in missing if each.name not in self.alive])
        now_paused = {name for name, process in self.alive.items() if is_paused(process)}
        dead = {each.name for each in self.programs} - self.alive.keys()
        self.paused = now_paused | (self.paused & dead)

    def _start(self, programs: list[Program]) -> None:
        for each in programs:
            healing = self._healing(each.name)
            if healing.until > time.time():
                continue
            with contextlib.suppress(OSError):  # no memory, no disk, no program: again later
                self.alive[each.name] = spawn(each, paused=each.name in self.paused)
            healing.restarts += 1
            healing.last = time.time()
            if each.name not in self.alive:
                healing.died(healing.last, healing.last)
        if programs:
            write_healings(self.folder, self.healings)

    def _healing(self, name: str) -> Healing:
        return self.healings.setdefault(name, Healing())

    def wait(self) -> None:
        """Return when something dies, or it is time for another look."""
        now = time.time()
        due = [h.until - now for n, h in self.healings.items() if n not in self.alive]
        seconds = min([LOOK, *(max(BUSY, each) for each in due)])
        if not hasattr(os, "pidfd_open"):
            return time.sleep(min(seconds, LOOK_OFTEN))
        with contextlib.ExitStack() as stack:
            poll = select.poll()
            for process in self.alive.values():
                with contextlib.suppress(ProcessLookupError):
                    fd = os.pidfd_open(process.pid)
                    stack.callback(os.close, fd)
                    poll.register(fd, select.POLLIN)
            poll.poll(seconds * 1000)


def run(folder: Path) -> None:
    """Until the lab is gone, or somebody ends this process."""
    supervisor = Supervisor(folder, read_healings(folder))
    while folder.exists():
        looked = False
        with contextlib.suppress(OSError), lock(folder) as ours:  # the disk may be full
            if ours:
                supervisor.look()
                looked = True
        reap()
        if looked:
            supervisor.wait()
        else:
            time.sleep(BUSY)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Whether nobody else starts or stops programs of this lab, until the end of the block."""
    with open(folder / LOCK, "w", opener=private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def reap() -> None:
    """Collect children that have ended, or their zombies would stay."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def read_programs(folder: Path) -> list[Program]:
    """What is to be kept running; nothing if nobody can read that."""
    try:
        return [Program(**each) for each in json.loads((folder / WATCHED).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def write_programs(folder: Path, programs: list[Program]) -> None:
    write_private(folder / WATCHED, json.dumps([asdict(each) for each in programs]).encode())


def read_healings(folder: Path) -> dict[str, Healing]:
    """What was done so far; nothing if nobody can read that."""
    try:
        found = json.loads((folder / HEALED).read_bytes())
        return {name: Healing(**each) for name, each in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_healings(folder: Path, healings: dict[str, Healing]) -> None:
    """Nothing is lost but words, if the disk is full."""
    with contextlib.suppress(OSError):
        content = {name: asdict(each) for name, each in healings.items()}
        write_private(folder / HEALED, json.dumps(content).encode())


if __name__ == "__main__":
    run(Path(sys.argv[1]))
