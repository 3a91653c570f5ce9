"""`gpulab doctor`: every line is seen red once, in surroundings that make it so."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpulab import lab as labs
from gpulab.doctor import desk, examine, kernel, python, room
from gpulab.doctor.line import Line
from gpulab.jupyter import PORTS
from gpulab.paths import lab_paths
from gpulab.ports import LOOPBACK
from tests.conftest import Lab, run_clone

GIB = 2**30
OPTIONAL = {"Go", "Docker", "bubblewrap", "make", "git", "browser"}
# line → the test below that sees it red
SEEN = {
    "Python": "test_an_old_python",
    "Python packages": "test_a_package_of_another_version",
    "control plane": "test_without_programs_and_a_way_to_them",
    **dict.fromkeys(OPTIONAL, "test_an_empty_path"),
    "disk": "test_a_small_disk",
    "memory": "test_little_memory",
    "cgroups": "test_a_tight_container",
    "limits": "test_a_tight_shell",
    "inotify": "test_few_watches",
    "clock": "test_a_clock_that_is_behind",
    "folders": "test_folders_that_cannot_be_used",
    "sockets": "test_a_long_path",
    "ports": "test_taken_ports",
    "ports of labs": "test_a_taken_port_of_a_lab",
    "locale": "test_a_locale_without_letters",
}


def doctor(lab: Lab, **more: Any) -> dict[str, dict[str, Any]]:
    """The lines by name; the exit code says whether something needed is missing."""
    done = lab.gpulab("doctor", "--json", **more)
    assert done.returncode in (0, 1), done.stderr
    lines = json.loads(done.stdout)
    assert done.returncode == any(line["needed"] and not line["ok"] for line in lines)
    return {line["name"]: line for line in lines}


def within(lab: Lab, **env: str) -> Lab:
    return Lab(lab.name, lab.env | env)


def assert_red(line: Line | dict[str, Any], *words: str) -> None:
    found = line if isinstance(line, dict) else msgspec.structs.asdict(line)
    assert found["ok"] is False, found
    assert found["do"]
    assert all(word in found["found"] for word in words), found


def test_every_line_is_seen_red_by_a_test() -> None:
    lines = examine()
    assert {line.name for line in lines} == SEEN.keys()
    assert set(SEEN.values()) <= globals().keys()
    assert {line.name for line in lines if not line.needed} == OPTIONAL
    assert all(line.found and line.do and line.use for line in lines)


def test_it_makes_nothing(no_lab: Lab, tmp_path: Path) -> None:
    doctor(within(no_lab, GPULAB_CACHE=str(tmp_path / "cache")))
    assert list(tmp_path.iterdir()) == []


def test_what_is_optional_does_not_count(no_lab: Lab, tmp_path: Path) -> None:
    lines = doctor(within(no_lab, PATH=str(tmp_path)))
    assert not lines["make"]["ok"]  # and doctor() has looked at the exit code
    assert not lines["make"]["needed"]


def test_a_person_reads_what_to_do(no_lab: Lab) -> None:
    done = within(no_lab, GPULAB_HOME="/dev/null/x", PATH="/nonexistent").gpulab("doctor")
    assert done.returncode == 1
    assert "✗  folders" in done.stdout
    assert "needed, for the labs" in done.stdout
    assert "set GPULAB_HOME to folders of yours" in done.stdout
    assert "optional, for setting up" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Missing: ")


# -- Python


def test_an_old_python() -> None:
    assert_red(python.interpreter((3, 10)), "3.10")
    assert python.interpreter((3, 11)).ok


def test_a_package_of_another_version(no_lab: Lab, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("rich==1.0.0 \\\n    --hash=x\nnonesuch==1 \\\nold==1 ; x < '1' \\\n")
    line = python.packages(lock)
    assert_red(line, "not 1.0.0", "no nonesuch")
    assert "old" not in line.found
    assert python.packages(python.LOCK).ok


# -- programs


def test_without_programs_and_a_way_to_them(no_lab: Lab, tmp_path: Path) -> None:
    empty = within(no_lab, GPULAB_CACHE=str(tmp_path / "cache"), PATH=str(tmp_path))
    assert_red(doctor(within(empty, GPULAB_SOURCE="build"))["control plane"], "not there yet")
    assert "downloaded" in doctor(empty)["control plane"]["found"]


def test_an_empty_path(no_lab: Lab, tmp_path: Path) -> None:
    bare = within(no_lab, PATH=str(tmp_path), BROWSER="", DISPLAY="", WAYLAND_DISPLAY="")
    lines = doctor(bare)
    for name in OPTIONAL:
        assert_red(lines[name])


@pytest.mark.parametrize(
    ("name", "program", "says", "ok"),
    [
        ("Go", "go", "echo go1.99.0", True),
        ("Go", "go", "echo go1.20", False),
        ("Go", "go", "exit 1", False),
        ("Docker", "docker", "echo 29.0", True),
        ("Docker", "docker", "echo no server >&2; exit 1", False),
        ("bubblewrap", "bwrap", "exit 0", True),
        ("bubblewrap", "bwrap", "exit 1", False),
        ("make", "make", "exit 0", True),
        ("git", "git", "exit 0", True),
    ],
)
def test_a_program_is_asked_and_not_only_found(
    no_lab: Lab, tmp_path: Path, name: str, program: str, says: str, ok: bool
) -> None:
    (tmp_path / program).write_text(f"#!/bin/sh\n{says}\n")
    (tmp_path / program).chmod(0o755)
    assert doctor(within(no_lab, PATH=str(tmp_path)))[name]["ok"] is ok


def test_a_browser_that_is_chosen_counts(no_lab: Lab) -> None:
    assert doctor(within(no_lab, BROWSER="/bin/true %s"))["browser"]["ok"]


# -- room


def test_a_small_disk(no_lab: Lab, small_disk: Path) -> None:
    line = doctor(within(no_lab, GPULAB_WORK=str(small_disk / "work")))["disk"]
    assert_red(line, str(small_disk), "0.0 GiB")
    assert "GPULAB_WORK" in line["do"]


def test_little_memory(tmp_path: Path) -> None:
    machine = system(tmp_path, {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:  600000 kB\n"})
    assert_red(room.memory(machine), "0.6 GiB")
    machine = system(tmp_path, {"proc/meminfo": "MemAvailable: 2000000 kB\n"})
    assert room.memory(machine).ok


@pytest.mark.parametrize(
    ("limits", "ok"),
    [
        ({}, True),
        ({"a/b/memory.max": "max", "memory.max": "max", "a/pids.max": "max"}, True),
        ({"a/b/memory.max": str(4 * GIB), "a/pids.max": "2000"}, True),
        ({"a/b/memory.max": "max", "a/memory.max": str(GIB // 2)}, False),
        ({"a/b/pids.max": "100"}, False),
    ],
)
def test_a_tight_container(tmp_path: Path, limits: dict[str, str], ok: bool) -> None:
    files = {f"sys/fs/cgroup/{name}": f"{text}\n" for name, text in limits.items()}
    machine = system(tmp_path, {"proc/self/cgroup": "0::/a/b\n"} | files)
    assert room.cgroups(machine).ok is ok


def system(folder: Path, files: dict[str, str]) -> Path:
    """A machine's /proc and /sys, in the part that is looked at."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


