"""What a kubelet registers for its node: labels, capacity, addresses, its server's port."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpulab.fleets import Fleet, NodeShape, shapes
from gpulab.sim.gpus import Gpu, GpuModel, node_gpus
from gpulab.versions import versions

GPU = "nvidia.com/gpu"
HOSTS = ipaddress.ip_network("10.20.0.0/16")  # node addresses; nothing answers there
PODS = ipaddress.ip_network("100.64.0.0/10")  # a /24 of it for each node's Pods


@dataclass(frozen=True)
class Node:
    """One simulated node: what its kubelet knows."""

    name: str
    shape: NodeShape
    gpus: tuple[Gpu, ...]
    ip: str
    pod_cidr: ipaddress.IPv4Network


@dataclass(frozen=True)
class Server:
    """Where all kubelets are reached, which are one process."""

    host: str
    port: int
    beside_real: bool = False
    """Whether there are real nodes, with a CNI plug-in that routes to every InternalIP."""


def make_nodes(fleet: Fleet, models: Mapping[str, GpuModel], seed: str) -> dict[str, Node]:
    """The nodes of a fleet by name; equal arguments give equal device UUIDs and addresses."""
    return {shape.name: _node(shape, models, seed) for shape in shapes(fleet)}


def _node(shape: NodeShape, models: Mapping[str, GpuModel], seed: str) -> Node:
    model, count = shape.group.gpu, shape.group.gpus
    gpus = node_gpus(models[model], count, seed=seed, node=shape.name) if model else ()
    return Node(
        name=shape.name,
        shape=shape,
        gpus=gpus,
        ip=str(HOSTS.network_address + 10 + shape.index),
        pod_cidr=_pod_cidr(shape.index),
    )


def _pod_cidr(index: int) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((int(PODS.network_address) + (index << 8), 24))


def manifest(node: Node, server: Server) -> dict[str, Any]:
    """The Node object as POSTed; KWOK adds the conditions."""
    pods = {"podCIDR": str(node.pod_cidr), "podCIDRs": [str(node.pod_cidr)]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": _labels(node),
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {} if server.beside_real else pods,  # there, a controller hands them out
        "status": status(node, server),
    }


def status(node: Node, server: Server) -> dict[str, Any]:
    """Everything of the node's status that is neither a condition nor a device plugin's."""
    group = node.shape.group
    kept = group.reserved
    capacity = _resources(group.cpu, group.memory_gib, node)
    allocatable = _resources(group.cpu - kept.cpu, group.memory_gib - kept.memory_gib, node)
    return {
        "capacity": capacity,
        "allocatable": allocatable,
        # The API server dials the first of these that it knows: all kubelets are this process.
        "addresses": [
            {"type": "ExternalIP" if server.beside_real else "InternalIP", "address": node.ip},
            {"type": "Hostname", "address": server.host},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}},
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        "nodeInfo": _node_info(),
    }


def _resources(cpu: int, memory_gib: int, node: Node) -> dict[str, str]:
    return {
        "cpu": str(cpu),
        "memory": f"{memory_gib * 2**20}Ki",
        "pods": str(node.shape.group.pods),
        "ephemeral-storage": f"{node.shape.group.ephemeral_gib * 2**20}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }


def _labels(node: Node) -> dict[str, str]:
    """What the kubelet sets, and NFD where it sees a PCI device of NVIDIA's."""
    plain = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    seen = {"feature.node.kubernetes.io/pci-10de.present": "true"} if node.gpus else {}
    return plain | seen | node.shape.group.labels


def _node_info() -> dict[str, str]:
    return {
        "architecture": "amd64",
        "operatingSystem": "linux",
        "osImage": "Ubuntu 24.04 LTS (simulated)",
        "kernelVersion": "simulated",
        "containerRuntimeVersion": "containerd://simulated",
        "kubeletVersion": f"v{versions().kubernetes.version}",
        "kubeProxyVersion": "",
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
