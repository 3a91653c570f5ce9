"""GPUs that are cut and shared, with kubectl alone: MIG by a node's label, time-slicing, MPS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import CUDA, Lab, Object, eventually, make_lab, make_namespace

ABOUT = (
    "cluster-setup/gpulab/sim/mig.py",
    "cluster-setup/gpulab/sim/plugin.py",
    "cluster-setup/gpulab/sim/sharing.py",
    "cluster-setup/gpulab/sim/devices.py",
    "cluster-setup/gpulab/sim/operator/mig",
)
pytestmark = pytest.mark.sample(*ABOUT)

FLEET = """
title: one node that can be cut, one that cannot
nodes:
- {name: h100, cpu: 64, memory_gib: 512, gpu: h100-80gb-sxm, gpus: 2}
- {name: l40s, cpu: 64, memory_gib: 512, gpu: l40s-48gb, gpus: 2}
"""
CONFIGS = {
    "sliced": "sharing: {timeSlicing: {failRequestsGreaterThanOne: true,"
    " resources: [{name: nvidia.com/gpu, replicas: 4}]}}",
    "renamed": "sharing: {timeSlicing: {renameByDefault: true,"
    " resources: [{name: nvidia.com/gpu, replicas: 3}]}}",
    "mps": "sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 5}]}}",
    "broken": "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 1}]}}",
}
OPERATOR = ("-n", "gpu-operator")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of two nodes, 20 times as fast; tests leave it whole."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "fleet.yaml").write_text(FLEET)
    yield from make_lab(folder, "small", "--speed", "20", "--fleet", str(folder / "fleet.yaml"))


@pytest.fixture
def where(small: Lab) -> Iterator[str]:
    yield from make_namespace(small)


def offered(lab: Lab, node: str) -> dict[str, int]:
    """Allocatable devices, without those of which there are none."""
    found = lab.get("node", node)["status"]["allocatable"]
    mine = {key.partition("/")[2]: int(found[key]) for key in found if "nvidia.com/" in key}
    return {key: count for key, count in mine.items() if count}


def label(lab: Lab, node: str, key: str) -> str:
    return str(lab.get("node", node)["metadata"]["labels"].get(f"nvidia.com/{key}", ""))


def set_label(lab: Lab, node: str, change: str) -> None:
    done = lab.kubectl("label", "--overwrite", "node", node, f"nvidia.com/{change}")
    assert done.returncode == 0, done.stderr


def patch(lab: Lab, **spec: object) -> None:
    body = json.dumps({"spec": spec})
    done = lab.kubectl("patch", "clusterpolicy", "cluster-policy", "--type=merge", "-p", body)
    assert done.returncode == 0, done.stderr


def operand(lab: Lab, node: str, app: str) -> Object:
    where = f"--field-selector=spec.nodeName={node}"
    [found] = lab.get("pods", *OPERATOR, "-l", f"app={app}", where)["items"]
    return dict(found)


def log(lab: Lab, node: str, app: str, container: str, *options: str) -> str:
    name = operand(lab, node, app)["metadata"]["name"]
    return lab.kubectl("logs", *OPERATOR, name, "-c", container, *options).stdout


def pod(name: str, resource: str, count: int = 1, **spec: Any) -> Object:
    container = {
        "name": "c",
        "image": CUDA,
        "command": ["sh", "-c", "nvidia-smi -L; sleep 1000"],
        "resources": {"limits": {f"nvidia.com/{resource}": count}},
    }
    found = {"containers": [container], "restartPolicy": "Never", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": found}


def given(lab: Lab, where: str, name: str) -> tuple[str, str]:
    """Resource and ID of the only device that a Pod was given."""
    [one] = lab.get("pod", name, "-n", where)["status"]["containerStatuses"]
    [found] = one["allocatedResourcesStatus"]
    [device] = found["resources"]
    return found["name"], device["resourceID"]


def settled(lab: Lab, node: str, state: str, devices: dict[str, int]) -> bool:
    return (label(lab, node, "mig.config.state"), offered(lab, node)) == (state, devices)


@pytest.mark.live
def test_a_label_cuts_the_gpus_and_a_pod_runs_on_a_slice(small: Lab, where: str) -> None:
    """Also over `gpulab down` and `up`; in use, the GPUs are left as they are."""
    balanced = {"mig-1g.10gb": 4, "mig-2g.20gb": 2, "mig-3g.40gb": 2}
    patch(small, mig={"strategy": "mixed"})
    set_label(small, "h100-1", "mig.config=all-balanced")
    eventually(lambda: settled(small, "h100-1", "success", balanced), 60)
    small.make(where, pod("p", "mig-1g.10gb"))
    small.wait(where, "p", "phase=Running")
    resource, uuid = given(small, where, "p")
    assert resource == "nvidia.com/mig-1g.10gb"
    said = small.kubectl("logs", "p", "-n", where).stdout.splitlines()
    assert said[0].startswith("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-")
    assert said[1:] == [f"  MIG 1g.10gb     Device  0: (UUID: {uuid})"]
    set_label(small, "h100-1", "mig.config=all-disabled")
    eventually(lambda: settled(small, "h100-1", "failed", balanced), 60)
    words = log(small, "h100-1", "nvidia-mig-manager", "nvidia-mig-manager")
    assert "In use by another client" in words
    assert small.gpulab("down").returncode == 0
    again = small.gpulab("up", "--speed", "20", seconds=90)
    assert again.returncode == 0, again.stderr
    eventually(lambda: offered(small, "h100-1") == balanced, 30)
    assert given(small, where, "p") == (resource, uuid)
    small.make(where, pod("q", "mig-1g.10gb"))
    small.wait(where, "q", "phase=Running")
    assert given(small, where, "q")[1] != uuid
    small.kubectl("delete", "pod", "p", "q", "-n", where, "--grace-period=0", "--force")
    set_label(small, "h100-1", "mig.config=all-enabled")
    eventually(lambda: settled(small, "h100-1", "success", {}), 60)
    set_label(small, "h100-1", "mig.config=all-disabled")
    patch(small, mig={"strategy": "single"})
    eventually(lambda: settled(small, "h100-1", "success", {"gpu": 2}), 60)


@pytest.mark.live
@pytest.mark.sample
def test_with_strategy_single_a_slice_is_a_gpu_and_what_is_mixed_is_invalid(small: Lab) -> None:
    set_label(small, "h100-1", "mig.config=all-1g.10gb")
    eventually(lambda: settled(small, "h100-1", "success", {"gpu": 14}), 60)
    product = "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"
    eventually(lambda: label(small, "h100-1", "gpu.product") == product, 30)
    assert label(small, "h100-1", "gpu.count") == "14"
    set_label(small, "h100-1", "mig.config=all-balanced")
    eventually(lambda: label(small, "h100-1", "gpu.product").endswith("-MIG-INVALID"), 60)
    plugin = "nvidia-device-plugin"
    eventually(
        lambda: (
            "more than one MIG device type" in log(small, "h100-1", f"{plugin}-daemonset", plugin)
        ),
        30,
    )
    assert offered(small, "h100-1") == {}
    assert offered(small, "l40s-1") == {"gpu": 2}, "one node's trouble stays on that node"
    set_label(small, "h100-1", "mig.config=all-disabled")
    eventually(lambda: settled(small, "h100-1", "success", {"gpu": 2}), 60)


@pytest.mark.live
def test_a_configuration_that_does_not_exist_fails_and_changes_nothing(small: Lab) -> None:
    set_label(small, "h100-1", "mig.config=all-1g.999gb")
    eventually(lambda: settled(small, "h100-1", "failed", {"gpu": 2}), 30)
    words = log(small, "h100-1", "nvidia-mig-manager", "nvidia-mig-manager")
    assert "selected mig-config not present: all-1g.999gb" in words
    set_label(small, "h100-1", "mig.config=all-disabled")
    eventually(lambda: settled(small, "h100-1", "success", {"gpu": 2}), 30)


@pytest.fixture
def shared(small: Lab) -> Iterator[Lab]:
    """With a ConfigMap for the device plugin that no node uses yet."""
    config = {"kind": "ConfigMap", "apiVersion": "v1", "data": CONFIGS}
    small.make("gpu-operator", {**config, "metadata": {"name": "plugin"}})
    patch(small, devicePlugin={"config": {"name": "plugin", "default": ""}})
    eventually(lambda: has_manager(small, "h100-1") and has_manager(small, "l40s-1"), 60)
    yield small
    for node in ("h100-1", "l40s-1"):
        set_label(small, node, "device-plugin.config-")
    patch(small, devicePlugin={"config": None})
    eventually(lambda: offered(small, "l40s-1") == offered(small, "h100-1") == {"gpu": 2}, 90)
    small.kubectl("delete", "configmap", "plugin", *OPERATOR)


def has_manager(lab: Lab, node: str) -> bool:
    """Whether the plugin's Pod is the one with a config manager, and all is offered."""
    found = lab.get("pods", *OPERATOR, f"--field-selector=spec.nodeName={node}")["items"]
    mine = [one for one in found if "device-plugin-daemonset" in one["metadata"]["name"]]
    return offered(lab, node) == {"gpu": 2} and [len(p["spec"]["containers"]) for p in mine] == [2]