# -- the system


@pytest.mark.parametrize(
    ("number", "value", "words"),
    [
        (resource.RLIMIT_NOFILE, 256, "256 open files"),
        (resource.RLIMIT_NPROC, 200, "200 processes"),
        (resource.RLIMIT_AS, 4 * GIB, "4194304 KiB of addresses"),
    ],
)
def test_a_tight_shell(no_lab: Lab, number: int, value: int, words: str) -> None:
    if number == resource.RLIMIT_NPROC and os.geteuid() != 0:
        pytest.skip("a user with more processes could not start the test's")
    _, hard = resource.getrlimit(number)
    line = doctor(no_lab, preexec_fn=lambda: resource.setrlimit(number, (value, hard)))["limits"]
    assert_red(line, words)
    assert "ulimit -" in line["do"]


def test_few_watches(tmp_path: Path) -> None:
    folder = "proc/sys/fs/inotify"
    few = {f"{folder}/max_user_instances": "128\n", f"{folder}/max_user_watches": "1000\n"}
    assert_red(kernel.inotify(system(tmp_path, few)), "1000 watches")
    few = {f"{folder}/max_user_instances": "8\n", f"{folder}/max_user_watches": "65536\n"}
    assert_red(kernel.inotify(system(tmp_path, few)), "8 instances")
    assert kernel.inotify(tmp_path / "other").ok  # no Linux


