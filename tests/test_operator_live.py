"""The operator's story with kubectl alone: what it sets up, what breaks it, what mends it."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gpulab.paths import DATA
from gpulab.sim.gpus import load_models
from gpulab.sim.nodes import make_nodes
from tests.conftest import CUDA, Lab, Object, eventually, make_lab, make_namespace

GPU, DEPLOY = "nvidia.com/gpu", "nvidia.com/gpu.deploy"
NODES = {"h100-1": 8, "h100-2": 8, "a100-1": 8, "l40s-1": 4}
POLICY = DATA / "operator" / "cluster-policy.yaml"
SECOND = "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: second}\nspec: " + (
    "{operator: {}, daemonsets: {}, driver: {}, toolkit: {}, devicePlugin: {}, dcgm: {},"
    " dcgmExporter: {}, gfd: {}, nodeStatusExporter: {}}"
)
DRIVER, PLUGIN = "nvidia-driver-daemonset", "nvidia-device-plugin-daemonset"
ORDER = (DRIVER, "nvidia-container-toolkit-daemonset", PLUGIN)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab in which a driver is installed within seconds; tests leave it whole."""
    yield from make_lab(tmp_path_factory.mktemp("fast"), "fast", "--speed", "20")


@pytest.fixture
def where(fast: Lab) -> Iterator[str]:
    yield from make_namespace(fast)


def offered(lab: Lab, which: str = "allocatable") -> dict[str, int]:
    nodes = lab.get("nodes")["items"]
    return {
        each["metadata"]["name"]: int(each["status"][which].get(GPU, 0))
        for each in nodes
        if each["metadata"]["name"] in NODES
    }


def labels(lab: Lab, node: str) -> dict[str, str]:
    found: dict[str, str] = lab.get("node", node)["metadata"]["labels"]
    return found


def state(lab: Lab, name: str = "cluster-policy") -> tuple[str, str]:
    """State, and the message of the condition that holds."""
    found = lab.get("clusterpolicy", name).get("status") or {}
    said = [each["message"] for each in found.get("conditions", []) if each["status"] == "True"]
    return found.get("state", ""), "".join(said)


def operands(lab: Lab, node: str) -> dict[str, Object]:
    found = lab.get("pods", "-n", "gpu-operator", f"--field-selector=spec.nodeName={node}")
    return {each["metadata"]["labels"]["app"]: each for each in found["items"]}


def label(lab: Lab, node: str, *changes: str) -> None:
    done = lab.kubectl("label", "--overwrite", "node", node, *changes)
    assert done.returncode == 0, done.stderr


def whole(lab: Lab) -> bool:
    return offered(lab) == NODES and state(lab)[0] == "ready"