@pytest.mark.live
def test_a_shared_gpu_is_offered_several_times_and_asked_for_once(shared: Lab, where: str) -> None:
    set_label(shared, "l40s-1", "device-plugin.config=sliced")
    eventually(lambda: offered(shared, "l40s-1") == {"gpu": 8}, 30)
    eventually(lambda: label(shared, "l40s-1", "gpu.product") == "NVIDIA-L40S-SHARED", 30)
    assert label(shared, "l40s-1", "gpu.replicas") == "4"
    on = {"nodeSelector": {"kubernetes.io/hostname": "l40s-1"}}
    for name, count in (("a", 1), ("b", 1), ("greedy", 2)):
        shared.make(where, pod(name, "gpu", count, **on))
    shared.wait(where, "a", "phase=Running")
    shared.wait(where, "b", "phase=Running")
    ids = {given(shared, where, name)[1] for name in "ab"}
    assert len({one.partition("::")[0] for one in ids}) == 2, "spread over the GPUs"
    assert all("::" in one for one in ids)
    logs = shared.kubectl("logs", "a", "-n", where).stdout.splitlines()
    assert len(logs) == 1
    assert logs[0].startswith("GPU 0: NVIDIA L40S (UUID: GPU-")
    found = shared.wait(where, "greedy", "phase=Failed")["status"]
    assert found["reason"] == "UnexpectedAdmissionError"
    assert "maximum request size for shared resources is 1; found 2" in found["message"]
    assert offered(shared, "h100-1") == {"gpu": 2}


