"""`gpulab map` and the notebooks' picture are one piece of data."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.cluster.gpus import Allocation, Device, Holding, allocations, boxes
from autograders.cluster.nodes import Node
from autograders.cluster.pods import GPU, Pod
from autograders.widgets import gpu_map
from tests.conftest import CUDA, Lab, devices, pod


def node(capacity: int, allocatable: int) -> Node:
    status = {"capacity": {GPU: str(capacity)}, "allocatable": {GPU: str(allocatable)}}
    return Node({"metadata": {"name": "n"}, "status": status})


def holder(name: str, health: dict[str, str]) -> Pod:
    limits = {"resources": {"limits": {GPU: str(len(health))}}}
    resources = [{"resourceID": uuid, "health": state} for uuid, state in health.items()]
    entry = {"name": "main", "allocatedResourcesStatus": [{"name": GPU, "resources": resources}]}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "d"},
            "spec": {"nodeName": "n", "containers": [{"name": "main", **limits}]},
            "status": {"phase": "Running", "containerStatuses": [entry]},
        }
    )


def test_a_held_device_shows_its_holder_uuid_and_health() -> None:
    pods = [holder("p", {"GPU-1": "Healthy", "GPU-2": "Unhealthy"})]
    (found,) = allocations([node(4, 3)], pods)
    assert [box.words for box in boxes(found)] == [
        "d/p, GPU-1",
        "d/p, unhealthy, GPU-2",
        "free",
        "free",
    ]
    assert (found.lost, found.broken_and_free, found.free) == (1, 0, 1)


def test_a_broken_gpu_that_nobody_keeps_is_shown_as_such() -> None:
    (found,) = allocations([node(2, 1)], [])
    assert [box.words for box in boxes(found)] == ["free", "free, unhealthy"]


@given(
    capacity=st.integers(0, 16),
    lost=st.integers(0, 16),
    held=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6),
)
def test_no_gpu_is_drawn_twice_or_left_out(
    capacity: int, lost: int, held: list[tuple[int, bool]]
) -> None:
    lost = min(lost, capacity)
    holdings, left = [], capacity
    for index, (count, reported) in enumerate(held):
        count = min(count, left)
        left -= count
        known = tuple(Device(f"GPU-{index}-{n}", "Healthy") for n in range(count * reported))
        if count:
            holdings.append(Holding("d", f"p{index}", count, known))
    lost = min(lost, left)
    one = Allocation("n", "H100", capacity - lost, tuple(holdings), capacity)
    drawn = boxes(one)
    assert len(drawn) == capacity
    assert sum(not box.is_healthy for box in drawn) == lost
    assert len(re.findall(r'role="img"', gpu_map.render([one]))) == capacity


def test_nothing_in_a_name_becomes_html() -> None:
    found = allocations([node(1, 1)], [holder("<script>", {"<b>": "Healthy"})])
    assert "<script>" not in gpu_map.render(found)
    assert "<b>,"[:-1] not in gpu_map.render(found).split("</style>")[1].replace("<b>n</b>", "")


@pytest.mark.live
def test_the_map_of_a_lab_names_devices_and_holders(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "600", image=CUDA, gpus=2))
    made = lab.wait(namespace, "p", "phase=Running")
    done = lab.gpulab("map", "--json")
    assert done.returncode == 0, done.stderr
    found = {one["node"]: one for one in json.loads(done.stdout)}[made["spec"]["nodeName"]]
    mine = [gpu for gpu in found["gpus"] if gpu["holder"] == f"{namespace}/p"]
    assert sorted(gpu["uuid"] for gpu in mine) == sorted(devices(made))
    assert {gpu["health"] for gpu in mine} == {"Healthy"}
    text = lab.gpulab("map", "--uuids").stdout
    assert f"{namespace}/p" in text
    assert all(uuid in text for uuid in devices(made))


@pytest.mark.live
def test_without_a_lab_the_map_says_what_to_do(no_lab: Lab) -> None:
    done = no_lab.gpulab("map")
    assert done.returncode == 2
    assert "gpulab up" in done.stderr
