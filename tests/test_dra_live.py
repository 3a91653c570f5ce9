"""GPUs by ResourceClaims, with kubectl alone: allocated by the real scheduler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gpulab.paths import DATA
from tests.conftest import CUDA, Lab, Object, eventually, make_lab, make_namespace

ABOUT = (
    "cluster-setup/gpulab/sim/dra",
    "cluster-setup/gpulab/sim/claims",
    "cluster-setup/gpulab/sim/devices.py",
)
pytestmark = pytest.mark.sample(*ABOUT)

FLEET = """
title: two nodes whose GPUs are claimed
stack: dra
nodes:
- {name: h100, cpu: 64, memory_gib: 512, gpu: h100-80gb-sxm, gpus: 2}
- {name: l40s, cpu: 64, memory_gib: 512, gpu: l40s-48gb, gpus: 2}
"""
HOPPER = "device.attributes['gpu.nvidia.com'].architecture == 'Hopper'"
POLICY = DATA / "operator" / "cluster-policy.yaml"
CLUSTER = DATA / "operator" / "gpu-cluster.yaml"


@pytest.fixture(scope="module")
def claiming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab in DRA mode, 20 times as fast; tests leave it so."""
    folder = tmp_path_factory.mktemp("claiming")
    (folder / "fleet.yaml").write_text(FLEET)
    fleet = str(folder / "fleet.yaml")
    yield from make_lab(folder, "claiming", "--speed", "20", "--fleet", fleet)


@pytest.fixture
def where(claiming: Lab) -> Iterator[str]:
    yield from make_namespace(claiming)


def request(device_class: str, cel: str, count: int = 1) -> Object:
    one = {
        "deviceClassName": device_class,
        "count": count,
        "selectors": [{"cel": {"expression": cel}}],
    }
    return {"devices": {"requests": [{"name": "gpu", "exactly": one}]}}


def template(name: str, spec: Object) -> Object:
    meta = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate"}
    return {**meta, "metadata": {"name": name}, "spec": {"spec": spec}}


