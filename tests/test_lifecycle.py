"""Up and down: repeated, side by side, at once; what a stop keeps and what a removal removes."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from gpulab import binaries
from gpulab.processes import is_running

from tests.conftest import (
    CUDA,
    GPULAB,
    Lab,
    Object,
    devices,
    environment,
    eventually,
    make_lab,
    pod,
    said,
    state,
)

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that the tests of this file stop and start; each leaves it running."""
    yield from make_lab(tmp_path_factory.mktemp("mine"), "mine")


def pids(lab: Lab) -> dict[str, int]:
    return {each["name"]: each["pid"] for each in lab.status()["components"]}


def test_up_is_idempotent(lab: Lab) -> None:
    before = pids(lab)
    done = lab.gpulab("up")
    assert done.returncode == 0
    assert str(lab.kubeconfig) in done.stderr
    assert pids(lab) == before


def test_up_leaves_nothing_of_its_own_trial_behind(lab: Lab) -> None:
    lab.gpulab("up")
    trial = ("get", "deployments,replicasets,pods", "-A", "-o", "name")
    eventually(lambda: lab.kubectl(*trial).stdout.count("gpulab-ready") == 0)


def test_ready_means_that_a_new_deployment_runs(lab: Lab, namespace: str) -> None:
    create = ("create", "deployment", "web", "--image", CUDA, "-n", namespace, "--", "sleep", "99")
    assert lab.kubectl(*create).returncode == 0
    wait = ("wait", "deployment/web", "-n", namespace, "--for=condition=Available")
    assert lab.kubectl(*wait, "--timeout=30s").returncode == 0


def test_two_labs_side_by_side_share_nothing(lab: Lab, mine: Lab) -> None:
    one, two = lab.status(), mine.status()
    assert one["ready"]
    assert two["ready"]
    for key in ("pid", "port"):
        values = [{each[key] for each in found["components"]} for found in (one, two)]
        assert not values[0] & values[1]
    assert mine.kubectl("create", "configmap", "only-here").returncode == 0
    assert lab.kubectl("get", "configmap", "only-here").returncode == 1


def test_one_user_can_have_two_labs_in_one_folder(mine: Lab) -> None:
    other = Lab("other", mine.env | {"GPULAB_NAME": "other"})
    assert other.gpulab("up").returncode == 0
    assert other.status()["ready"]
    down = mine.gpulab("down", "--name", "other", "--delete")
    assert "Lab 'mine' is another one: gpulab down --name mine" in down.stderr
    assert not other.root.exists()
    assert mine.status()["ready"]


def seen(lab: Lab, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    found: list[Object] = [lab.get("pod", name) for name in names]
    return [
        (each["metadata"]["uid"], each["status"]["podIP"], devices(each), state(each)["state"])
        for each in found
    ]


def test_a_stop_ends_every_process_and_a_start_brings_everything_back(mine: Lab) -> None:
    mine.make("default", *(pod(n, "sleep", "9999", gpus=g) for n, g in (("a", 3), ("b", 5))))
    for name in ("a", "b"):
        mine.wait("default", name, "phase=Running")
    before, processes = seen(mine, ("a", "b")), mine.processes()
    assert len(processes) == 6
    assert mine.gpulab("down").returncode == 0
    assert not [each.pid for each in processes if is_running(each.pid)]
    assert mine.processes() == []
    assert_stopped(mine)
    assert mine.gpulab("up").returncode == 0
    assert seen(mine, ("a", "b")) == before
    mine.make("default", pod("c", "sleep", "9999", gpus=8))
    given = devices(mine.wait("default", "c", "phase=Running"))
    assert len({*given, *before[0][2], *before[1][2]}) == 16  # type: ignore[misc]
    mine.kubectl("delete", "pod", "a", "b", "c", "--force", "--grace-period=0")


def assert_stopped(lab: Lab) -> None:
    found = lab.status()
    assert (found["state"], found["ready"]) == ("stopped", False)
    assert {each["health"] for each in found["components"]} == {"stopped"}
    assert {each["pid"] for each in found["components"]} == {None}
    assert all(each["port"] for each in found["components"])
    assert found["jupyterlab"] is None
    done = lab.gpulab("status")
    assert done.returncode == 1
    assert "stopped" in done.stdout


def test_ports_and_kubeconfig_stay_over_a_restart(mine: Lab) -> None:
    kubeconfig = mine.kubeconfig.read_bytes()
    before = {each["name"]: each["port"] for each in mine.status()["components"]}
    for command in ("down", "down", "up"):
        assert mine.gpulab(command).returncode == 0
    assert {each["name"]: each["port"] for each in mine.status()["components"]} == before
    assert mine.kubeconfig.read_bytes() == kubeconfig


def test_a_fleet_that_was_chosen_once_is_kept_and_that_is_said(mine: Lab) -> None:
    done = mine.gpulab("up", "--fleet", "h100")
    assert done.returncode == 0
    assert "keeps its fleet 'default'" in done.stderr
    assert mine.status()["gpus"] == 28


def test_two_ups_at_once_make_one_lab(no_lab: Lab) -> None:
    try:
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(lambda _: no_lab.gpulab("up"), range(2)))
        assert [done.returncode for done in both] == [0, 0]
        assert len(no_lab.processes()) == 6
        assert no_lab.status()["ready"]
    finally:
        no_lab.gpulab("down", "--delete")
    assert no_lab.processes() == []


