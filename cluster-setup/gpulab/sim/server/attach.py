"""`kubectl attach`: the main process's output from now on, or its shell if it is one."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.program import Print, Program
from gpulab.sim.scene import find
from gpulab.sim.server.containers import running
from gpulab.sim.server.logs import lines, now
from gpulab.sim.server.session import play_beside
from gpulab.sim.server.streams import Channels, HungUp, accept, chosen
from gpulab.sim.shell import console


class Attach:
    """Connects to main processes."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        lifecycle = running(self._kubelets, request)
        stdin = bool(lifecycle.container.spec.get("stdin")) and chosen(request, "input")
        socket = await accept(request)
        channels = Channels(socket, stdin=stdin, tty=chosen(request, "tty"))
        receiving = asyncio.ensure_future(channels.receive())
        try:
            await self._attach(lifecycle, channels, receiving)
        except (HungUp, ConnectionError):
            if lifecycle.container.spec.get("stdinOnce") and stdin:
                self._leave(lifecycle, 0)
        finally:
            receiving.cancel()
        await socket.close()
        return socket

    async def _attach(
        self, lifecycle: Lifecycle, channels: Channels, receiving: asyncio.Future[Any]
    ) -> None:
        shell = _shell(lifecycle)
        found = find(lifecycle, shell, channels.stdin) if shell else None
        if isinstance(found, Program):
            code = await play_beside(found.script, channels, lifecycle)
            self._leave(lifecycle, code)
            return await channels.exit(0)
        watching = asyncio.ensure_future(self._watch(lifecycle, channels))
        await asyncio.wait({watching, receiving}, return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()

    async def _watch(self, lifecycle: Lifecycle, channels: Channels) -> None:
        """Until the process ends, as the runtime does; its exit code is in the Pod's status."""
        program = lifecycle.program()
        if isinstance(program, Program) and not program.modelled:
            text = "gpulab does not simulate this process: it prints nothing\n"
            await channels.print(Print(text, "stderr"))
        state = lifecycle.container.state["running"]
        async for line in lines(lifecycle, state, follow=True, since=now()):
            await channels.print(Print(line.text, line.stream))
        await channels.exit(0)

    def _leave(self, lifecycle: Lifecycle, code: int) -> None:
        if lifecycle.container.running and _shell(lifecycle):
            console.end(lifecycle, code)


def _shell(lifecycle: Lifecycle) -> list[str]:
    """The command line of a main process that is a shell which someone types to, or nothing."""
    here = lifecycle.surroundings()
    words = lifecycle.world.workloads.main(here)
    return words if console.is_console(words, here) else []
