"""Detached processes: found again, not confused with a later one, ended with their group."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from gpulab.processes import ProcessFile, Record, end_group, is_running
from tests.conftest import eventually

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); "
    "time.sleep(600)",
]
FAMILY = [
    sys.executable,
    "-c",
    f"import subprocess; print(subprocess.Popen({SLEEP!r}).pid, flush=True); "
    "import time; time.sleep(600)",
]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ProcessFile]:
    made = ProcessFile(tmp_path / "processes" / "sleeper.json")
    yield made
    made.stop(grace=0.1)


def start(file: ProcessFile, command: list[str], **more: int) -> int:
    return file.start(command, log_of(file), env=os.environ, **more)


def log_of(file: ProcessFile) -> Path:
    return file.path.with_name("sleeper.log")


def test_a_started_process_is_found_with_its_port(file: ProcessFile) -> None:
    pid = start(file, SLEEP, port=4711)
    found = file.read()
    assert found is not None
    assert (found.pid, found.port) == (pid, 4711)
    assert psutil.Process(pid).cmdline() == SLEEP


def test_it_has_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(file: ProcessFile) -> None:
    pid = start(file, SLEEP)
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getsid(0)


def test_its_output_goes_to_the_log_and_its_environment_is_the_given_one(file: ProcessFile) -> None:
    command = [sys.executable, "-c", "import os; print(os.environ['WORD'])"]
    file.start(command, log_of(file), env={"WORD": "hello"})
    eventually(lambda: log_of(file).read_text() == "hello\n")


def test_nobody_else_can_read_its_record_and_its_log(file: ProcessFile) -> None:
    start(file, SLEEP)
    for path in (file.path, log_of(file)):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_stopping_ends_it_and_forgets_it(file: ProcessFile) -> None:
    pid = start(file, SLEEP)
    assert file.stop()
    assert not is_running(pid)
    assert not file.path.exists()
    assert not file.stop()


def test_stopping_ends_its_children_too(file: ProcessFile) -> None:
    start(file, FAMILY)
    child = int(eventually(lambda: log_of(file).read_text()))
    assert is_running(child)
    file.stop()
    eventually(lambda: not is_running(child))


def test_one_that_ignores_sigterm_is_killed_after_its_grace(file: ProcessFile) -> None:
    pid = start(file, STUBBORN)
    eventually(lambda: log_of(file).read_text())
    assert file.stop(grace=0.3)
    assert not is_running(pid)


def test_a_process_that_has_ended_by_itself_is_not_found(file: ProcessFile) -> None:
    pid = start(file, [sys.executable, "-c", ""])
    eventually(lambda: file.read() is None)
    assert psutil.pid_exists(pid) is False or not is_running(pid)


def test_a_later_process_with_the_same_pid_is_neither_found_nor_ended(file: ProcessFile) -> None:
    pid = start(file, SLEEP)
    record = file.read()
    assert record is not None
    file.path.write_bytes(msgspec.json.encode(Record(pid, record.started - 60)))
    assert file.read() is None
    assert not file.stop()
    assert is_running(pid)
    end_group(pid, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x", "started": 1}', b"\xff\xfe"])
def test_a_damaged_record_counts_as_no_process(file: ProcessFile, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.read() is None
    assert not file.stop()


def test_a_pid_that_never_was_is_not_running() -> None:
    assert not is_running(2**22 + 1)
    end_group(2**22 + 1, grace=0.1)