@pytest.mark.live
def test_an_edited_configuration_waits_for_the_plugins_restart(shared: Lab) -> None:
    set_label(shared, "l40s-1", "device-plugin.config=sliced")
    eventually(lambda: offered(shared, "l40s-1") == {"gpu": 8}, 30)
    more = CONFIGS["sliced"].replace("4}", "6}")
    body = json.dumps({"data": {"sliced": more}})
    assert shared.kubectl("patch", "configmap", "plugin", *OPERATOR, "-p", body).returncode == 0
    set_label(shared, "h100-1", "device-plugin.config=renamed")
    eventually(lambda: offered(shared, "h100-1") == {"gpu.shared": 6}, 30)
    assert offered(shared, "l40s-1") == {"gpu": 8}, "nobody has told it"
    name = operand(shared, "l40s-1", "nvidia-device-plugin-daemonset")["metadata"]["name"]
    assert shared.kubectl("delete", "pod", name, *OPERATOR).returncode == 0
    eventually(lambda: offered(shared, "l40s-1") == {"gpu": 12}, 30)


@pytest.mark.live
@pytest.mark.sample
def test_a_broken_configuration_stops_the_plugin_of_one_node(shared: Lab) -> None:
    set_label(shared, "l40s-1", "device-plugin.config=broken")
    app, container = "nvidia-device-plugin-daemonset", "nvidia-device-plugin"
    eventually(lambda: not offered(shared, "l40s-1"), 30)
    eventually(lambda: "must be >= 2" in log(shared, "l40s-1", app, container), 30)
    assert offered(shared, "h100-1") == {"gpu": 2}
    set_label(shared, "l40s-1", "device-plugin.config=absent")
    eventually(
        lambda: (
            "specified config absent does not exist" in log(shared, "l40s-1", app, "config-manager")
        ),
        30,
    )


@pytest.mark.live
@pytest.mark.sample
def test_mps_shares_through_a_daemon_of_the_node(shared: Lab, where: str) -> None:
    set_label(shared, "l40s-1", "device-plugin.config=mps")
    eventually(lambda: offered(shared, "l40s-1") == {"gpu": 10}, 60)
    assert operand(shared, "l40s-1", "nvidia-device-plugin-mps-control-daemon")
    assert label(shared, "l40s-1", "gpu.sharing-strategy") == "mps"
    ask = pod("p", "gpu", nodeSelector={"kubernetes.io/hostname": "l40s-1"})
    ask["spec"]["containers"][0]["command"] = ["printenv", "CUDA_MPS_PIPE_DIRECTORY"]
    shared.make(where, ask)
    shared.wait(where, "p", "phase=Succeeded")
    assert shared.kubectl("logs", "p", "-n", where).stdout == "/mps/nvidia.com/gpu/pipe\n"
