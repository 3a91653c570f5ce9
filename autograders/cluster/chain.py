"""How a GPU becomes allocatable: NFD's label, the GPU Operator's labels, its Pods, the resource.

Names are those of GPU Operator v26.7.0 (controllers/state_manager.go) and NFD 0.19.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autograders.cluster.nodes import PRODUCT, Node
from autograders.cluster.pods import GPU, Pod
from autograders.cluster.state import labels_of
from autograders.cluster.taints import spell, untolerated
from autograders.model import KubeObject

NAMESPACE = "gpu-operator"
# a controller of class 03 (display) may be named with its class
NFD = tuple(f"feature.node.kubernetes.io/pci-{each}10de.present" for each in ("", "0300_", "0302_"))
PRESENT = "nvidia.com/gpu.present"
DEPLOY = "nvidia.com/gpu.deploy."
COUNT = "nvidia.com/gpu.count"
REPLICAS = "nvidia.com/gpu.replicas"


@dataclass(frozen=True)
class Operand:
    """One DaemonSet of the GPU Operator that a GPU cannot do without."""

    label: str
    """Suffix of the node label that asks for it."""
    app: str
    """The label `app` of its Pods."""
    key: str
    """Its part of ClusterPolicy.spec; `enabled: false` there leaves it out."""


OPERANDS = (
    Operand("driver", "nvidia-driver-daemonset", "driver"),
    Operand("container-toolkit", "nvidia-container-toolkit-daemonset", "toolkit"),
    Operand("device-plugin", "nvidia-device-plugin-daemonset", "devicePlugin"),
    Operand("gpu-feature-discovery", "gpu-feature-discovery", "gfd"),
)
"""In the order in which they wait for each other."""


@dataclass(frozen=True)
class Link:
    """One step from the hardware to the resource."""

    name: str
    """`nfd`, `present`, `deploy driver`, `nvidia-driver-daemonset`, `gfd`, `allocatable`."""
    holds: bool
    """Is it as it should be?"""
    seen: str
    """What was found."""
    do: str = ""
    """What to look at when it does not hold."""


@dataclass(frozen=True)
class Chain:
    """All steps on one node, in order."""

    node: str
    """The node's name."""
    links: tuple[Link, ...]
    """First to last; a later one cannot hold for long when an earlier one does not."""

    @property
    def broken(self) -> Link | None:
        """The first step that does not hold: what to mend."""
        return next((each for each in self.links if not each.holds), None)


def trace(node: Node, pods: Iterable[Pod], policy: KubeObject | None) -> Chain | None:
    """Follow the steps on one node; None when nothing says that it has NVIDIA hardware.

    Without a ClusterPolicy nobody runs operands, and only the labels and the resource count.
    """
    if not has_gpu(node):
        return None
    links = [nfd(node), present(node)]
    if policy is not None:
        mine = tuple(each for each in pods if each.node == node.name)
        for operand in filter(lambda one: is_enabled(one, policy), OPERANDS):
            links += [deploy(node, operand), running(node, operand, mine, policy)]
    return Chain(node.name, (*links, discovered(node), allocatable(node)))


def has_gpu(node: Node) -> bool:
    marked = any(each.startswith("nvidia.com/gpu.") for each in node.labels)
    return marked or node.capacity() > 0 or any(node.labels.get(each) == "true" for each in NFD)


def is_enabled(operand: Operand, policy: KubeObject) -> bool:
    part = (policy.get("spec") or {}).get(operand.key) or {}
    return bool(part.get("enabled", True))


def nfd(node: Node) -> Link:
    found = [each for each in NFD if node.labels.get(each) == "true"]
    if found:
        return Link("nfd", True, f"{found[0]}=true")
    do = "see whether Node Feature Discovery runs: kubectl get pods -A -l app.kubernetes.io/name"
    return Link("nfd", False, f"the node has no label {NFD[0]}", f"{do}=node-feature-discovery")