def test_a_clock_that_is_behind(no_lab: Lab, clone: Path) -> None:
    ahead = time.time() + 3 * 24 * 3600
    os.utime(clone / "cluster-setup" / "versions.toml", (ahead, ahead))
    (clone / "requirements.lock").write_text("")
    done = run_clone(clone, no_lab, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    lines = {line["name"]: line for line in json.loads(done.stdout)}
    assert_red(lines["clock"], "versions.toml was written on")


# -- the desk


def test_folders_that_cannot_be_used(no_lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for bad in ("file", "file/below", "dangling"):
        line = doctor(within(no_lab, GPULAB_WORK=str(tmp_path / bad)))["folders"]
        assert_red(line, str(tmp_path / bad))
        assert "GPULAB_WORK" in line["do"]


def test_a_long_path(no_lab: Lab, tmp_path: Path) -> None:
    long = str(tmp_path / ("x" * 60))
    assert_red(doctor(within(no_lab, JUPYTER_RUNTIME_DIR=long))["sockets"], long)
    assert_red(doctor(within(no_lab, XDG_DATA_HOME=long))["sockets"], long)
    assert doctor(within(no_lab, JUPYTER_RUNTIME_DIR="/tmp/r"))["sockets"]["ok"]


@pytest.fixture
def taken() -> Iterator[None]:
    """Every port that JupyterLab would choose from is in use."""
    with contextlib.ExitStack() as stack:
        for port in PORTS:
            with contextlib.suppress(OSError):  # by somebody else
                stack.enter_context(socket.create_server((LOOPBACK, port)))
        yield


def test_taken_ports(taken: None) -> None:
    assert_red(desk.ports(), "8888-8987")


def test_a_taken_port_of_a_lab(
    no_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPULAB_HOME", no_lab.env["GPULAB_HOME"])
    paths = lab_paths("mine")
    paths.root.mkdir(parents=True)
    with socket.create_server((LOOPBACK, 0)) as held:
        port = held.getsockname()[1]
        ports = dict.fromkeys(labs.KEPT, 1) | {"etcd": port}
        labs.write_record(paths, labs.new_record(labs.Wanted("default"), ports))
        assert_red(doctor(no_lab)["ports of labs"], f"{port} (etcd of 'mine')")
    ports = dict.fromkeys(labs.KEPT, port)
    labs.write_record(paths, labs.new_record(labs.Wanted("default"), ports))
    assert desk.kept_ports().ok


def test_a_locale_without_letters(no_lab: Lab) -> None:
    ascii_ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert_red(doctor(within(no_lab, **ascii_))["locale"], "ascii")
    assert_red(doctor(within(no_lab, PYTHONIOENCODING="latin-1"))["locale"], "iso8859-1")
    assert doctor(within(no_lab, LC_ALL="C.UTF-8"))["locale"]["ok"]
    done = within(no_lab, **ascii_).gpulab("doctor")  # whatever it cannot print
    assert "Traceback" not in done.stderr
