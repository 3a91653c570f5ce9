"""Nodes: their identity follows from fleet and seed, and the cluster shows what was registered."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.fleets import Fleet, NodeGroup, load_fleet
from gpulab.paths import DATA
from gpulab.sim.gpus import load_models
from gpulab.sim.nodes import Node, make_nodes
from tests.conftest import Lab, Object

MODELS = load_models(DATA / "gpus")


def group(name: str, count: int, model: str | None, gpus: int) -> NodeGroup:
    return NodeGroup(
        name=name, cpu=8, memory_gib=16, count=count, gpu=model, gpus=gpus if model else 0
    )


groups = st.builds(
    group,
    st.sampled_from(["a", "b", "c", "d"]),
    st.integers(1, 6),
    st.sampled_from([None, *MODELS]),
    st.integers(1, 8),
)
fleets = st.lists(groups, min_size=1, max_size=4, unique_by=lambda each: each.name).map(
    lambda chosen: Fleet("t", tuple(chosen))
)


def uuids(nodes: dict[str, Node]) -> list[str]:
    return [gpu.uuid for node in nodes.values() for gpu in node.gpus]


@settings(max_examples=30, deadline=None)
@given(fleets)
def test_no_two_nodes_share_a_gpu_or_an_address(fleet: Fleet) -> None:
    nodes = make_nodes(fleet, MODELS, "seed")
    assert len(set(uuids(nodes))) == len(uuids(nodes))
    assert len({node.ip for node in nodes.values()}) == len(nodes)
    networks = [node.pod_cidr for node in nodes.values()]
    assert not any(one.overlaps(two) for one, two in combinations(networks, 2))


@settings(max_examples=30, deadline=None)
@given(fleets)
def test_the_same_lab_has_the_same_gpus_after_every_start(fleet: Fleet) -> None:
    assert make_nodes(fleet, MODELS, "seed") == make_nodes(fleet, MODELS, "seed")


def test_two_labs_have_no_gpu_in_common() -> None:
    one, two = (make_nodes(load_fleet("default"), MODELS, seed) for seed in ("one", "two"))
    assert not set(uuids(one)) & set(uuids(two))


GPUS = {
    "h100-1": ("NVIDIA-H100-80GB-HBM3", "81559", "9", "8"),
    "h100-2": ("NVIDIA-H100-80GB-HBM3", "81559", "9", "8"),
    "a100-1": ("NVIDIA-A100-SXM4-80GB", "81920", "8", "8"),
    "l40s-1": ("NVIDIA-L40S", "46068", "8", "4"),
}


@pytest.fixture(scope="module")
def registered(lab: Lab) -> dict[str, Object]:
    return {node["metadata"]["name"]: node for node in lab.get("nodes")["items"]}


@pytest.mark.live
def test_gpu_nodes_carry_the_labels_of_their_gpus(registered: dict[str, Object]) -> None:
    keys = ("gpu.product", "gpu.memory", "gpu.compute.major", "gpu.count")
    for name, wanted in GPUS.items():
        labels = registered[name]["metadata"]["labels"]
        assert tuple(labels[f"nvidia.com/{key}"] for key in keys) == wanted


@pytest.mark.live
def test_gpus_are_in_capacity_and_allocatable_of_their_nodes(
    registered: dict[str, Object],
) -> None:
    assert registered.keys() == GPUS.keys() | {"cpu-1"}
    for name, node in registered.items():
        wanted = GPUS[name][3] if name in GPUS else None
        for key in ("capacity", "allocatable"):
            assert node["status"][key].get("nvidia.com/gpu") == wanted


@pytest.mark.live
def test_the_cpu_node_has_nothing_of_nvidias(registered: dict[str, Object]) -> None:
    labels = registered["cpu-1"]["metadata"]["labels"]
    assert [label for label in labels if "nvidia" in label or "10de" in label] == []


@pytest.mark.live
def test_less_is_allocatable_than_there_is(registered: dict[str, Object]) -> None:
    from autograders.cluster.quantities import parse

    for node in registered.values():
        capacity, allocatable = (node["status"][key] for key in ("capacity", "allocatable"))
        for key in ("cpu", "memory"):
            assert 0 < parse(allocatable[key]) < parse(capacity[key])
        assert allocatable["pods"] == "110"


@pytest.mark.live
def test_every_node_is_ready_and_new_enough_for_exec(registered: dict[str, Object]) -> None:
    for node in registered.values():
        ready = next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
        assert ready["status"] == "True"
        assert "taints" not in node["spec"]
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
        assert "ExtendWebSocketsToKubelet" in node["status"]["declaredFeatures"]


@pytest.mark.live
def test_a_node_says_of_itself_that_it_is_simulated(registered: dict[str, Object]) -> None:
    for node in registered.values():
        assert "simulated" in node["status"]["nodeInfo"]["osImage"]
