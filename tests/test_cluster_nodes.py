"""What a node's labels and status say about its GPUs."""

from __future__ import annotations

import pytest

from autograders.cluster import Node


def node(labels: dict[str, str] | None = None, **status: object) -> Node:
    return Node({"metadata": {"name": "n1", "labels": labels or {}}, "status": status})


def test_a_dead_device_lowers_allocatable_and_not_capacity() -> None:
    dead = node(capacity={"nvidia.com/gpu": "8"}, allocatable={"nvidia.com/gpu": "7"})
    assert (dead.capacity(), dead.allocatable()) == (8, 7)


@pytest.mark.parametrize(
    ("label", "product"),
    [
        ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM3"),
        ("NVIDIA-L40S-SHARED", "NVIDIA-L40S"),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "NVIDIA-A100-SXM4-40GB"),
    ],
)
def test_the_product_is_the_hardware_whatever_shares_it(label: str, product: str) -> None:
    assert node({"nvidia.com/gpu.product": label}).product == product


def test_the_cuda_version_is_read_in_new_and_old_spelling() -> None:
    new = {"nvidia.com/cuda.runtime-version.full": "13.2"}
    old = {"nvidia.com/cuda.runtime.major": "12", "nvidia.com/cuda.runtime.minor": "4"}
    assert [node(each).cuda_version for each in (new, old, {})] == ["13.2", "12.4", ""]


def test_only_recent_kubelets_report_devices() -> None:
    kubelets = ("v1.35.9", "v1.36.3", "v1.37.0-rc.1")
    reports = [node(nodeInfo={"kubeletVersion": each}).reports_devices for each in kubelets]
    assert reports == [False, True, True]


def test_memory_is_a_number_or_unknown() -> None:
    label = "nvidia.com/gpu.memory"
    values = [node({label: "81559"}), node({label: "lots"}), node()]
    assert [each.gpu_memory_mib for each in values] == [81559, None, None]
