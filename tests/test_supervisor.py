"""The supervisor: what dies is started again, and what does not last waits longer each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gpulab import supervision, supervisor
from gpulab.paths import LabPaths
from gpulab.programs import Program, is_paused, kill, running
from gpulab.supervisor import Healing
from tests.conftest import eventually

WAITS = "import time; time.sleep(600)"


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[LabPaths]:
    made = LabPaths("one", tmp_path / "one")
    made.root.mkdir()
    yield made
    kept = supervisor.read_programs(made.processes)
    if made.root.exists():
        supervision.end(made)
    kill(running(kept).values(), 5)


def program(paths: LabPaths, name: str, code: str = WAITS) -> Program:
    """A program of this lab alone."""
    log = paths.logs / f"{name}.log"
    return Program(name, [sys.executable, "-c", f"{code} #{log}"], "/", str(log), {"OURS": name})


def watched(paths: LabPaths, *programs: Program) -> Callable[[str], psutil.Process]:
    """Have them watched; returns who finds one that runs."""
    supervision.watch(paths, list(programs))
    return lambda name: eventually(lambda: running(programs).get(name), 10)  # type: ignore[no-any-return]


def healing(paths: LabPaths, name: str) -> Healing:
    return supervisor.read_healings(paths.processes).get(name, Healing())


def test_what_dies_is_started_again_and_that_is_written_down(paths: LabPaths) -> None:
    find = watched(paths, program(paths, "a"), program(paths, "b"))
    first, other = find("a"), find("b")
    before = healing(paths, "a").restarts
    began = time.time()
    first.kill()
    eventually(lambda: find("a").pid != first.pid, 5)
    eventually(lambda: healing(paths, "a").restarts == before + 1, 5)
    assert healing(paths, "a").last == pytest.approx(began, abs=5)
    assert find("b").pid == other.pid
    assert find("a").environ()["OURS"] == "a"
    assert (paths.processes / "healed.json").stat().st_mode & 0o777 == 0o600


def test_what_dies_again_and_again_is_tried_less_and_less(paths: LabPaths) -> None:
    mark = paths.root / "starts"
    code = f"open({str(mark)!r}, 'a').write('x')"
    watched(paths, program(paths, "short", code))
    eventually(lambda: healing(paths, "short").again >= 4, 30)  # after 0, 0.5, 1 and 2 s
    found = healing(paths, "short")
    assert found.until - found.last >= 3  # the next wait
    assert len(mark.read_text()) <= 6


@pytest.mark.parametrize(("lived", "again"), [(1, 1), (60, 0)])
def test_only_who_dies_soon_has_to_wait(lived: float, again: int) -> None:
    found = Healing(restarts=1)
    found.died(1000 - lived, 1000)
    assert (found.again, found.until > 1000) == (again, bool(again))


def test_no_wait_is_longer_than_a_minute() -> None:
    found = Healing(restarts=1)
    for _ in range(100):
        found.died(1000, 1000)
    assert found.until == 1000 + supervisor.LONGEST_WAIT


def test_who_was_paused_is_paused_when_it_is_back(paths: LabPaths) -> None:
    find = watched(paths, program(paths, "a"))
    first = find("a")
    first.suspend()
    time.sleep(2 * supervisor.LOOK)  # it was seen
    first.kill()
    eventually(lambda: find("a").pid != first.pid, 5)
    eventually(lambda: is_paused(find("a")), 5)


def test_nothing_is_started_while_a_command_has_the_lock(paths: LabPaths) -> None:
    one = program(paths, "a")
    find = watched(paths, one)
    first = find("a")
    with supervision.alone(paths):
        first.kill()
        time.sleep(2 * supervisor.LOOK)
        assert running([one]) == {}
    find("a")


def test_a_second_watch_starts_no_second_supervisor(paths: LabPaths) -> None:
    find = watched(paths, program(paths, "a"))
    find("a")
    first = supervision.process(paths)
    watched(paths, program(paths, "a"), program(paths, "b"))("b")  # and what is new is watched
    assert first is not None
    assert supervision.process(paths) == first


def test_after_the_end_nothing_is_started_again(paths: LabPaths) -> None:
    one = program(paths, "a")
    find = watched(paths, one)
    process = find("a")
    supervision.end(paths)
    process.kill()
    time.sleep(2 * supervisor.LOOK)
    assert running([one]) == {}
    assert supervision.process(paths) is None
    assert [each.name for each in paths.processes.iterdir()] == ["lock"]


@pytest.mark.parametrize("spoiled", ["", "[{", "[1]", '[{"name": "a"}]', None])
def test_if_its_file_is_lost_or_damaged_it_goes_on_as_before(
    paths: LabPaths, spoiled: str | None
) -> None:
    find = watched(paths, program(paths, "a"))
    first = find("a")
    file = paths.processes / "watched.json"
    file.unlink() if spoiled is None else file.write_text(spoiled)
    first.kill()
    eventually(lambda: find("a").pid != first.pid, 5)
    supervision.end(paths)
    find("a").kill()


@pytest.mark.parametrize("spoiled", ["", "[1]", '{"a": 1}', '{"a": {"b": 2}}'])
def test_what_was_healed_may_be_unreadable(paths: LabPaths, spoiled: str) -> None:
    paths.processes.mkdir()
    (paths.processes / "healed.json").write_text(spoiled)
    assert supervisor.read_healings(paths.processes) == {}


def test_without_its_folder_it_ends(paths: LabPaths) -> None:
    one = program(paths, "a")
    find = watched(paths, one)
    process = find("a")
    shutil.rmtree(paths.root)
    eventually(lambda: supervision.process(paths) is None, 10)
    process.kill()


def test_a_program_that_is_not_there_is_no_end(paths: LabPaths) -> None:
    gone = Program(
        "gone", ["/nonexistent/program", str(paths.root)], "/", str(paths.root / "l"), {}
    )
    find = watched(paths, gone, program(paths, "a"))
    find("a")
    eventually(lambda: healing(paths, "gone").again >= 2, 10)


def test_a_zombie_counts_as_ended(tmp_path: Path) -> None:
    """Its parent may never ask; here that is this process."""
    child = subprocess.Popen([sys.executable, "-c", WAITS])
    began = time.monotonic()
    assert kill([psutil.Process(child.pid)], 20) == []
    assert time.monotonic() - began < 15
    assert child.wait(5) < 0
