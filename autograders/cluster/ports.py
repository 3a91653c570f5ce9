"""Ports of the node itself that Pods take (plugin NodePorts)."""

from __future__ import annotations

from collections.abc import Iterator

from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State

ANY = "0.0.0.0"
Port = tuple[str, str, int]  # address, protocol, number


def taken(pod: Pod, state: State) -> Filter:
    wanted = host_ports(pod)

    def check(place: Place) -> Iterator[Reason]:
        for port in wanted:
            holder = next((one for one in place.pods if uses(one, port)), None)
            if holder:
                text = "node(s) didn't have free ports for the requested pod ports"
                detail = f"host port {port[2]} is taken by {holder.namespace}/{holder.name}"
                yield Reason("NodePorts", text, detail)
                return

    return check


def host_ports(pod: Pod) -> tuple[Port, ...]:
    """Host ports of containers and sidecars; an init container's do not count."""
    sidecars = (each for each in pod.init_containers if each.spec.get("restartPolicy") == "Always")
    return tuple(
        (port.get("hostIP") or ANY, port.get("protocol") or "TCP", int(port["hostPort"]))
        for each in (*sidecars, *pod.containers)
        for port in each.spec.get("ports") or ()
        if port.get("hostPort")
    )


def uses(pod: Pod, wanted: Port) -> bool:
    return any(
        one[1:] == wanted[1:] and (one[0] == wanted[0] or ANY in (one[0], wanted[0]))
        for one in host_ports(pod)
    )
