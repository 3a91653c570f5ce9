"""What goes wrong on purpose: seen through kubectl as on a real cluster, and gone when healed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpulab import faults
from gpulab.faults import Fault
from gpulab.sim.causes import Cause
from tests.conftest import Lab, Object, eventually, pod, said

NODE = "h100-2"


def test_every_fault_file_loads_and_says_where_it_comes_from() -> None:
    assert all(fault.sources and fault.title for fault in faults.load().values())


@pytest.mark.parametrize("effect", ["status", "event", "log", "allocatable", "conditions"])
def test_a_fault_file_cannot_write_an_effect(effect: str, tmp_path: Path) -> None:
    text = (faults.FOLDER / "node-silent.yaml").read_text()
    for wrong in (f"{text}  {effect}: x\n", f"{text}{effect}: x\n"):
        with pytest.raises(msgspec.ValidationError, match=effect):
            msgspec.yaml.decode(wrong, type=Fault)


def test_a_cause_names_things_and_no_effects() -> None:
    assert set(Cause.__struct_fields__) == {"kubelet"}


@pytest.fixture
def whole(lab: Lab) -> Iterator[Lab]:
    yield lab
    assert lab.gpulab("heal").returncode == 0
    eventually(lambda: ready(lab) == "True")


def ready(lab: Lab, node: str = NODE) -> str:
    conditions = lab.get("node", node)["status"]["conditions"]
    return next(str(each["status"]) for each in conditions if each["type"] == "Ready")


def taints(lab: Lab) -> set[str]:
    return {taint["key"] for taint in lab.get("node", NODE)["spec"].get("taints") or []}


def at(lab: Lab, namespace: str) -> Object:
    return lab.get("pod", "-n", namespace, "p")


@pytest.mark.live
def test_a_node_without_its_runtime_is_not_ready_and_nothing_on_it_moves(
    whole: Lab, namespace: str
) -> None:
    lab = whole
    lab.make(namespace, pod("p", "sleep", "3600", nodeName=NODE, terminationGracePeriodSeconds=5))
    lab.wait(namespace, "p", "phase=Running")

    assert lab.gpulab("break", "node-runtime-down", "--node", NODE).returncode == 0

    eventually(lambda: ready(lab) == "False")
    eventually(lambda: "node.kubernetes.io/not-ready" in taints(lab))
    refused = lab.kubectl("exec", "-n", namespace, "p", "--", "ls")
    assert "containerd.sock: connect: connection refused" in refused.stderr
    assert lab.gpulab("status").returncode == 0, "a node broken on purpose keeps no lab from ready"

    lab.make(namespace, pod("late", "true", nodeName=NODE))
    lab.kubectl("delete", "pod", "-n", namespace, "p", "--wait=false")
    lab.make(namespace, pod("elsewhere", "true"))
    lab.wait(namespace, "elsewhere", "phase=Succeeded")
    assert "deletionTimestamp" in at(lab, namespace)["metadata"]
    assert "startTime" not in lab.get("pod", "-n", namespace, "late")["status"]

    assert lab.gpulab("heal", "node-runtime-down").returncode == 0

    eventually(lambda: ready(lab) == "True")
    lab.wait(namespace, "late", "phase=Succeeded")
    eventually(lambda: lab.kubectl("get", "pod", "-n", namespace, "p").returncode != 0, 60)


@pytest.mark.live
def test_a_silent_node_says_nothing_and_the_controller_gives_it_time(
    whole: Lab, namespace: str
) -> None:
    whole.make(namespace, pod("p", "sleep", "3600", nodeName=NODE))
    whole.wait(namespace, "p", "phase=Running")

    assert whole.gpulab("break", "node-silent", "--node", NODE).returncode == 0

    eventually(lambda: whole.get("node", NODE)["status"]["phase"] == "Terminated")
    assert ready(whole) == "True"
    assert "does not answer" in whole.kubectl("logs", "-n", namespace, "p").stderr


@pytest.mark.live
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["break", "nosuch"], "there is no fault 'nosuch'"),
        (["break", "node-silent", "--node", "x"], "there is no simulated node 'x'"),
        (["heal", "nosuch"], "there is no fault 'nosuch'"),
    ],
)
def test_what_cannot_be_broken_or_healed_is_said(lab: Lab, words: list[str], what: str) -> None:
    done = lab.gpulab(*words)
    assert done.returncode == 2
    assert said(done)[0] == what
