"""Free loopback ports, chosen once per lab and kept, so that its kubeconfig stays true."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable, Mapping

import psutil

from autograders.errors import InputError

LOOPBACK = "127.0.0.1"
# Below the ports that systems lend to outgoing connections (Linux from 32768, macOS from 49152):
# one of those could be taken for a moment just when a stopped lab wants it back.
RANGE = range(20000, 32000)


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Choose a free port for each name, at random so that labs made at once differ."""
    candidates = iter(random.sample(RANGE, len(RANGE)))
    chosen = {name: next((p for p in candidates if is_free(p)), None) for name in names}
    if None in chosen.values():
        raise InputError(
            f"no loopback port from {RANGE.start} to {RANGE.stop - 1} is free",
            "stop some of the programs that listen there",
        )
    return {name: port for name, port in chosen.items() if port is not None}


def is_free(port: int, address: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        # as servers do, so that a connection of the lab's last run does not count as taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def check_free(ports: Mapping[str, int], lab: str, address: str = LOOPBACK) -> None:
    """Raise InputError for a port of a stopped lab that another program holds.

    A killed process's sockets may outlive it by a moment, so a port has two seconds to become free.
    """
    for name, port in ports.items():
        deadline = time.monotonic() + 2
        while not is_free(port, address):
            if time.monotonic() > deadline:
                raise InputError(
                    f"port {port}, which lab {lab!r} keeps for its {name}, is in use by "
                    f"{_holder(port)}",
                    f"stop that program, or make the lab anew: gpulab down --delete --name {lab}",
                )
            time.sleep(0.05)


def _holder(port: int) -> str:
    """Who listens there, as far as the system tells this user."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.pid and port in each.laddr:
                return f"another program ({psutil.Process(each.pid).name()}, process {each.pid})"
    except psutil.Error:
        pass
    return "another program"
