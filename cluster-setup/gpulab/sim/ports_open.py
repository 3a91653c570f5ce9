"""Which ports of a container answer, and what they say: for probes and `kubectl port-forward`."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from gpulab.sim.program import Program
from gpulab.sim.scene import scene

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle


def listening(lifecycle: Lifecycle) -> frozenset[int]:
    """The ports on which the container's process accepts connections now."""
    program = lifecycle.program()
    if not lifecycle.container.running or not isinstance(program, Program):
        return frozenset()
    return program.ports | scene(lifecycle).ports.keys()


def listens(lifecycle: Lifecycle, port: int) -> bool:
    """Whether a connection to this port of the container would be accepted now."""
    return port in listening(lifecycle)


def http_answer(lifecycle: Lifecycle, port: int, path: str = "/") -> tuple[int, str] | None:
    """Status and body of a GET; None where the connection is refused."""
    if not listens(lifecycle, port):
        return None
    root = scene(lifecycle).ports.get(port)
    if root is not None:
        return _served(lifecycle, posixpath.join(root, path.partition("?")[0].lstrip("/")))
    meta = lifecycle.pod["metadata"]
    where = f"port {port} of container {lifecycle.container.name} in Pod {meta['name']}"
    return 200, f"gpulab simulates {where}: it answers, but no server runs behind it\n"


def _served(lifecycle: Lifecycle, path: str) -> tuple[int, str]:
    files = scene(lifecycle).files
    path = posixpath.normpath(path)
    if files.is_dir(path):
        path = posixpath.join(path, "index.html")
    if not files.is_file(path):
        return 404, "404 Not Found: there is no such file\n"
    return 200, files.read(path).decode("utf-8", "surrogateescape")