def pod(name: str, claim: Object, **resources: Any) -> Object:
    container = {
        "name": "c",
        "image": CUDA,
        "command": ["sh", "-c", "nvidia-smi -L; sleep 1000"],
        "resources": resources or {"claims": [{"name": "g"}]},
    }
    spec: Object = {"containers": [container], "restartPolicy": "Never"}
    if claim:
        spec["resourceClaims"] = [{"name": "g", **claim}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def said(lab: Lab, where: str, name: str) -> list[str]:
    lab.wait(where, name, "phase=Running")
    eventually(lambda: lab.kubectl("logs", name, "-n", where).stdout, 10)
    return lab.kubectl("logs", name, "-n", where).stdout.splitlines()


def gates(lab: Lab, **on: bool) -> None:
    body = json.dumps({"spec": {"draDriver": {"featureGates": on or None}}})
    done = lab.kubectl("patch", "gpucluster", "gpu-cluster", "--type=merge", "-p", body)
    assert done.returncode == 0, done.stderr


def devices(lab: Lab, node: str) -> list[Object]:
    """Of a pool that is complete."""
    found = [each["spec"] for each in lab.get("resourceslices")["items"]]
    mine = [each for each in found if each["nodeName"] == node]
    newest = max((each["pool"]["generation"] for each in mine), default=0)
    mine = [each for each in mine if each["pool"]["generation"] == newest]
    if not mine or mine[0]["pool"]["resourceSliceCount"] != len(mine):
        return []
    return [device for each in mine for device in each.get("devices") or []]


@pytest.mark.live
def test_a_pod_gets_the_gpu_that_its_claim_describes(claiming: Lab, where: str) -> None:
    claiming.make(where, template("hopper", request("gpu.nvidia.com", HOPPER)))
    claiming.make(where, pod("p", {"resourceClaimTemplateName": "hopper"}))
    [line] = said(claiming, where, "p")
    assert line.startswith("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-")
    [one] = claiming.get("pod", "p", "-n", where)["status"]["containerStatuses"]
    [given] = one["allocatedResourcesStatus"]
    assert given["name"] == "claim:g"
    assert given["resources"][0]["resourceID"] in line
    claiming.make(where, pod("two", {}, limits={"nvidia.com/gpu": 2}))
    assert [each[:13] for each in said(claiming, where, "two")] == [
        "GPU 0: NVIDIA",
        "GPU 1: NVIDIA",
    ]
    drawn = claiming.gpulab("map").stdout
    assert f"{where}/p" in drawn
    assert f"{where}/two" in drawn
    claiming.make(where, template("all", request("gpu.nvidia.com", HOPPER, 2)))
    claiming.make(where, pod("late", {"resourceClaimTemplateName": "all"}))
    eventually(
        lambda: (
            "cannot allocate all claims"
            in str(claiming.get("pod", "late", "-n", where)["status"].get("conditions"))
        ),
        20,
    )
    why = claiming.gpulab("why", "late", "-n", where).stdout
    assert "h100-1: 1 of 2 GPUs free" in " ".join(why.split())
    claiming.kubectl("delete", "pod", "p", "-n", where, "--grace-period=0", "--force")
    claiming.wait(where, "late", "phase=Running")


@pytest.mark.live
def test_a_pod_waits_until_its_claim_is_prepared(claiming: Lab, where: str) -> None:
    meta = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim"}
    spec = request("gpu.nvidia.com", HOPPER)
    claiming.make(where, {**meta, "metadata": {"name": "shared"}, "spec": spec})
    claiming.make(where, pod("first", {"resourceClaimName": "shared"}))
    [mine] = said(claiming, where, "first")
    driver = "nvidia.com/gpu.deploy.dra-driver"
    claiming.kubectl("label", "node", "h100-1", f"{driver}=false", "--overwrite")
    eventually(lambda: not devices(claiming, "h100-1"), 30)
    claiming.make(where, pod("second", {"resourceClaimName": "shared"}))
    words = "prepare dynamic resources: DRA driver gpu.nvidia.com is not registered"
    eventually(lambda: words in claiming.kubectl("get", "events", "-n", where).stdout, 20)
    found = claiming.get("pod", "second", "-n", where)["status"]["containerStatuses"][0]
    assert found["state"]["waiting"]["reason"] == "ContainerCreating"
    claiming.kubectl("label", "node", "h100-1", f"{driver}=true", "--overwrite")
    assert said(claiming, where, "second") == [mine]


@pytest.mark.live
def test_a_part_of_a_gpu_is_made_for_the_claim_that_asks_for_it(claiming: Lab, where: str) -> None:
    gates(claiming, DynamicMIG=True)
    eventually(lambda: len(devices(claiming, "h100-1")) == 2 * 26, 30)
    cel = "device.attributes['gpu.nvidia.com'].profile == '3g.40gb'"
    claiming.make(where, template("part", request("mig.nvidia.com", cel, 3)))
    claiming.make(where, pod("parts", {"resourceClaimTemplateName": "part"}))
    lines = said(claiming, where, "parts")
    assert sum("MIG 3g.40gb     Device" in each for each in lines) == 3
    assert sum(each.startswith("GPU ") for each in lines) == 2
    claiming.make(where, template("whole", request("gpu.nvidia.com", HOPPER)))
    claiming.make(where, pod("whole", {"resourceClaimTemplateName": "whole"}))
    eventually(
        lambda: (
            "cannot allocate all claims"
            in str(claiming.get("pod", "whole", "-n", where)["status"].get("conditions"))
        ),
        20,
    )
    claiming.kubectl("delete", "pod", "parts", "-n", where, "--grace-period=0", "--force")
    assert len(said(claiming, where, "whole")) == 1
    claiming.kubectl("delete", "pod", "whole", "-n", where, "--grace-period=0", "--force")
    gates(claiming, DynamicMIG=False)
    eventually(lambda: len(devices(claiming, "h100-1")) == 2, 30)


@pytest.mark.live
def test_a_sick_gpu_is_tainted_and_not_given(claiming: Lab, where: str) -> None:
    gates(claiming, DynamicMIG=False, NVMLDeviceHealthCheck=True)
    broken = claiming.gpulab("break", "gpu-ecc-error", "--node", "h100-1")
    assert broken.returncode == 0, broken.stderr
    eventually(lambda: any("taints" in each for each in devices(claiming, "h100-1")), 30)
    claiming.make(where, template("both", request("gpu.nvidia.com", HOPPER, 2)))
    claiming.make(where, pod("p", {"resourceClaimTemplateName": "both"}))
    eventually(
        lambda: (
            "cannot allocate all claims"
            in str(claiming.get("pod", "p", "-n", where)["status"].get("conditions"))
        ),
        20,
    )
    assert claiming.gpulab("heal").returncode == 0
    claiming.wait(where, "p", "phase=Running")
    gates(claiming, DynamicMIG=False, NVMLDeviceHealthCheck=False)


def worlds(lab: Lab) -> tuple[set[str], set[str]]:
    """Nodes whose GPUs can be claimed, and nodes that offer them as a resource."""
    found = lab.get("nodes,resourceslices")["items"]
    claims = {each["spec"]["nodeName"] for each in found if each["kind"] == "ResourceSlice"}
    nodes = [each for each in found if each["kind"] == "Node"]
    plugin = {
        each["metadata"]["name"]
        for each in nodes
        if int(each["status"]["allocatable"].get("nvidia.com/gpu", 0))
    }
    return claims, plugin


@pytest.mark.live
def test_no_gpu_is_ever_in_both_worlds(claiming: Lab, where: str) -> None:
    """From claims to the device plugin and back; a GPU that a Pod still has is given to none."""
    every = {"h100-1", "l40s-1"}

    def reached(wanted: tuple[set[str], set[str]]) -> bool:
        claims, plugin = worlds(claiming)
        assert not claims & plugin
        return (claims, plugin) == wanted

    claiming.make(where, template("hopper", request("gpu.nvidia.com", HOPPER)))
    claiming.make(where, pod("claimer", {"resourceClaimTemplateName": "hopper"}))
    [line] = said(claiming, where, "claimer")
    assert claiming.kubectl("delete", "gpucluster", "gpu-cluster").returncode == 0
    eventually(lambda: reached((set(), set())), 60)
    assert claiming.kubectl("apply", "-f", str(POLICY)).returncode == 0
    eventually(lambda: reached((set(), every)), 90)
    on = {"nodeSelector": {"kubernetes.io/hostname": "h100-1"}}
    for name in ("one", "two"):
        ask = pod(name, {}, limits={"nvidia.com/gpu": 1})
        claiming.make(where, ask | {"spec": ask["spec"] | on})
    phases = {"Running", "Failed"}
    eventually(
        lambda: (
            {
                claiming.get("pod", name, "-n", where)["status"].get("phase")
                for name in ("one", "two")
            }
            == phases
        ),
        30,
    )
    logs = [claiming.kubectl("logs", name, "-n", where).stdout for name in ("one", "two")]
    assert line not in "".join(logs)
    claiming.kubectl("delete", "pods", "--all", "-n", where, "--grace-period=0", "--force")
    assert claiming.kubectl("delete", "clusterpolicy", "cluster-policy").returncode == 0
    eventually(lambda: reached((set(), set())), 60)
    assert claiming.kubectl("apply", "-f", str(CLUSTER)).returncode == 0
    eventually(lambda: reached((every, set())), 60)
