"""Which ports of a container answer, and what they say: for probes and `kubectl port-forward`."""

from __future__ import annotations

import datetime as dt
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
    program = lifecycle.program()
    if isinstance(program, Program) and program.serves and path.partition("?")[0] == "/metrics":
        return 200, _metrics(lifecycle)
    meta = lifecycle.pod["metadata"]
    where = f"port {port} of container {lifecycle.container.name} in Pod {meta['name']}"
    return 200, f"gpulab simulates {where}: it answers, but no server runs behind it\n"


def _metrics(lifecycle: Lifecycle) -> str:
    """Of the GPUs of its node, as the exporter's own process has them for all nodes."""
    from gpulab.exporter import gather, series
    from gpulab.exporter.occupancy import Loads

    state, world, now = lifecycle.node, lifecycle.world, dt.datetime.now(dt.UTC)
    wrong = gather.Ailing(state.devices.sick, state.hot, state.driver_at(now))
    scripts = Loads(world.workloads, world.driver)
    pods = world.pods_on(state.node.name)
    return series.text(gather.samples(state.node, pods, wrong, scripts, now)).decode()


def _served(lifecycle: Lifecycle, path: str) -> tuple[int, str]:
    files = scene(lifecycle).files
    path = posixpath.normpath(path)
    if files.is_dir(path):
        path = posixpath.join(path, "index.html")
    if not files.is_file(path):
        return 404, "404 Not Found: there is no such file\n"
    return 200, files.read(path).decode("utf-8", "surrogateescape")
