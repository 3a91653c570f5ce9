"""What goes wrong on purpose: seen through kubectl as on a real cluster, and gone when healed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpulab import faults
from gpulab.faults import Fault
from gpulab.sim.causes import Cause
from tests.conftest import CUDA, Lab, Object, devices, eventually, make_lab, pod, said

NODE, GPU, HOST = "h100-2", "nvidia.com/gpu", "kubernetes.io/hostname"


def test_every_fault_file_loads_and_says_where_it_comes_from() -> None:
    assert all(fault.sources and fault.title for fault in faults.load().values())


@pytest.mark.parametrize("effect", ["status", "event", "log", "allocatable", "conditions"])
def test_a_fault_file_cannot_write_an_effect(effect: str, tmp_path: Path) -> None:
    text = (faults.FOLDER / "node-silent.yaml").read_text()
    for wrong in (f"{text}  {effect}: x\n", f"{text}{effect}: x\n"):
        with pytest.raises(msgspec.ValidationError, match=effect):
            msgspec.yaml.decode(wrong, type=Fault)


def test_a_cause_names_things_and_no_effects() -> None:
    assert set(Cause.__struct_fields__) == {"kubelet", "gpu", "defect", "label", "taint"}


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


def gpus(lab: Lab) -> tuple[str, str]:
    status = lab.get("node", NODE)["status"]
    return status["capacity"][GPU], status["allocatable"][GPU]


def plugin_log(lab: Lab) -> str:
    name = operand(lab, "nvidia-device-plugin-daemonset")
    return lab.kubectl("logs", "-n", "gpu-operator", name, "-c", "nvidia-device-plugin").stdout


@pytest.mark.live
def test_a_gpu_off_the_bus_is_no_longer_offered_and_its_pod_keeps_it(
    whole: Lab, namespace: str
) -> None:
    lab = whole
    lab.make(namespace, pod("p", "sleep", "3600", image=CUDA, gpus=8, nodeName=NODE))
    lab.wait(namespace, "p", "phase=Running")

    assert lab.gpulab("break", "gpu-fallen-off-bus", "--node", NODE).returncode == 0

    eventually(lambda: gpus(lab) == ("8", "7"))
    eventually(lambda: "Unhealthy" in health(lab, namespace))
    given = zip(devices(at(lab, namespace)), health(lab, namespace), strict=True)
    (uuid,) = (uuid for uuid, word in given if word == "Unhealthy")
    line = f"XidCriticalError: Xid=79 on Device={uuid}; marking device as unhealthy.\n"
    eventually(lambda: line in plugin_log(lab))
    assert at(lab, namespace)["status"]["phase"] == "Running"
    looked = lab.kubectl("exec", "-n", namespace, "p", "--", "nvidia-smi")
    assert looked.returncode != 0
    assert "Unknown Error" in looked.stdout + looked.stderr
    assert "unhealthy: 1" in lab.gpulab("map").stdout

    lab.kubectl("delete", "pod", "-n", namespace, "p", "--wait=true")
    lab.make(namespace, pod("again", "sleep", "3600", image=CUDA, gpus=8, nodeName=NODE))
    refused = lab.wait(namespace, "again", "phase=Failed")["status"]
    assert refused["reason"] == "UnexpectedAdmissionError"
    lab.make(namespace, pod("less", "nvidia-smi", "-L", image=CUDA, gpus=7, nodeName=NODE))
    lab.wait(namespace, "less", "phase=Succeeded")
    assert uuid not in lab.kubectl("logs", "-n", namespace, "less").stdout

    assert lab.gpulab("heal").returncode == 0
    eventually(lambda: gpus(lab) == ("8", "8"))
    assert line in plugin_log(lab), "a log does not forget"


def health(lab: Lab, namespace: str) -> list[str]:
    status = at(lab, namespace)["status"]["containerStatuses"][0]
    (entry,) = status["allocatedResourcesStatus"]
    return [resource["health"] for resource in entry["resources"]]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """At speed 20, the proofs' own: a driver takes two seconds."""
    yield from make_lab(tmp_path_factory.mktemp("fast"), "fast", "--speed", "20")


