"""What goes wrong on purpose: seen through kubectl as on a real cluster, and gone when healed."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpulab import faults, tampering
from gpulab.faults import Fault
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.sim.causes import Cause, Injected
from tests import faulty
from tests.conftest import CUDA, Lab, Object, devices, eventually, make_lab, pod, said
from tests.faulty import GPU, NODE

ABOUT = (
    "cluster-setup/faults/",
    "cluster-setup/gpulab/faults.py",
    "cluster-setup/gpulab/tampering.py",
    "cluster-setup/gpulab/sim/causes.py",
)
pytestmark = pytest.mark.sample(*ABOUT)


def test_every_fault_file_loads_and_says_where_it_comes_from() -> None:
    assert all(fault.sources and fault.title for fault in faults.load().values())


@pytest.mark.parametrize("effect", ["status", "event", "log", "allocatable", "conditions"])
def test_a_fault_file_cannot_write_an_effect(effect: str, tmp_path: Path) -> None:
    text = (faults.FOLDER / "node-silent.yaml").read_text()
    for wrong in (f"{text}  {effect}: x\n", f"{text}{effect}: x\n"):
        with pytest.raises(msgspec.ValidationError, match=effect):
            msgspec.yaml.decode(wrong, type=Fault)


def test_a_cause_names_things_and_no_effects() -> None:
    of_node = {"kubelet", "gpu", "driver", "lost_image", "daemon_reload", "defect"}
    of_somebody = {"label", "taint", "delete_operand", "scale", "delete_runtime_class", "apply"}
    assert set(Cause.__struct_fields__) == of_node | of_somebody


@pytest.mark.parametrize(
    "thing",
    [
        {"apiVersion": "v1", "kind": "Event"},
        {"apiVersion": "v1", "kind": "Pod"},
        {"apiVersion": "v1", "kind": "Node", "status": {"allocatable": {}}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 0}},
    ],
)
def test_what_a_fault_applies_is_no_effect_either(thing: Object) -> None:
    with pytest.raises(msgspec.ValidationError, match="there may be"):
        msgspec.convert({"apply": [thing]}, Cause)


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


def test_every_fault_is_met() -> None:
    assert faults.load().keys() == faulty.MET.keys() | faulty.LATE


@pytest.mark.live
@pytest.mark.sample
@pytest.mark.parametrize("fault", faulty.MET)
def test_a_fault_is_seen_explained_and_healed(fast: Lab, fault: str) -> None:
    met = faulty.MET[fault]
    try:
        faulty.begin(fast, fault)
        assert not met.before or not met.seen(fast)

        faulty.inject(fast, fault)
        eventually(lambda: met.seen(fast))
        eventually(lambda: met.words in fast.gpulab("why", met.asked).stdout)

        faulty.heal(fast, fault)
        eventually(lambda: met.healed(fast))
    finally:
        if faults.active(LabPaths("fast", fast.root)):
            fast.gpulab("heal")
        faulty.finish(fast)
    assert "team" not in taints(fast)


@pytest.mark.live
def test_one_node_s_fault_is_not_another_s(fast: Lab) -> None:
    assert fast.gpulab("break", "operands-repelled", "--node", NODE).returncode == 0
    eventually(lambda: gpus(fast) == ("8", "0"))
    assert f"fault at work: operands-repelled on {NODE}" in fast.gpulab("status").stdout
    assert fast.get("node", "h100-1")["status"]["allocatable"][GPU] == "8"
    assert fast.gpulab("heal").returncode == 0
    eventually(lambda: gpus(fast) == ("8", "8"), 60)


@pytest.mark.live
def test_a_pod_that_is_made_anew_has_its_gpus_again(fast: Lab) -> None:
    """As on a real node: what systemd took from a container stays taken, a new one gets it."""
    faulty.begin(fast, "nvml-unknown-error")
    assert fast.gpulab("break", "nvml-unknown-error", "--node", NODE).returncode == 0
    eventually(lambda: faulty.smi(faulty.UNKNOWN)(fast))
    fast.kubectl("delete", "pod", "p", "--force", "--grace-period=0")
    faulty.begin(fast, "nvml-unknown-error")
    assert faulty.smi("NVIDIA-SMI")(fast)
    assert fast.gpulab("heal").returncode == 0
    faulty.finish(fast)


@pytest.mark.live
def test_a_followed_log_tells_of_an_xid_that_comes_later(fast: Lab) -> None:
    name = operand(fast, "nvidia-device-plugin-daemonset")
    words = ["logs", "-f", "-n", "gpu-operator", name, "-c", "nvidia-device-plugin"]
    with subprocess.Popen(
        [*fast.kubectl_command, *words], stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        try:
            assert "Starting" in follower.stdout.readline()
            assert fast.gpulab("break", "gpu-ecc-error", "--node", NODE).returncode == 0
            lines = iter(follower.stdout.readline, "")
            assert next(line for line in lines if "XidCriticalError: Xid=48" in line)
        finally:
            follower.kill()
    assert fast.gpulab("heal").returncode == 0
    faulty.finish(fast)


@pytest.mark.live
def test_what_was_begun_by_a_command_that_was_killed_is_healed(fast: Lab) -> None:
    """It was on record before anything was written."""
    paths = LabPaths("fast", fast.root)
    for name, written in (("operands-repelled", False), ("deploy-label-stale", True)):
        cause = faults.find(name).cause
        fault = tampering.prepare(paths, Injected(name, NODE, cause, dt.datetime.now(dt.UTC)))
        write_private(paths.causes, msgspec.json.encode([fault]))
        if written:
            tampering.apply(paths, fault)
        assert fast.gpulab("heal").stderr.startswith(f"{name} on {NODE} has ended")
        faulty.finish(fast)
        assert "team" not in taints(fast)


@pytest.mark.live
def test_a_fault_is_undone_by_what_it_did_alone(fast: Lab) -> None:
    """A taint of the same key and a label that was mended meanwhile are somebody else's."""
    label = "nvidia.com/gpu.deploy.device-plugin"
    fast.kubectl("taint", "node", NODE, "team=other:PreferNoSchedule")
    for name in ("operands-repelled", "deploy-label-stale"):
        assert fast.gpulab("break", name, "--node", NODE).returncode == 0
    fast.kubectl("label", "node", NODE, f"{label}=mended", "--overwrite")

    assert fast.gpulab("heal").returncode == 0

    node = fast.get("node", NODE)
    left = [(t["key"], t["value"]) for t in node["spec"]["taints"]]
    assert left == [("team", "other")]
    assert node["metadata"]["labels"][label] == "mended"
    fast.kubectl("label", "node", NODE, f"{label}=true", "--overwrite")
    fast.kubectl("taint", "node", NODE, "team-")
    faulty.finish(fast)


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
        (
            ["break", "out-of-memory", "--node", NODE],
            "out-of-memory is about the whole cluster, not about one node",
        ),
    ],
)
def test_what_cannot_be_broken_or_healed_is_said(lab: Lab, words: list[str], what: str) -> None:
    done = lab.gpulab(*words)
    assert done.returncode == 2
    assert said(done)[0] == what
