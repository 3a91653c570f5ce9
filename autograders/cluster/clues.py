"""What is wrong with a Pod that has its node: from its status, its events, its log, its node.

Texts are recognised by the words of who wrote them: the kubelet, containerd, PyTorch, NVML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from autograders.cluster.chain import Chain
from autograders.cluster.pods import Container, Pod
from autograders.model import KubeObject


@dataclass(frozen=True)
class Clue:
    """One thing that is not as it should be, or that only a look elsewhere shows."""

    seen: str
    """What was found, and what it means."""
    do: str = ""
    """What to look at, or to change."""


@dataclass(frozen=True)
class Evidence:
    """What is read beside the Pod itself."""

    warnings: tuple[str, ...] = ()
    """Messages of Warning events about it, oldest first."""
    logs: Mapping[str, str] | None = None
    """Container -> the end of its log."""
    chain: Chain | None = None
    """What a GPU of its node rests on; None for a Pod that needs none."""


SIGNS = (
    (
        r"driver on your system is too old|driver version is insufficient for CUDA",
        "the driver of its node is too old for the CUDA of its image",
        "kubectl get node {node} -L nvidia.com/cuda.driver-version.full; "
        "take an image for an older CUDA, or another node",
    ),
    (
        r"CUDA out of memory",
        "its process wants more memory than the GPU has; the kernel's OOMKilled is another thing",
        "a smaller batch or model, or a larger GPU; kubectl get nodes -L nvidia.com/gpu.memory",
    ),
    (
        r"Bus error|insufficient shared memory",
        "/dev/shm is too small for the workers of its DataLoader: 64 MiB unless something is "
        "mounted there",
        "mount an emptyDir with medium: Memory at /dev/shm, or use fewer workers",
    ),
    (
        r"Failed to initialize NVML: Unknown Error",
        "its container has lost the devices that it was given",
        "delete the Pod: a new one gets its devices anew",
    ),
    (
        r"no runtime for \"[\w-]+\" is configured",
        "containerd of its node does not know the handler of its RuntimeClass",
        "the toolkit configures it: kubectl get pods -n gpu-operator -o wide "
        "--field-selector spec.nodeName={node}; on the node: /etc/containerd/config.toml",
    ),
    (
        r"failed to do request: .*dial tcp",
        "its node does not reach the registry",
        "other images of that registry fail there, too: kubectl get events -A "
        "--field-selector reason=Failed",
    ),
    (
        r"failed to resolve image: \S+: not found",
        "the registry has no image of that name and tag",
        "correct the image's name or tag",
    ),
)
"""Words, what they mean, what to do."""


def clues(pod: Pod, found: Evidence) -> Iterator[Clue]:
    """All clues, those that name a cause first; none for a Pod that was never started wrongly."""
    texts = list(spoken(pod, found))
    for pattern, meaning, do in SIGNS:
        if any(re.search(pattern, text, re.DOTALL) for text in texts):
            yield Clue(meaning, do.format(node=pod.node))
    yield from killed(pod)
    yield from unhealthy(pod)
    if found.chain and (link := found.chain.broken):
        yield Clue(f"GPU Operator: {link.seen}", link.do)
    if not pod.is_ready and not pod.is_finished and found.warnings:
        yield Clue(f"the last warning about it: {found.warnings[-1]}")
    if pod.is_ready and pod.devices():
        yield hidden(pod)


def spoken(pod: Pod, found: Evidence) -> Iterator[str]:
    yield from (each.waiting[1] for each in pod.all_containers)
    yield from (found.logs or {}).values()
    if not pod.is_ready:
        yield from found.warnings[-1:]


def killed(pod: Pod) -> Iterator[Clue]:
    for each in pod.all_containers:
        if was_killed(each):
            limits = (each.spec.get("resources") or {}).get("limits") or {}
            limit = limits.get("memory")
            why = f"its limit is {limit}" if limit else "the node has no more"
            seen = f"the kernel has ended container {each.name} for its memory (OOMKilled): {why}"
            yield Clue(seen, "raise limits.memory, or let the process use less")


def was_killed(container: Container) -> bool:
    states = (container.status.get("state") or {}, container.status.get("lastState") or {})
    return any((one.get("terminated") or {}).get("reason") == "OOMKilled" for one in states)


def unhealthy(pod: Pod) -> Iterator[Clue]:
    """Devices that their plugin has given up (KEP-4680)."""
    for container in pod.all_containers:
        for allocated in container.status.get("allocatedResourcesStatus") or ():
            for device in allocated.get("resources") or ():
                if device.get("health") == "Unhealthy":
                    seen = f"{device.get('resourceID')}, which it holds, is Unhealthy"
                    log = "kubectl logs -n gpu-operator -l app=nvidia-device-plugin-daemonset"
                    yield Clue(seen, f"{log} names the Xid; then drain the node")


def hidden(pod: Pod) -> Clue:
    """A slow, hot or lost GPU is nowhere in the API."""
    name = next(each.name for each in pod.containers if each.devices())
    do = f"kubectl exec -n {pod.namespace} {pod.name} -c {name} -- nvidia-smi -q -d PERFORMANCE"
    return Clue("whether its GPUs are slow, hot or lost is not in the API", do)


def messages(events: Iterable[KubeObject]) -> tuple[str, ...]:
    """Messages of the Warnings among events, in the order of their last time."""
    warnings = [each for each in events if each.get("type") == "Warning"]
    return tuple(str(each.get("message", "")) for each in sorted(warnings, key=last_time))


def last_time(event: KubeObject) -> str:
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max(str(each) for each in (*times, "") if each is not None)
