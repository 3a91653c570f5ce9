"""Status: every component with pid, port and health, as a table and as JSON."""

from __future__ import annotations

import psutil
import pytest

from gpulab.ready import CORDON
from tests.conftest import Lab, eventually

pytestmark = pytest.mark.live
COMPONENTS = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "simulator",
    "metrics",
]


def test_json_names_every_component_with_pid_port_and_health(lab: Lab) -> None:
    found = lab.status()
    assert [each["name"] for each in found["components"]] == COMPONENTS
    assert {each["health"] for each in found["components"]} == {"ok"}
    assert (found["ready"], found["state"], found["missing"]) == (True, "ready", None)
    assert (found["name"], found["provider"]) == ("shared", "embedded")
    assert (found["fleet"], found["gpus"], found["speed"]) == ("default", 28, 1.0)
    assert found["kubeconfig"] == str(lab.kubeconfig)


def test_each_component_listens_on_the_port_that_is_named(lab: Lab) -> None:
    for each in lab.status()["components"]:
        listening = [
            connection.laddr.port
            for connection in psutil.Process(each["pid"]).net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert each["port"] in listening, each


def test_the_table_says_the_same_as_the_json(lab: Lab) -> None:
    done = lab.gpulab("status")
    assert done.returncode == 0
    lines = [line.split()[:4] for line in done.stdout.splitlines()]
    for each in lab.status()["components"]:
        assert [each["name"], str(each["pid"]), str(each["port"]), "ok"] in lines
    assert "28 GPUs" in done.stdout


def test_a_lab_whose_node_is_gone_is_not_ready_and_up_brings_it_back(own_lab: Lab) -> None:
    assert own_lab.kubectl("delete", "node", "l40s-1").returncode == 0
    found = own_lab.status()
    assert (found["ready"], found["state"]) == (False, "not ready")
    assert found["missing"] == "no node l40s-1"
    assert own_lab.gpulab("up", seconds=60).returncode == 0
    assert own_lab.status()["ready"]


def taints(lab: Lab, node: str) -> list[str]:
    return [taint["key"] for taint in lab.get("node", node)["spec"].get("taints") or []]


def test_a_node_that_somebody_cordoned_keeps_no_lab_from_ready(lab: Lab) -> None:
    try:
        assert lab.kubectl("cordon", "l40s-1").returncode == 0
        eventually(lambda: taints(lab, "l40s-1") == [CORDON])
        assert lab.status()["ready"]
    finally:
        lab.kubectl("uncordon", "l40s-1")


def test_a_component_that_hangs_is_not_ok_and_the_answer_still_comes(spare_lab: Lab) -> None:
    pids = {each["name"]: each["pid"] for each in spare_lab.status()["components"]}
    hanging = psutil.Process(pids["kwok-controller"])
    hanging.suspend()
    try:
        found = spare_lab.status()
    finally:
        hanging.resume()
    health = {each["name"]: each["health"] for each in found["components"]}
    assert "no answer" in health.pop("kwok-controller")
    assert set(health.values()) == {"ok"}
    assert found["missing"].startswith("kwok-controller")