OPERANDS = {
    "driver-crash-loop": ("nvidia-driver-daemonset", "nvidia-driver-daemonset-"),
    "deploy-label-stale": ("nvidia-driver-daemonset", "paused-for-driver-upgrade"),
    "operands-repelled": (None, "team"),
}


@pytest.mark.live
@pytest.mark.parametrize("fault", OPERANDS)
def test_a_broken_link_of_the_chain_takes_the_gpus_of_its_node_alone(fast: Lab, fault: str) -> None:
    lab, (stays, word) = fast, OPERANDS[fault]
    assert lab.gpulab("break", fault, "--node", NODE).returncode == 0

    eventually(lambda: gpus(lab) == ("8", "0"))
    eventually(lambda: bool(stays and operand(lab, stays)) == bool(stays))
    assert lab.get("node", "h100-1")["status"]["allocatable"][GPU] == "8"
    lab.make("default", pod("waits", "true", image=CUDA, gpus=1, nodeSelector={HOST: NODE}))
    eventually(lambda: word in lab.gpulab("why", "waits").stdout)

    lab.kubectl("delete", "pod", "waits", "--force", "--grace-period=0")
    assert lab.gpulab("heal", fault).returncode == 0
    eventually(lambda: gpus(lab) == ("8", "8"), 60)
    assert "team" not in taints(lab)


@pytest.mark.live
def test_a_driver_that_does_not_install_says_why(fast: Lab) -> None:
    assert fast.gpulab("break", "driver-crash-loop", "--node", NODE).returncode == 0
    eventually(lambda: operand(fast, "nvidia-driver-daemonset"))
    name = operand(fast, "nvidia-driver-daemonset")
    words = ("logs", "-n", "gpu-operator", name, "-c", "nvidia-driver-ctr")
    eventually(lambda: "Could not resolve Linux kernel version" in fast.kubectl(*words).stdout)
    assert fast.gpulab("heal").returncode == 0
    eventually(lambda: gpus(fast) == ("8", "8"), 60)


@pytest.mark.live
def test_without_the_toolkit_no_runtime_is_called_nvidia(fast: Lab) -> None:
    assert fast.gpulab("break", "toolkit-missing", "--node", NODE).returncode == 0
    eventually(lambda: not operand(fast, "nvidia-container-toolkit-daemonset"))
    given = pod("asks", "true", image=CUDA, gpus=1, nodeName=NODE, runtimeClassName="nvidia")
    fast.make("default", given)
    words = 'no runtime for "nvidia" is configured'
    eventually(lambda: any(words in e["message"] for e in fast.events("default", "asks")))
    assert fast.gpulab("heal").returncode == 0
    fast.wait("default", "asks", "phase=Succeeded", 60)


@pytest.mark.live
def test_a_lab_that_is_reset_is_healed(fast: Lab) -> None:
    assert fast.gpulab("break", "deploy-label-stale", "--node", NODE).returncode == 0
    assert fast.gpulab("break", "gpu-ecc-error", "--node", NODE).returncode == 0
    eventually(lambda: gpus(fast) == ("8", "0"))
    done = fast.gpulab("reset", "--lab", "--yes")
    assert done.returncode == 0, done.stderr
    eventually(lambda: gpus(fast) == ("8", "8"), 60)
    assert fast.gpulab("heal").stderr.startswith("No fault")


def operand(lab: Lab, app: str) -> str:
    """The name of its Pod on the node; empty without one."""
    field = f"--field-selector=spec.nodeName={NODE}"
    found = lab.get("pods", "-n", "gpu-operator", "-l", f"app={app}", field)["items"]
    return str(found[0]["metadata"]["name"]) if found else ""


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
