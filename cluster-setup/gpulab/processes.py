"""Processes that outlive the command that started them, known by pid and start time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from gpulab.private import private, write_private


class Record(msgspec.Struct, frozen=True):
    """What is kept of a started process. The start time tells it from a later one of that pid."""

    pid: int
    started: float  # seconds since the epoch, as psutil reports it
    port: int | None = None


@dataclass(frozen=True)
class ProcessFile:
    """<lab>/processes/<name>.json."""

    path: Path

    def start(
        self, command: Sequence[str], log: Path, *, env: Mapping[str, str], port: int | None = None
    ) -> int:
        """Start `command` in a session of its own, detached, writing to `log`; its pid."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(log, "ab", opener=private) as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(env),
                start_new_session=True,
            )
        started = psutil.Process(process.pid).create_time()
        record = Record(process.pid, started, port)
        write_private(self.path, msgspec.json.encode(record))
        process.returncode = 0  # ours no longer: no ResourceWarning when it is forgotten
        return process.pid

    def read(self) -> Record | None:
        """The record of a process that still runs."""
        try:
            record = msgspec.json.decode(self.path.read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return record if is_running(record.pid, record.started) else None

    def stop(self, grace: float = 5.0) -> bool:
        """End its process group; True if it was running."""
        record = self.read()
        if record is not None:
            end_group(record.pid, grace)
        self.path.unlink(missing_ok=True)
        return record is not None


def is_running(pid: int, started: float | None = None) -> bool:
    """Whether `pid` is alive, no zombie, and started then (within a second)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return started is None or abs(process.create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False


def end_group(pid: int, grace: float) -> None:
    """SIGTERM to the process group that `pid` leads, SIGKILL after `grace` seconds."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, step)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            _reap(pid)
            if not is_running(pid):
                return
            time.sleep(0.02)


def _reap(pid: int) -> None:
    """Collect it if it is our child; otherwise its zombie would look alive to others."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
