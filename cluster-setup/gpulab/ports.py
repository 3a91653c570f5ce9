"""Free loopback ports, chosen once per lab and kept, so that its kubeconfig stays true."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from autograders.errors import InputError

LOOPBACK = "127.0.0.1"


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """A free port for each name; all are held until all are chosen, so none is chosen twice."""
    sockets: dict[str, socket.socket] = {}
    try:
        for name in names:
            sockets[name] = held = socket.socket()
            held.bind((LOOPBACK, 0))
        return {name: held.getsockname()[1] for name, held in sockets.items()}
    finally:
        for held in sockets.values():
            held.close()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as servers do, so that a connection of the lab's last run does not count as taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check_free(ports: Mapping[str, int], lab: str) -> None:
    """Raise InputError for the first port of a stopped lab that another program holds."""
    for name, port in ports.items():
        if not is_free(port):
            raise InputError(
                f"port {port}, which lab {lab!r} keeps for its {name}, is in use by another "
                "program",
                f"stop that program, or make the lab anew: gpulab down --delete --name {lab}",
            )
