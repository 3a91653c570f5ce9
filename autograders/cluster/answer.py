"""The one sentence: where a Pod is, or why it is nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from autograders.cluster.amounts import requests, show, units
from autograders.cluster.fit import Explanation, device
from autograders.cluster.nearest import Change
from autograders.cluster.pods import Pod

LAYER = "scheduling is not the problem"


def placed(pod: Pod) -> str:
    """For a Pod that has a node or has ended: the scheduler is done with it."""
    where = f"Pod {pod.name} is on {pod.node}" if pod.node else f"Pod {pod.name} has no node"
    if pod.meta.get("deletionTimestamp"):
        return f"{where} and is being deleted; until it is gone it holds what it asked for"
    if pod.phase == "Succeeded":
        return f"{where}, has ended well and holds nothing any more"
    if pod.phase == "Failed":
        why = ": ".join(str(pod.status[key]) for key in ("reason", "message") if key in pod.status)
        return f"{where} and has failed{f' ({why})' if why else ''}; {LAYER}"
    if pod.trouble:
        container, reason, message = pod.trouble
        return f"{where}; {LAYER}: container {container.name} waits: {reason}{tail(message)}"
    if pod.is_ready:
        return f"{where}, runs and is ready; it needed {needs(pod)}"
    return f"{where}; {LAYER}: {unready(pod)}; it needed {needs(pod)}"


def tail(message: str) -> str:
    return f" ({message})" if message else ""


def unready(pod: Pod) -> str:
    """What its first container that is not ready does."""
    for each in pod.all_containers:
        reason, message = each.waiting
        if reason:
            return f"container {each.name} waits: {reason}{tail(message)}"
        if "running" in (each.status.get("state") or {}) and not each.status.get("ready"):
            return f"container {each.name} runs and is not ready"
    return "its kubelet has not yet said anything" if pod.phase == "Pending" else "it runs"


def needs(pod: Pod) -> str:
    """What the scheduler set aside for it: `8 nvidia.com/gpu, 4 cpu and 32Gi memory`."""
    asked = requests(pod).items()
    parts = [f"{show(name, units(name, value))} {name}" for name, value in asked if value]
    parts.sort(key=lambda part: "/" not in part)
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "nothing"


def unplaced(found: Explanation, changes: Sequence[Change]) -> str:
    """For a Pod without a node."""
    name = found.pod.name
    if found.blocked:
        return f"Pod {name} is not looked at: {found.blocked}"
    if found.fits:
        return f"Pod {name} fits on {', '.join(found.fits)}: the scheduler is about to place it"
    if best := found.preemption.candidates:
        victims = ", ".join(f"{each.namespace}/{each.name}" for each in best[0].victims)
        return f"Pod {name} takes the place of {victims} on {best[0].node}, by its priority"
    step = f". Nearest change: {changes[0].text}" if changes else ". No small change helps"
    return f"Pod {name} fits on none of {len(found.nodes)} nodes: {most_common(found)}{step}"


def most_common(found: Explanation) -> str:
    """The reason of most nodes; for devices also how many are free, and how scattered."""
    text, count = max(found.counts.items(), key=lambda each: each[1])
    rest = len(found.counts) - 1
    more = f", and {rest} other reason{'s' * (rest > 1)}" if rest else ""
    if text != f"Insufficient {device(found.pod)}":
        return f"{text} on {count}{more}"
    asked = int(requests(found.pod).get(device(found.pod), 0))
    free = [each.gpus.free for each in found.nodes]
    scattered = f"asks for {asked}, {max(free)} at most are free on one node, {sum(free)} in all"
    return f"{text} on {count} ({scattered}){more}"
