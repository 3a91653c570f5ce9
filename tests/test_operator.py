"""What the simulated GPU Operator decides, given what it sees."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from autograders.cluster.chain import DEPLOY, NAMESPACE, NFD, OPERANDS, PRESENT
from autograders.errors import InputError
from gpulab.paths import DATA
from gpulab.ready import has_operands
from gpulab.sim.gpus import labels as discovered
from gpulab.sim.gpus import load_driver, load_models
from gpulab.sim.offered import amounts
from gpulab.sim.operator import driver_manager, labels, manifests, node_level, plan, policy, status
from gpulab.sim.operator.operands import cluster_policy, load
from gpulab.sim.operator.plan import Observed
from gpulab.sim.workloads import Catalogue
from tests.conftest import Object

DATA_OPERANDS = load()
BY_STATE = {each.state: each for each in DATA_OPERANDS}
GPU_NODE = {NFD[0]: "true"}
SETTLED = GPU_NODE | {PRESENT: "true"} | dict.fromkeys(labels.DEPLOY, "true")


def in_force(name: str = "cluster-policy", since: str = "2026-01-01T00:00:00Z") -> Object:
    found = cluster_policy()
    found["metadata"] |= {"name": name, "creationTimestamp": since, "uid": f"uid-{name}"}
    return found


def with_spec(**parts: Object) -> Object:
    """The usual ClusterPolicy with some of its parts changed."""
    found = in_force()
    for key, part in parts.items():
        found["spec"][key] = found["spec"].get(key, {}) | part
    return found


def ready(item: Object) -> Object:
    item = copy.deepcopy(item)
    item["metadata"]["generation"] = 1
    numbers = "desiredNumberScheduled updatedNumberScheduled numberAvailable numberReady"
    item["status"] = dict.fromkeys(["observedGeneration", *numbers.split()], 1)
    return item


def all_there(owner: Object) -> Observed:
    """A cluster in which the operator has nothing left to do."""
    seen = Observed(nodes={"n1": SETTLED}, policies={"cluster-policy": owner})
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    for _, item in found.create:
        seen.objects[plan.key_of(item)] = ready(item) if item["kind"] == "DaemonSet" else item
    return seen


def test_the_labels_of_a_gpu_node_follow_from_nfds() -> None:
    change = labels.change(GPU_NODE, "all-disabled")
    assert change == {PRESENT: "true"} | dict.fromkeys(labels.DEPLOY, "true")
    assert {f"{DEPLOY}{each.label}" for each in OPERANDS} <= set(labels.DEPLOY)


def test_without_nfds_label_all_of_the_operators_go() -> None:
    left = {**SETTLED, labels.MIG_MANAGER: "true", "nvidia.com/gpu.product": "kept"}
    del left[NFD[0]]
    change = labels.change(left, "all-disabled")
    gone = dict.fromkeys((*labels.DEPLOY, labels.MIG_MANAGER))
    assert change == {PRESENT: "false"} | gone
    assert labels.change({"kubernetes.io/os": "linux"}, None) == {}


def test_operands_can_be_taken_off_a_node() -> None:
    change = labels.change({**SETTLED, labels.OPERANDS: "false"}, None)
    assert change == dict.fromkeys(labels.DEPLOY)


@pytest.mark.parametrize("value", ["false", "paused-for-driver-upgrade"])
def test_what_stands_in_a_label_is_honoured_and_an_empty_one_is_not(value: str) -> None:
    driver = f"{DEPLOY}driver"
    assert labels.change({**SETTLED, driver: value}, None) == {}
    assert labels.change({**SETTLED, driver: ""}, None) == {driver: "true"}


@pytest.mark.parametrize(
    ("found", "capable"),
    [
        ({labels.MIG_CAPABLE: "true"}, True),
        ({labels.MIG_CAPABLE: "false", labels.PRODUCT: "NVIDIA-H100-80GB-HBM3"}, False),
        ({labels.PRODUCT: "NVIDIA-A100-SXM4-80GB"}, True),
        ({labels.PRODUCT: "NVIDIA-L40S"}, False),
    ],
)
def test_a_mig_manager_runs_where_gpus_can_be_cut(found: dict[str, str], capable: bool) -> None:
    wanted = {labels.MIG_MANAGER: "true", labels.MIG_CONFIG: "all-disabled"} if capable else {}
    assert labels.change(SETTLED | found, "all-disabled") == wanted
    assert labels.MIG_CONFIG not in labels.change(SETTLED | found, None)


def test_gfd_says_of_every_model_whether_it_can_be_cut() -> None:
    driver = load_driver(DATA / "nvidia.toml")
    for name, model in load_models(DATA / "gpus").items():
        found = discovered(model, 1, driver)
        assert labels.is_mig_capable(found) == model.mig_capable, name


def test_a_new_cluster_gets_all_operands_but_those_that_are_off_by_default() -> None:
    seen = Observed(nodes={"n1": GPU_NODE}, policies={"p": in_force()})
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    made = {each["metadata"]["name"] for _, each in found.create if each["kind"] == "DaemonSet"}
    off = {"nvidia-dcgm", "nvidia-node-status-exporter"}
    assert made == {each.name for each in DATA_OPERANDS} - off
    assert {each.app for each in OPERANDS} <= made
    assert plan.verdict(seen, found)[:2] == ("notReady", "OperandNotReady")
    assert "states not ready: [state-driver state-container-toolkit" in plan.verdict(seen, found)[2]


def test_the_operator_rests_when_all_is_as_it_should_be() -> None:
    seen = all_there(in_force())
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    assert found == plan.Plan()
    assert plan.verdict(seen, found) == ("ready", "Reconciled", status.RECONCILED)


def test_only_the_state_that_is_not_ready_is_named() -> None:
    seen = all_there(in_force())
    seen.objects["DaemonSet", "nvidia-dcgm-exporter"]["status"]["numberUnavailable"] = 1
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    said = "ClusterPolicy is not ready; states not ready: [state-dcgm-exporter]"
    assert plan.verdict(seen, found) == ("notReady", "OperandNotReady", said)


def test_disabling_an_operand_deletes_its_daemon_set_and_nothing_else() -> None:
    seen = all_there(in_force())
    seen.policies["cluster-policy"] = with_spec(dcgmExporter={"enabled": False})
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    assert found == plan.Plan(delete=[("DaemonSet", "nvidia-dcgm-exporter")])


def test_without_a_device_plugin_nobody_validates_it() -> None:
    whole = manifests.daemon_set(BY_STATE["state-operator-validation"], in_force())
    owner = with_spec(devicePlugin={"enabled": False})
    less = manifests.daemon_set(BY_STATE["state-operator-validation"], owner)
    names = [
        [each["name"] for each in one["spec"]["template"]["spec"]["initContainers"]]
        for one in (whole, less)
    ]
    assert names[0] == [*names[1], "plugin-validation"]


def test_a_changed_spec_updates_the_daemon_set() -> None:
    seen = all_there(in_force())
    seen.policies["cluster-policy"] = with_spec(driver={"version": "580.65.06"})
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    [(state, item)] = found.update
    assert (state, found.missing) == ("state-driver", ["state-driver"])
    [container] = item["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "nvcr.io/nvidia/driver:580.65.06-ubuntu24.04"


def test_a_part_without_an_image_fails_alone() -> None:
    owner = with_spec(gfd={"version": ""})
    seen = Observed(nodes={"n1": SETTLED}, policies={"p": owner})
    found = plan.make(seen, DATA_OPERANDS, with_pods=True)
    made = {each["metadata"]["name"] for _, each in found.create if each["kind"] == "DaemonSet"}
    assert "nvidia-driver-daemonset" in made
    assert "gpu-feature-discovery" not in made
    said = plan.verdict(seen, found)
    assert said[:2] == ("notReady", "ReconcileFailed")
    assert said[2].startswith("Failed to reconcile gpu-feature-discovery: ")


def test_nonsense_in_a_field_that_nobody_checks_fails_alone() -> None:
    owner = in_force()
    owner["spec"]["gfd"]["env"] = 5
    seen = Observed(nodes={"n1": SETTLED}, policies={"p": owner})
    assert list(plan.make(seen, DATA_OPERANDS, with_pods=True).failures) == [
        "gpu-feature-discovery"
    ]


def test_without_nfd_or_gpu_nodes_it_is_ready_and_says_so() -> None:
    for nodes, said in (({}, status.NO_NFD), ({NFD[0]: "false"}, status.NO_GPU)):
        seen = Observed(nodes={"n1": nodes}, policies={"p": in_force()})
        found = plan.make(seen, DATA_OPERANDS, with_pods=True)
        assert not [each for _, each in found.create if each["kind"] == "DaemonSet"]
        assert plan.verdict(seen, found)[2] == said


def test_only_the_oldest_cluster_policy_counts() -> None:
    young, old = in_force("a", "2026-01-02T00:00:00Z"), in_force("b")
    seen = Observed(policies={"a": young, "b": old})
    after = plan.statuses(seen, plan.Plan(), NAMESPACE, "now")
    assert (after["a"]["state"], after["b"]["state"]) == ("ignored", "ready")
    assert policy.in_charge([in_force("b"), in_force("a")]) == in_force("a")


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = status.compose({}, status.ready(True, True), NAMESPACE, "t1")
    assert status.compose(first, status.ready(True, True), NAMESPACE, "t2") == first
    later = status.compose(first, status.not_ready(["state-driver"]), NAMESPACE, "t3")
    assert [each["lastTransitionTime"] for each in later["conditions"]] == ["t3", "t3"]
    assert later["conditions"][1]["message"].endswith("[state-driver]")


def test_cdi_decides_on_runtime_classes_and_on_how_devices_are_listed() -> None:
    plugin = BY_STATE["state-device-plugin"]
    for enabled, names, listed in (
        (True, ["nvidia", "nvidia-cdi", "nvidia-legacy"], "cdi-annotations,cdi-cri"),
        (False, ["nvidia"], "envvar"),
    ):
        owner = with_spec(cdi={"enabled": enabled})
        classes = [each["metadata"]["name"] for each in manifests.runtime_classes(owner)]
        spec = manifests.daemon_set(plugin, owner)["spec"]["template"]["spec"]
        env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
        assert (classes, env["DEVICE_LIST_STRATEGY"]) == (names, listed)
    seen = all_there(in_force())
    seen.policies["cluster-policy"] = with_spec(cdi={"enabled": False})
    gone = plan.make(seen, DATA_OPERANDS, with_pods=True).delete
    assert gone == [("RuntimeClass", "nvidia-cdi"), ("RuntimeClass", "nvidia-legacy")]


def test_every_object_is_the_cluster_policys_and_names_no_placeholder() -> None:
    seen = Observed(nodes={"n1": SETTLED}, policies={"p": in_force()})
    for _, item in plan.make(seen, DATA_OPERANDS, with_pods=True).create:
        [owner] = item["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("ClusterPolicy", "cluster-policy")
        assert not [text for text in strings(item) if text.startswith("$")]


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_what_the_containers_of_operands_do_is_modelled() -> None:
    from tests.test_sim_program import here

    catalogue = Catalogue.load(DATA / "workloads")
    for operand in DATA_OPERANDS:
        spec = manifests.daemon_set(operand, in_force())["spec"]["template"]["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            argv = [*container.get("command", []), *container.get("args", [])]
            found = catalogue.find(argv, here(container=container))
            assert getattr(found, "modelled", False), f"{operand.name}: {container['name']}"


@pytest.mark.parametrize(
    ("registered", "lost_for", "wanted"),
    [(True, 0, ("8", "8")), (False, 10, ("8", "0")), (False, 301, ("0", "0"))],
)
def test_a_lost_plugin_takes_allocatable_at_once_and_capacity_after_five_minutes(
    registered: bool, lost_for: float, wanted: tuple[str, str]
) -> None:
    found = amounts(8, 8, registered, lost_for)
    assert found == {"capacity": wanted[0], "allocatable": wanted[1]}


def test_the_driver_manager_pauses_what_runs_and_gives_back_only_that() -> None:
    off = f"{DEPLOY}dcgm"
    paused = driver_manager.pause({**SETTLED, off: "false"})
    assert set(paused.values()) == {"paused-for-driver-upgrade"}
    assert off not in paused
    assert f"{DEPLOY}driver" not in paused
    assert driver_manager.resume(SETTLED | paused) == dict.fromkeys(paused, "true")


def test_a_large_fleet_has_what_its_labels_and_the_policy_give() -> None:
    enabled = {each.deploy for each in DATA_OPERANDS}
    assert set(node_level.facts(SETTLED, enabled)) == {"nvidia.com/gpu", "device-plugin", "gfd"}
    no_driver = {**SETTLED, f"{DEPLOY}driver": "false"}
    assert list(node_level.facts(no_driver, enabled)) == []
    assert list(node_level.facts(SETTLED, enabled - {"gpu-feature-discovery"})) == [
        "nvidia.com/gpu",
        "device-plugin",
    ]


def test_a_resumed_lab_is_promised_what_the_operator_would_see_to() -> None:
    node: Object = {"metadata": {"name": "n1", "labels": GPU_NODE}, "spec": {}, "status": {}}
    assert has_operands(node, in_force())
    assert not has_operands(node, None)
    assert not has_operands(node, with_spec(toolkit={"enabled": False}))
    for each in ("driver", "operator-validator"):
        node["metadata"]["labels"] = {**SETTLED, f"{DEPLOY}{each}": "false"}
        assert not has_operands(node, in_force())
    node["metadata"]["labels"] = SETTLED | {"nvidia.com/mig.config": "all-1g.10gb"}
    assert not has_operands(node, in_force())
    node["metadata"]["labels"] = SETTLED
    assert not has_operands(node, with_spec(devicePlugin={"config": {"name": "shared"}}))
    node["spec"]["taints"] = [{"key": "team", "value": "a", "effect": "NoSchedule"}]
    assert not has_operands(node, in_force())


def test_a_malformed_operand_is_refused_with_its_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "10-mine.yaml").write_text("state: s\nkey: driver\ncolour: red\n")
    with pytest.raises(InputError) as refused:
        load(tmp_path)
    assert "10-mine.yaml" in refused.value.what


def test_operands_are_named_in_the_order_of_the_states() -> None:
    assert [each.state for each in DATA_OPERANDS][:3] == [
        "state-driver",
        "state-container-toolkit",
        "state-operator-validation",
    ]
