"""`kubectl exec`, and `kubectl cp`, which is exec of `tar`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gpulab.sim import messages
from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.program import CannotStart, Print
from gpulab.sim.scene import find
from gpulab.sim.server.containers import running
from gpulab.sim.server.session import play_beside
from gpulab.sim.server.streams import Channels, HungUp, accept, chosen

NOT_FOUND = 127


class Exec:
    """Runs commands beside a container's main process."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        lifecycle = running(self._kubelets, request)
        socket = await accept(request)
        channels = Channels(socket, stdin=chosen(request, "input"), tty=chosen(request, "tty"))
        receiving = asyncio.ensure_future(channels.receive())
        try:
            await run(lifecycle, request.query.getall("command", []), channels)
        except (HungUp, ConnectionError):
            pass
        finally:
            receiving.cancel()
        await socket.close()
        return socket


async def run(lifecycle: Lifecycle, argv: list[str], channels: Channels) -> None:
    """Run one command and send its exit code."""
    found = find(lifecycle, argv, channels.stdin)
    if isinstance(found, CannotStart):
        cid = lifecycle.container.container_id.removeprefix("containerd://")
        cause = messages.exec_failed(cid, found.executable)
        internal = "Internal error occurred: "  # twice, as kubelet and API server say it
        text = f"{internal}{internal}error executing command in container: {cause}"
        await channels.end({"status": "Failure", "reason": "InternalError", "message": text})
    elif not found.modelled:
        text = f"gpulab does not simulate {' '.join(argv)!r} in a container\n"
        await channels.print(Print(text, "stderr"))
        await channels.exit(NOT_FOUND)
    else:
        await channels.exit(await play_beside(found.script, channels, lifecycle))
