"""Up and down: repeated, side by side, at once; what a stop keeps and what a removal removes."""

from __future__ import annotations

import os
import pty
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpulab import binaries
from gpulab.processes import is_running
from tests.conftest import (
    CUDA,
    Lab,
    Object,
    devices,
    environment,
    eventually,
    pod,
    said,
    state,
)

ABOUT = (
    "cluster-setup/gpulab/providers/",
    "cluster-setup/gpulab/supervis",
    "cluster-setup/gpulab/programs.py",
    "cluster-setup/gpulab/lifecycle.py",
    "cluster-setup/gpulab/ready.py",
    "cluster-setup/gpulab/cli/lab.py",
    "cluster-setup/gpulab/lab.py",
    "cluster-setup/gpulab/paths.py",
)
pytestmark = [pytest.mark.live, pytest.mark.sample(*ABOUT)]


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


def test_two_labs_side_by_side_share_nothing(lab: Lab, spare_lab: Lab) -> None:
    one, two = lab.status(), spare_lab.status()
    assert one["ready"]
    assert two["ready"]
    for key in ("pid", "port"):
        values = [{each[key] for each in found["components"]} for found in (one, two)]
        assert not values[0] & values[1]
    assert spare_lab.kubectl("create", "configmap", "only-here").returncode == 0
    assert lab.kubectl("get", "configmap", "only-here").returncode == 1


def test_two_ups_at_once_make_one_lab_beside_another_in_the_same_folder(spare_lab: Lab) -> None:
    other = Lab("other", spare_lab.env | {"GPULAB_NAME": "other"})
    try:
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(lambda _: other.gpulab("up"), range(2)))
        assert [done.returncode for done in both] == [0, 0]
        assert len(other.processes()) == 7
        assert other.status()["ready"]
    finally:
        down = spare_lab.gpulab("down", "--name", "other", "--delete")
    assert "Lab 'spare' is another one: gpulab down --name spare" in down.stderr
    assert other.processes() == []
    assert not other.root.exists()
    assert spare_lab.status()["ready"]


def seen(lab: Lab, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    found: list[Object] = [lab.get("pod", name) for name in names]
    return [
        (each["metadata"]["uid"], each["status"]["podIP"], devices(each), state(each)["state"])
        for each in found
    ]


def test_a_stop_ends_every_process_and_a_start_brings_everything_back(spare_lab: Lab) -> None:
    spare_lab.make("default", *(pod(n, "sleep", "9999", gpus=g) for n, g in (("a", 3), ("b", 5))))
    for name in ("a", "b"):
        spare_lab.wait("default", name, "phase=Running")
    before, processes = seen(spare_lab, ("a", "b")), spare_lab.processes()
    ports, kubeconfig = ports_of(spare_lab), spare_lab.kubeconfig.read_bytes()
    assert len(processes) == 7
    for _ in range(2):  # a second time is no error
        assert spare_lab.gpulab("down").returncode == 0
    assert not [each.pid for each in processes if is_running(each.pid)]
    assert spare_lab.processes() == []
    assert_stopped(spare_lab)
    assert spare_lab.gpulab("up").returncode == 0
    assert seen(spare_lab, ("a", "b")) == before
    assert (ports_of(spare_lab), spare_lab.kubeconfig.read_bytes()) == (ports, kubeconfig)
    spare_lab.make("default", pod("c", "sleep", "9999", gpus=8))
    given = devices(spare_lab.wait("default", "c", "phase=Running"))
    assert len({*given, *before[0][2], *before[1][2]}) == 16  # type: ignore[misc]
    spare_lab.kubectl("delete", "pod", "a", "b", "c", "--force", "--grace-period=0")


def ports_of(lab: Lab) -> dict[str, int]:
    return {each["name"]: each["port"] for each in lab.status()["components"]}


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


def test_a_fleet_that_was_chosen_once_is_kept_and_that_is_said(lab: Lab) -> None:
    done = lab.gpulab("up", "--fleet", "h100")
    assert done.returncode == 0
    assert "keeps its fleet 'default'" in done.stderr
    assert lab.status()["gpus"] == 28


def test_a_creation_that_was_killed_leaves_nothing_that_the_next_one_does_not_clear(
    no_lab: Lab,
) -> None:
    """The terminal was closed, or the machine had no memory left."""
    making = no_lab.begin("up")
    eventually(lambda: len(no_lab.processes()) > 2)
    making.kill()
    making.communicate(timeout=20)
    try:
        up = no_lab.gpulab("up")
        assert up.returncode == 0, up.stderr
        assert len(no_lab.processes()) == 7
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


def test_a_lab_belongs_to_no_terminal(lab: Lab) -> None:
    for process in lab.processes():
        assert process.terminal() is None
        assert os.getsid(process.pid) != os.getsid(0)
