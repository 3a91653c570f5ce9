"""The vocabulary over Kubernetes objects: pure, typed, shared by checks, lab and notebooks."""

from autograders.cluster.gpus import Allocation, Device, Holding, allocations, names_product
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Container, Pod
from autograders.cluster.view import Cluster

__all__ = [
    "Allocation",
    "Cluster",
    "Container",
    "Device",
    "Holding",
    "Node",
    "Pod",
    "allocations",
    "names_product",
]
