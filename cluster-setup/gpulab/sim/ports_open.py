"""Which ports of a container answer, and what they say: for probes and `kubectl port-forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpulab.sim.program import Program

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle


def listening(lifecycle: Lifecycle) -> frozenset[int]:
    """The ports on which the container's process accepts connections now."""
    program = lifecycle.program()
    if not lifecycle.container.running or not isinstance(program, Program):
        return frozenset()
    return program.ports


def listens(lifecycle: Lifecycle, port: int) -> bool:
    """Whether a connection to this port of the container would be accepted now."""
    return port in listening(lifecycle)


def http_answer(lifecycle: Lifecycle, port: int, path: str = "/") -> tuple[int, str] | None:
    """Status and body of a GET; None where the connection is refused."""
    if not listens(lifecycle, port):
        return None
    meta = lifecycle.pod["metadata"]
    where = f"port {port} of container {lifecycle.container.name} in Pod {meta['name']}"
    return 200, f"gpulab simulates {where}: it answers, but no server runs behind it\n"
