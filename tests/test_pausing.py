"""Pausing a component shows what it does: without it, that is not done; afterwards it is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gpulab.providers import pausing
from tests.conftest import Lab, eventually, pod, said

LIVE = pytest.mark.live


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("component", ["etcd", "kube-apiserver", "", "Scheduler", "kube-kube-x"])
def test_what_cannot_be_paused_is_answered_with_what_can(
    no_lab: Lab, command: str, component: str
) -> None:
    what, do = said(no_lab.gpulab(command, component))
    assert f"{component!r} cannot be paused" in what
    assert do == "choose scheduler or controller-manager"


def test_a_stopped_process_is_seen_as_paused_and_can_be_resumed() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        process, found = sleeper.pid, {"kube-scheduler": sleeper.pid}
        assert not pausing.is_paused(process)
        sleeper.send_signal(signal.SIGSTOP)
        eventually(lambda: pausing.is_paused(process))
        pausing.resume_all(found)
        eventually(lambda: not pausing.is_paused(process))
        sleeper.kill()
    assert not pausing.is_paused(process)


@pytest.fixture
def usual(spare_lab: Lab) -> Iterator[Lab]:
    yield spare_lab
    assert spare_lab.gpulab("up").returncode == 0
    spare_lab.kubectl("delete", "deployment,pod", "--all", "--force", "--grace-period=0")


def component(lab: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {each["name"]: each for each in lab.status()["components"]}[name]
    return found


def pause(lab: Lab, name: str) -> None:
    done = lab.gpulab("pause", name)
    assert done.returncode == 0, done.stderr
    assert f"gpulab resume {name}" in done.stderr


@LIVE
def test_without_a_scheduler_a_pod_stays_pending_and_afterwards_it_runs(usual: Lab) -> None:
    pid = component(usual, "kube-scheduler")["pid"]
    pause(usual, "scheduler")
    usual.make("default", pod("waits", "sleep", "9999", gpus=1))
    time.sleep(3)  # usually 0.1
    found = usual.get("pod", "waits")
    assert (found["status"]["phase"], found["spec"].get("nodeName")) == ("Pending", None)
    assert found["status"].get("conditions") is None  # nobody has even looked at it
    assert component(usual, "kube-scheduler")["health"] == "paused"
    status = usual.gpulab("status")
    assert status.returncode == 1
    assert "kube-scheduler: paused" in status.stdout

    done = usual.gpulab("resume", "scheduler")
    assert done.returncode == 0, done.stderr
    usual.wait("default", "waits", "phase=Running")
    assert usual.status()["ready"]
    assert component(usual, "kube-scheduler")["pid"] == pid  # the same one


@LIVE
def test_without_a_controller_manager_no_pod_is_made_or_replaced(usual: Lab) -> None:
    pause(usual, "kube-controller-manager")
    usual.kubectl("create", "deployment", "web", "--image=nginx:1.29")
    usual.make("default", pod("mine", "sleep", "9999"))
    usual.wait("default", "mine", "phase=Running")  # the scheduler still works
    assert usual.get("replicasets")["items"] == []
    assert usual.gpulab("resume", "controller-manager").returncode == 0
    eventually(lambda: usual.get("deployment", "web")["status"].get("readyReplicas") == 1)


@LIVE
def test_up_lets_everything_go_on(usual: Lab) -> None:
    for name in pausing.COMPONENTS:
        pause(usual, name)
    again = usual.gpulab("pause", "scheduler")
    assert (again.returncode, again.stderr) == (0, "kube-scheduler is paused already.\n")
    up = usual.gpulab("up")
    assert up.returncode == 0, up.stderr
    assert usual.status()["ready"]
    not_paused = usual.gpulab("resume", "scheduler")
    assert (not_paused.returncode, not_paused.stderr) == (0, "kube-scheduler was not paused.\n")


@LIVE
def test_a_paused_lab_can_be_stopped_and_then_nothing_can_be_paused(usual: Lab) -> None:
    pause(usual, "scheduler")
    began = time.monotonic()
    down = usual.gpulab("down")
    assert down.returncode == 0, down.stderr
    assert time.monotonic() - began < 15
    assert usual.processes() == []
    what, do = said(usual.gpulab("pause", "scheduler"))
    assert what == "kube-scheduler does not run"
    assert do.startswith("gpulab up")
