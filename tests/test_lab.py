"""A lab's record: written whole, read back, and damage answered with what to do."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from autograders.errors import InputError
from gpulab import lab, paths
from gpulab.lab import (
    Record,
    Wanted,
    existing,
    locked,
    names,
    new_record,
    read_record,
    write_record,
)
from gpulab.paths import LabPaths, lab_paths


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabPaths:
    monkeypatch.setenv("GPULAB_HOME", str(tmp_path / "home"))
    return lab_paths("demo")


def record() -> Record:
    ports = {name: 20001 + index for index, name in enumerate(sorted(lab.KEPT))}
    return new_record(Wanted("default"), ports)


def test_a_record_is_read_as_it_was_written(demo: LabPaths) -> None:
    with locked(demo):
        write_record(demo, written := record())
    assert read_record(demo) == written
    assert demo.record.stat().st_mode & 0o077 == 0


def test_each_lab_has_an_identity_of_its_own() -> None:
    assert record().uid != record().uid


def test_a_lab_that_was_never_made_has_no_record(demo: LabPaths) -> None:
    assert read_record(demo) is None
    with pytest.raises(InputError, match="there is no lab called 'demo'") as missing:
        existing("demo")
    assert missing.value.do == "start it: gpulab up --name demo"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"provider": "embedded"}',
        b'{"provider": 1, "fleet": 2, "uid": 3, "created": 4, "ports": 5}',
    ],
)
def test_a_damaged_record_is_answered_with_what_to_do(demo: LabPaths, content: bytes) -> None:
    with locked(demo):
        demo.record.write_bytes(content)
    with pytest.raises(InputError, match="is damaged") as damaged:
        existing("demo")
    assert "gpulab down --delete --name demo" in damaged.value.do
    assert demo.record.read_bytes() == content


def test_a_record_without_the_ports_that_the_lab_needs_is_damaged(demo: LabPaths) -> None:
    with locked(demo):
        write_record(demo, new_record(Wanted("default"), {}))
    with pytest.raises(InputError, match="is damaged"):
        existing("demo")


def test_all_labs_are_listed_and_unfinished_ones_are_not(demo: LabPaths) -> None:
    for name in ("b", "a"):
        with locked(lab_paths(name)):
            write_record(lab_paths(name), record())
    with locked(demo):
        assert names() == ["a", "b"]


def test_nobody_else_can_look_into_a_locked_lab(demo: LabPaths) -> None:
    with locked(demo):
        assert paths.home().stat().st_mode & 0o777 == 0o700
        assert demo.root.stat().st_mode & 0o777 == 0o700
        assert demo.lock.stat().st_mode & 0o077 == 0


def take_lock(name: str, taken: multiprocessing.synchronize.Event) -> None:
    with lab.locked(lab_paths(name)):
        taken.set()


def test_a_second_command_waits_for_the_first(demo: LabPaths) -> None:
    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Event()
    with locked(demo):
        second = spawn.Process(target=take_lock, args=("demo", taken))
        second.start()
        assert not taken.wait(1.5)
    assert taken.wait(20)
    second.join(20)
    assert second.exitcode == 0