def test_a_lab_from_a_fleet_file_of_ones_own_can_be_used_from_anywhere(no_lab: Lab) -> None:
    folder = Path(no_lab.env["GPULAB_HOME"]).parent
    (folder / "mine.yaml").write_text(
        "title: one\nnodes:\n- {name: box, cpu: 8, memory_gib: 16, gpu: l40s-48gb, gpus: 1}\n"
    )
    try:
        up = no_lab.gpulab("up", "--fleet", "mine.yaml", cwd=folder)
        assert up.returncode == 0, up.stderr
        assert [node["metadata"]["name"] for node in no_lab.get("nodes")["items"]] == ["box-1"]
        assert no_lab.status()["gpus"] == 1  # asked from another folder
    finally:
        no_lab.gpulab("down", "--delete")


def test_without_a_lab_down_does_nothing_and_says_so(no_lab: Lab, tmp_path: Path) -> None:
    for arguments in (["down"], ["down", "--delete"]):
        done = no_lab.gpulab(*arguments)
        assert done.returncode == 0
        assert "There is no lab 'lab'." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_needs_delete(no_lab: Lab) -> None:
    _, do = said(no_lab.gpulab("down", "--all"))
    assert "--delete --all" in do


@pytest.fixture
def everything(tmp_path: Path) -> Lab:
    """A learner with work, a lab and a cache of their own; its programs are links."""
    env = environment(tmp_path, "lab") | {"GPULAB_CACHE": str(tmp_path / "cache")}
    made = Lab("lab", env)
    for program in binaries.ensure().values():
        link = tmp_path / "cache" / "bin" / program.parent.name / program.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(program)
    (made.work / "course").mkdir(parents=True)
    (made.work / "course" / "notes.txt").write_text("mine")
    return made


def test_all_asks_and_without_a_terminal_keeps_everything(everything: Lab, tmp_path: Path) -> None:
    done = everything.gpulab("down", "--delete", "--all", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "add --yes to remove them"
    assert (everything.work / "course" / "notes.txt").exists()
    assert (tmp_path / "cache" / "bin").exists()


@pytest.mark.parametrize("answer", [b"n\n", b"\n"])
def test_all_asks_and_whoever_does_not_agree_keeps_everything(
    everything: Lab, answer: bytes
) -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "rb") as terminal, open(ours, "wb", buffering=0) as keyboard:
        keyboard.write(answer)
        done = everything.gpulab("down", "--delete", "--all", stdin=terminal)
    assert done.returncode in (1, 130)
    assert "Traceback" not in done.stderr
    assert (everything.work / "course" / "notes.txt").exists()


def test_all_with_yes_removes_labs_work_and_programs(everything: Lab, tmp_path: Path) -> None:
    up = everything.gpulab("up")
    assert up.returncode == 0, up.stderr
    programs = dict(binaries.ensure())
    done = everything.gpulab("down", "--delete", "--all", "--yes")
    assert done.returncode == 0
    assert everything.processes() == []
    assert list(tmp_path.iterdir()) == []
    assert all(path.exists() for path in programs.values())  # only the links are gone


def test_a_lab_removed_by_hand_while_it_runs_can_be_made_again(tmp_path: Path) -> None:
    """Its record goes first; what is left must not stand in the way of a new lab."""
    made = Lab("lab", environment(tmp_path, "lab"))
    try:
        assert made.gpulab("up").returncode == 0
        old = made.processes()
        (made.root / "lab.json").unlink()
        up = made.gpulab("up")
        assert up.returncode == 0, up.stderr
        assert made.status()["ready"]
        assert len(made.processes()) == 6
    finally:
        made.gpulab("down", "--delete")
        for process in old:
            if process.is_running():
                process.kill()


def test_the_command_that_started_it_leaves_no_child_behind(lab: Lab) -> None:
    """A lab's processes belong to nobody's terminal."""
    for process in lab.processes():
        assert process.ppid() != os.getpid()
        assert process.terminal() is None
        assert psutil.Process(process.pid).cwd() is not None
    assert GPULAB
