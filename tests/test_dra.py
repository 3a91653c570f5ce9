"""What the DRA driver publishes, and how GPUs that claims have are counted."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.cluster.dra import claimed, summary
from gpulab.paths import DATA
from gpulab.sim import dra
from gpulab.sim.gpus import Gpu, load_driver, load_models, node_gpus
from gpulab.sim.operator import dra_stack, labels, plan
from gpulab.sim.operator.operands import FOLDER, cluster_policy
from gpulab.sim.operator.plan import Observed

MODELS = load_models(DATA / "gpus")
DRIVER = load_driver(DATA / "nvidia.toml")
NODE = {"name": "n", "uid": "u"}
CLUSTER = cluster_policy(FOLDER / "gpu-cluster.yaml")
MIG, HEALTH = dra.Gates(dynamic_mig=True), dra.Gates(health=True)


def gpus(model: str, count: int) -> tuple[Gpu, ...]:
    return node_gpus(MODELS[model], count, seed="s", node="n")


def slices(model: str, count: int, gates: dra.Gates, **sick: int) -> list[dict[str, Any]]:
    return dra.resource_slices(NODE, gpus(model, count), DRIVER, gates, sick)


def test_a_gpu_is_described_by_attributes_and_capacity() -> None:
    [found] = slices("h100-80gb-sxm", 2, dra.Gates())
    assert found["spec"]["pool"] == {"name": "n", "generation": 1, "resourceSliceCount": 1}
    first, _ = found["spec"]["devices"]
    assert first["name"] == "gpu-0"
    assert first["attributes"]["driverVersion"] == {"version": "595.91.7"}
    assert first["attributes"]["cudaComputeCapability"] == {"version": "9.0.0"}
    assert first["capacity"] == {"memory": {"value": "81559Mi"}}


@pytest.mark.parametrize("model", sorted(MODELS))
def test_parts_of_gpus_stay_within_the_limits_of_the_api(model: str) -> None:
    """resource.k8s.io/v1: 64 devices with counters, 8 sets, 32 counters, or sets or devices."""
    found = slices(model, 8, MIG)
    assert {each["spec"]["pool"]["resourceSliceCount"] for each in found} == {len(found)}
    for each in found:
        sets, devices = (each["spec"].get(key, []) for key in ("sharedCounters", "devices"))
        assert bool(sets) != bool(devices)
        assert len(sets) <= 8
        assert len(devices) <= 64
        assert all(len(one["counters"]) <= 32 for one in sets)


def test_a_part_consumes_what_the_whole_has() -> None:
    counters, devices, _ = slices("h100-80gb-sxm", 2, MIG)
    has = counters["spec"]["sharedCounters"][0]["counters"]
    by_name = {each["name"]: each for each in devices["spec"]["devices"]}
    [whole] = by_name["gpu-0"]["consumesCounters"]
    assert whole["counters"] == has
    [part] = by_name["gpu-0-mig-3g40gb-9-4"]["consumesCounters"]
    assert part["counterSet"] == "gpu-0-counter-set"
    taken = {name for name in part["counters"] if name.startswith("memory-slice-")}
    assert taken == {f"memory-slice-{n}" for n in (4, 5, 6, 7)}
    assert part["counters"].keys() <= has.keys()
    assert len(by_name) == 1 + 7 + 7 + 4 + 3 + 2 + 1 + 1
    found = dra.find(gpus("h100-80gb-sxm", 2), "gpu-0-mig-1g10gb-me-20-3")
    assert found is not None
    assert found[1] is not None
    assert (found[1].profile.name, found[1].start) == ("1g.10gb+me", 3)


@pytest.mark.parametrize(("xid", "key"), [(94, "xid"), (79, "gpu-lost")])
def test_a_sick_gpu_has_a_taint_where_health_is_watched(xid: int, key: str) -> None:
    first, second = gpus("h100-80gb-sxm", 2)
    [found] = slices("h100-80gb-sxm", 2, HEALTH, **{second.uuid: xid})
    sound, ill = found["spec"]["devices"]
    assert "taints" not in sound
    assert [each["key"] for each in ill["taints"]] == [f"gpu.nvidia.com/{key}"]
    [calm] = slices("h100-80gb-sxm", 2, dra.Gates(), **{first.uuid: xid})
    assert not any("taints" in each for each in calm["spec"]["devices"])


def test_claims_are_counted_by_gpu() -> None:
    results = [
        {"request": "r", "driver": "gpu.nvidia.com", "pool": "n", "device": name}
        for name in ("gpu-1-mig-1g10gb-19-0", "gpu-1-mig-1g10gb-19-1")
    ]
    claim = {
        "metadata": {"namespace": "a", "name": "c"},
        "status": {
            "reservedFor": [{"resource": "pods", "name": "p"}],
            "allocation": {"devices": {"results": results}},
        },
    }
    found = claimed(slices("h100-80gb-sxm", 2, MIG), [claim])["n"]
    assert (found.free, found.allocatable, found.kind) == (1, 2, "NVIDIA-H100-80GB-HBM3 claims")
    [held] = found.holdings
    assert (held.namespace, held.pod, held.gpus) == ("a", "p", 1)
    assert held.devices[0].uuid == gpus("h100-80gb-sxm", 2)[1].uuid
    assert summary([found]) == "n: 1 of 2 GPUs free (held: 1 a/p)"


def seen(**more: Any) -> Observed:
    node = {labels.NFD[0]: "true"}
    return Observed({"n": node}, clusters={"gpu-cluster": owned(CLUSTER)}, **more)


def owned(item: dict[str, Any]) -> dict[str, Any]:
    stamp = {"uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return item | {"metadata": item["metadata"] | stamp}


def test_a_gpu_cluster_wants_the_dra_driver_and_no_device_plugin() -> None:
    made = plan.make(seen(), (), True)
    kinds = sorted((item["kind"], item["metadata"]["name"]) for _, item in made.create)
    assert kinds == [
        ("DaemonSet", "nvidia-dra-driver-kubelet-plugin"),
        ("DeviceClass", "gpu.nvidia.com"),
        ("DeviceClass", "mig.nvidia.com"),
        ("ServiceAccount", "nvidia-dra-driver-kubeletplugin"),
    ]
    assert made.labels["n"]["nvidia.com/gpu.deploy.dra-driver"] == "true"
    before = {labels.NFD[0]: "true", "nvidia.com/gpu.deploy.device-plugin": "true"}
    assert dra_stack.label_change(before)["nvidia.com/gpu.deploy.device-plugin"] is None


def test_feature_gates_become_a_variable() -> None:
    spec = CLUSTER["spec"] | {
        "draDriver": CLUSTER["spec"]["draDriver"]
        | {"featureGates": {"DynamicMIG": True, "A": False}}
    }
    env = dra_stack.prepared(CLUSTER | {"spec": spec})["spec"]["draDriver"]["env"]
    assert env == [{"name": "FEATURE_GATES", "value": "A=false,DynamicMIG=true"}]
    assert dra.Gates.of(env[0]["value"]) == MIG


def test_a_gpu_cluster_beside_a_cluster_policy_waits() -> None:
    both = seen(policies={"cluster-policy": owned(cluster_policy())})
    made = plan.make(both, (), True)
    [status] = plan.cluster_statuses(both, made, "gpu-operator", "now").values()
    assert status["state"] == "notReady"
    said = {each["reason"]: each["message"] for each in status["conditions"]}
    assert "may not exist at the same time" in said["PrerequisiteNotMet"]
