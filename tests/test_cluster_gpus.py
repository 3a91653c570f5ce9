"""GPUs are counted as the scheduler counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.cluster import Node, Pod, allocations, names_product


def node(gpus: int, name: str = "n1") -> Node:
    return Node({"metadata": {"name": name}, "status": {"allocatable": {"nvidia.com/gpu": gpus}}})


def pod(gpus: int, phase: str = "Running", node: str | None = "n1", name: str = "p") -> Pod:
    limits = {"limits": {"nvidia.com/gpu": gpus}}
    spec = {"nodeName": node, "containers": [{"name": "c", "resources": limits}]}
    return Pod({"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}})


def test_finished_and_unbound_pods_hold_nothing() -> None:
    pods = [pod(1), pod(2, "Succeeded"), pod(2, "Failed"), pod(4, "Pending", node=None)]
    (found,) = allocations([node(8)], pods)
    assert (found.held, found.free) == (1, 7)


def test_holders_are_named() -> None:
    (found,) = allocations([node(8)], [pod(2, name="b"), pod(1, name="a")])
    assert [(each.pod, each.gpus) for each in found.holdings] == [("a", 1), ("b", 2)]


def test_free_is_never_negative() -> None:
    (found,) = allocations([node(1)], [pod(2)])
    assert found.free == 0


@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["n1", "n2", "elsewhere"]))))
def test_every_bound_gpu_is_counted_once(bound: list[tuple[int, str]]) -> None:
    pods = [pod(gpus, node=where, name=f"p{i}") for i, (gpus, where) in enumerate(bound)]
    found = allocations([node(8), node(8, "n2")], pods)
    assert sum(one.held for one in found) == sum(gpus for gpus, at in bound if at != "elsewhere")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("|   0  NVIDIA H100 80GB HBM3          On  |", True),
        ("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)", True),
        ("|   0  NVIDIA H100 80GB H...          On  |", True),
        ("|   0  NVIDIA A100-SXM4-80GB          On  |", False),
        ("NVIDIA ...", False),
        ("", False),
    ],
)
def test_a_text_names_a_product_or_does_not(text: str, named: bool) -> None:
    assert names_product(text, "NVIDIA-H100-80GB-HBM3") is named


def test_no_product_is_never_named() -> None:
    assert not names_product("anything", "")