def gpu_pod(name: str, **spec: object) -> Object:
    container = {
        "name": "c",
        "image": CUDA,
        "command": ["nvidia-smi", "-L"],
        "resources": {"limits": {GPU: 1}},
    }
    found = {"containers": [container], "restartPolicy": "Never", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": found}


def started(pod: Object) -> dt.datetime:
    [one] = pod["status"]["containerStatuses"]
    return dt.datetime.fromisoformat(one["state"]["running"]["startedAt"])


@pytest.mark.live
def test_up_leaves_a_cluster_whose_operator_has_done_its_work(lab: Lab) -> None:
    assert offered(lab) == offered(lab, "capacity") == NODES
    assert state(lab)[0] == "ready"
    for node in NODES:
        found = operands(lab, node)
        assert all(each["status"]["phase"] == "Running" for each in found.values())
        assert ("nvidia-mig-manager" in found) == (node != "l40s-1")
    assert labels(lab, "h100-1")["nvidia.com/mig.config"] == "all-disabled"
    assert not [key for key in labels(lab, "cpu-1") if key.startswith("nvidia.com/")]


@pytest.mark.live
def test_the_drivers_container_sees_every_gpu_of_its_node(lab: Lab) -> None:
    pod = operands(lab, "l40s-1")[DRIVER]["metadata"]["name"]
    said = lab.kubectl("exec", "-n", "gpu-operator", pod, "--", "nvidia-smi", "-L").stdout
    assert said.count("NVIDIA L40S (UUID: GPU-") == NODES["l40s-1"]
    toolkit = operands(lab, "l40s-1")[ORDER[1]]["metadata"]["name"]
    assert lab.kubectl("exec", "-n", "gpu-operator", toolkit, "--", "nvidia-smi").returncode != 0


@pytest.mark.live
def test_what_the_operator_writes_is_its_own_and_nothing_of_ours_shows(lab: Lab) -> None:
    found = lab.get("ds,sa,cm,svc", "-n", "gpu-operator", "--show-managed-fields")["items"]
    owners = [each["metadata"].get("ownerReferences") or [{"kind": ""}] for each in found]
    made = [
        each for each, own in zip(found, owners, strict=True) if own[0]["kind"] == "ClusterPolicy"
    ]
    assert {each["kind"] for each in made} == {
        "DaemonSet",
        "ServiceAccount",
        "ConfigMap",
        "Service",
    }
    for each in made:
        assert each["metadata"]["managedFields"][0]["manager"] == "gpu-operator"
        assert "gpulab" not in str(each["metadata"])
    node = lab.get("node", "h100-1", "--show-managed-fields")
    managers = {each["manager"] for each in node["metadata"]["managedFields"]}
    assert {"gpu-operator", "nfd-master", "kubelet"} <= managers


@pytest.mark.live
def test_from_bare_nodes_to_a_pod_that_reads_its_nvidia_smi(fast: Lab, where: str) -> None:
    assert fast.kubectl("delete", "clusterpolicy", "cluster-policy").returncode == 0
    # the garbage collector looks for new kinds every 30 s
    eventually(lambda: set(offered(fast).values()) == {0}, 60)
    eventually(lambda: not fast.get("ds", "-n", "gpu-operator")["items"], 30)
    eventually(lambda: "nvidia.com/gpu.product" not in labels(fast, "h100-1"), 30)
    assert fast.kubectl("apply", "-f", str(POLICY)).returncode == 0
    eventually(lambda: state(fast)[0] == "notReady", 10)
    assert "states not ready: [state-driver" in state(fast)[1]
    fast.make(where, gpu_pod("p", nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L40S"}))
    eventually(lambda: whole(fast), 90)
    times = [started(operands(fast, "h100-1")[app]) for app in ORDER]
    assert times == sorted(times)
    fast.wait(where, "p", "phase=Succeeded", 60)
    assert fast.kubectl("logs", "p", "-n", where).stdout.startswith(
        "GPU 0: NVIDIA L40S (UUID: GPU-"
    )


@pytest.mark.live
def test_the_driver_of_one_node_is_all_that_this_node_loses(fast: Lab) -> None:
    """Away, over `gpulab down` and `up`, and given back."""
    less = NODES | {"l40s-1": 0}
    label(fast, "l40s-1", f"{DEPLOY}.driver=false")
    eventually(lambda: offered(fast) == less, 30)
    assert offered(fast, "capacity") == NODES
    eventually(lambda: state(fast)[0] == "notReady", 30)
    pod = operands(fast, "l40s-1")[PLUGIN]["metadata"]["name"]
    said = fast.kubectl("logs", "-n", "gpu-operator", pod).stdout
    assert "If this is a GPU node, did you configure the NVIDIA Container Toolkit?" in said
    assert fast.gpulab("down").returncode == 0
    again = fast.gpulab("up", "--speed", "20", seconds=60)
    assert again.returncode == 0, again.stderr
    assert fast.status()["ready"]
    eventually(lambda: offered(fast) == less, 10)
    label(fast, "l40s-1", f"{DEPLOY}.driver=true")
    eventually(lambda: whole(fast), 90)
    times = [started(operands(fast, "l40s-1")[app]) for app in ORDER]
    assert times == sorted(times)


@pytest.mark.live
def test_a_deleted_plugin_pod_takes_the_gpus_until_it_is_back(fast: Lab) -> None:
    pod = operands(fast, "h100-1")[PLUGIN]["metadata"]["name"]
    path = f"jsonpath={{.status.allocatable.{GPU.replace('.', chr(92) + '.')}}} "
    watch = subprocess.Popen(
        [*fast.kubectl_command, "get", "node", "h100-1", "--watch", "-o", path],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout is not None
    try:
        first = watch.stdout.read(2)  # only then does it see what comes
        assert fast.kubectl("delete", "pod", "-n", "gpu-operator", pod).returncode == 0
        eventually(lambda: PLUGIN in operands(fast, "h100-1") and whole(fast), 60)
    finally:
        watch.terminate()
        seen = (first + watch.communicate(timeout=10)[0]).split()
    assert [each for n, each in enumerate(seen) if seen[n - 1 : n] != [each]] == ["8", "0", "8"]


@pytest.mark.live
def test_without_a_plugin_a_node_refuses_pods_with_gpus(fast: Lab, where: str) -> None:
    label(fast, "l40s-1", f"{DEPLOY}.device-plugin=false")
    eventually(lambda: offered(fast)["l40s-1"] == 0, 30)
    fast.make(where, gpu_pod("p", nodeName="l40s-1"))
    found = fast.wait(where, "p", "phase=Failed")["status"]
    assert (found["reason"], found["message"]) == (
        "UnexpectedAdmissionError",
        "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate "
        f"unhealthy devices {GPU}, which is unexpected",
    )
    label(fast, "l40s-1", f"{DEPLOY}.device-plugin-")
    eventually(lambda: whole(fast), 60)


@pytest.mark.live
def test_a_second_cluster_policy_is_ignored(fast: Lab) -> None:
    fast.apply(SECOND)
    eventually(lambda: state(fast, "second")[0] == "ignored", 10)
    assert whole(fast)
    assert fast.kubectl("delete", "clusterpolicy", "second").returncode == 0


@pytest.mark.live
def test_a_chain_without_its_first_link_falls_and_comes_back(fast: Lab) -> None:
    nfd = "feature.node.kubernetes.io/pci-10de.present"
    for node in NODES:
        label(fast, node, f"{nfd}-")
    eventually(lambda: set(offered(fast).values()) == {0}, 60)
    eventually(lambda: state(fast) == ("ready", "No NFD labels found"), 30)
    left = labels(fast, "a100-1")
    assert left["nvidia.com/gpu.present"] == "false"
    assert not [key for key in left if key.startswith(DEPLOY)]
    for node in NODES:
        label(fast, node, f"{nfd}=true")
    eventually(lambda: whole(fast), 90)
    assert state(fast)[1].endswith("all resources have been successfully reconciled")


@pytest.mark.live
def test_operands_can_be_kept_off_one_node(fast: Lab) -> None:
    label(fast, "h100-2", f"{DEPLOY}.operands=false")
    eventually(lambda: offered(fast) == NODES | {"h100-2": 0}, 30)
    eventually(lambda: operands(fast, "h100-2").keys() <= {"gpu-operator"}, 30)
    label(fast, "h100-2", f"{DEPLOY}.operands-")
    eventually(lambda: whole(fast), 90)


@pytest.mark.live
def test_a_disabled_operand_goes_alone(fast: Lab) -> None:
    patch(fast, "dcgmExporter", "enabled", "false")
    eventually(lambda: "nvidia-dcgm-exporter" not in operands(fast, "h100-1"), 30)
    assert whole(fast)
    patch(fast, "dcgmExporter", "enabled", "true")
    eventually(lambda: "nvidia-dcgm-exporter" in operands(fast, "h100-1"), 30)
    eventually(lambda: whole(fast), 60)


def patch(lab: Lab, part: str, key: str, value: str) -> None:
    body = f'{{"spec": {{"{part}": {{"{key}": {value}}}}}}}'
    done = lab.kubectl("patch", "clusterpolicy", "cluster-policy", "--type=merge", "-p", body)
    assert done.returncode == 0, done.stderr


@pytest.mark.live
def test_without_cdi_a_container_finds_its_gpu_in_a_variable(fast: Lab, where: str) -> None:
    ask = gpu_pod("legacy")
    ask["spec"]["containers"][0]["command"] = ["printenv", "NVIDIA_VISIBLE_DEVICES"]
    with_cdi = gpu_pod("cdi")
    with_cdi["spec"]["containers"][0]["command"] = ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"]
    ask["spec"]["containers"][0]["command"] = ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"]
    fast.make(where, with_cdi)
    fast.wait(where, "cdi", "phase=Succeeded")
    assert fast.kubectl("logs", "cdi", "-n", where).stdout == "void\n"
    patch(fast, "cdi", "enabled", "false")
    eventually(lambda: state(fast)[0] == "notReady", 30)
    eventually(lambda: whole(fast), 90)
    assert fast.kubectl("get", "runtimeclass", "nvidia-cdi").returncode == 1
    fast.make(where, ask)
    fast.wait(where, "legacy", "phase=Succeeded")
    assert fast.kubectl("logs", "legacy", "-n", where).stdout.startswith("GPU-")
    patch(fast, "cdi", "enabled", "true")
    eventually(lambda: state(fast)[0] == "notReady", 30)
    eventually(lambda: whole(fast), 90)


@pytest.mark.live
def test_what_is_wrong_in_a_cluster_policy_is_refused_or_reported(fast: Lab) -> None:
    body = '{"spec": {"driver": {"enabled": "perhaps"}}}'
    bad = fast.kubectl("patch", "clusterpolicy", "cluster-policy", "--type=merge", "-p", body)
    assert bad.returncode == 1
    assert "spec.driver.enabled" in bad.stderr
    patch(fast, "gfd", "env", '[{"name": "not a name="}]')
    patch(fast, "gfd", "resources", '{"limits": {"cpu": "much"}}')
    eventually(lambda: state(fast)[1].startswith("Failed to reconcile gpu-feature-disc"), 30)
    assert offered(fast) == NODES
    patch(fast, "gfd", "resources", "null")
    patch(fast, "gfd", "env", "null")
    eventually(lambda: whole(fast), 60)


@pytest.mark.live
def test_a_namespace_or_a_kind_that_is_deleted_stops_nothing_else(own_lab: Lab) -> None:
    assert own_lab.kubectl("delete", "namespace", "gpu-operator", seconds=90).returncode == 0
    eventually(lambda: set(offered(own_lab).values()) == {0}, 30)
    assert own_lab.kubectl("delete", "crd", "clusterpolicies.nvidia.com").returncode == 0
    own_lab.make("default", gpu_pod("waits"))
    plain = gpu_pod("plain")
    plain["spec"]["containers"][0] |= {"command": ["sleep", "60"], "resources": {}}
    own_lab.make("default", plain)
    own_lab.wait("default", "plain", "phase=Running")
    assert own_lab.get("pod", "waits")["status"]["phase"] == "Pending"
    assert own_lab.gpulab("down").returncode == 0
    again = own_lab.gpulab("up", seconds=90)
    assert again.returncode == 0, again.stderr


@pytest.mark.live
def test_a_large_fleet_has_the_same_labels_and_gpus_without_pods(tmp_path: Path) -> None:
    fleet = tmp_path / "large.yaml"
    group = "name: g, count: 51, gpu: h100-80gb-sxm, gpus: 8, cpu: 8, memory_gib: 64"
    fleet.write_text(f"title: large\nnodes:\n- {{{group}}}\n")
    for lab in make_lab(tmp_path, "large", "--fleet", str(fleet)):

        def offers(node: str, gpus: str, lab: Lab = lab) -> bool:
            return allocatable(lab, node) == gpus

        nodes = lab.get("nodes")["items"]
        assert [each["status"]["allocatable"][GPU] for each in nodes] == ["8"] * 51
        assert labels(lab, "g-51")["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
        assert labels(lab, "g-51")[f"{DEPLOY}.mig-manager"] == "true"
        assert state(lab)[0] == "ready"
        assert not lab.get("ds", "-n", "gpu-operator")["items"]
        label(lab, "g-7", f"{DEPLOY}.driver=false")
        eventually(partial(offers, "g-7", "0"), 30)
        assert allocatable(lab, "g-8") == "8"
        label(lab, "g-7", f"{DEPLOY}.driver=true")
        eventually(partial(offers, "g-7", "8"), 30)


def allocatable(lab: Lab, node: str) -> str:
    return str(lab.get("node", node)["status"]["allocatable"][GPU])


def test_a_bare_node_has_only_what_kubelet_and_nfd_see() -> None:
    from gpulab.fleets import load_fleet
    from gpulab.sim.nodes import Server, manifest

    nodes = make_nodes(load_fleet("default"), load_models(DATA / "gpus"), "seed")
    found = manifest(nodes["h100-1"], Server("localhost", 1))
    seen = {key for key in found["metadata"]["labels"] if "kubernetes.io/" not in key}
    assert seen == set()
    assert GPU not in found["status"]["capacity"]