def present(node: Node) -> Link:
    value = node.labels.get(PRESENT)
    do = "the operator sets it: kubectl get clusterpolicy, kubectl logs -n gpu-operator"
    return label_link("present", PRESENT, value, f"{do} -l app=gpu-operator")


def deploy(node: Node, operand: Operand) -> Link:
    label = f"{DEPLOY}{operand.label}"
    do = f"kubectl get node {node.name} -L {label}"
    return label_link(f"deploy {operand.label}", label, node.labels.get(label), do)


def label_link(name: str, label: str, value: str | None, do: str) -> Link:
    if value == "true":
        return Link(name, True, f"{label}=true")
    seen = f"{label}={value}" if value else f"the node has no label {label}"
    return Link(name, False, seen, do)


def running(node: Node, operand: Operand, pods: tuple[Pod, ...], policy: KubeObject) -> Link:
    """Its Pod is on the node and ready."""
    pod = next((each for each in pods if labels_of(each.object).get("app") == operand.app), None)
    if pod is None:
        foreign = ", ".join(map(spell, kept_out_by(node, policy)))
        taints = f"; the node has taint {foreign}" if foreign else ""
        seen = f"no Pod {operand.app} on the node{taints}"
        return Link(operand.app, False, seen, f"kubectl describe ds -n {NAMESPACE} {operand.app}")
    if pod.is_ready:
        return Link(operand.app, True, f"{pod.name} is ready")
    do = f"kubectl logs -n {pod.namespace} {pod.name} --all-containers"
    return Link(operand.app, False, f"{pod.name}: {state_of(pod)}", do)


def kept_out_by(node: Node, policy: KubeObject) -> list[KubeObject]:
    """Taints that operands do not tolerate; those of Kubernetes itself every DaemonSet does."""
    daemonsets = (policy.get("spec") or {}).get("daemonsets") or {}
    usual = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    operand = Pod({"spec": {"tolerations": daemonsets.get("tolerations") or usual}})
    own = "node.kubernetes.io/"
    return [one for one in untolerated(operand, node) if not str(one.get("key")).startswith(own)]


def state_of(pod: Pod) -> str:
    """As `kubectl get pods` has it: `Init:0/1`, `CrashLoopBackOff`, `Running, not ready`."""
    done = [each.exit_code == 0 or each.status.get("ready") for each in pod.init_containers]
    waiting = next((each.waiting[0] for each in pod.all_containers if each.waiting[0]), "")
    if not all(done):
        in_trouble = pod.trouble
        return f"Init:{in_trouble[1]}" if in_trouble else f"Init:{sum(map(bool, done))}/{len(done)}"
    return waiting or f"{pod.phase}, not ready"


def discovered(node: Node) -> Link:
    if node.labels.get(PRODUCT):
        return Link("gfd", True, f"{PRODUCT}={node.labels[PRODUCT]}")
    do = f"kubectl logs -n {NAMESPACE} -l app=gpu-feature-discovery"
    return Link("gfd", False, f"the node has no label {PRODUCT}", do)


def allocatable(node: Node) -> Link:
    """As many as GPU feature discovery counted, or as the device plugin once registered."""
    have, expected = node.allocatable(), max(node.capacity(), counted(node))
    if mig := sorted(mig_resources(node)):
        return Link("allocatable", True, f"the node offers {', '.join(mig)}")
    seen = f"{have} of {expected} {GPU} allocatable"
    if have and have >= expected:
        return Link("allocatable", True, seen)
    do = f"kubectl logs -n {NAMESPACE} -l app=nvidia-device-plugin-daemonset"
    return Link("allocatable", False, seen, f"{do} names a GPU that is unhealthy")


def counted(node: Node) -> int:
    count, replicas = node.labels.get(COUNT, ""), node.labels.get(REPLICAS, "1")
    if not (count.isdecimal() and replicas.isdecimal()):
        return 0
    return int(count) * max(1, int(replicas))


def mig_resources(node: Node) -> Iterator[str]:
    allocatable: dict[str, str] = (node.object.get("status") or {}).get("allocatable") or {}
    return (name for name in allocatable if name.startswith("nvidia.com/mig-"))
