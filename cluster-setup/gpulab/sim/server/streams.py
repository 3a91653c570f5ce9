"""The streams of exec and attach in one WebSocket: subprotocol v5.channel.k8s.io.

The first byte of a message names its channel; on channel 255 the client closes another one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from gpulab.sim.api import encode
from gpulab.sim.program import Print, Stdin
from gpulab.sim.server.terminal import Terminal
from gpulab.sim.shell.process import raw

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
MOST = 40 * 2**20  # bytes of standard input that wait to be read; more is cut off
GONE = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)


class HungUp(Exception):
    """Kubectl went away."""


class Channels:
    """One session: what comes in, and how to answer."""

    def __init__(self, socket: web.WebSocketResponse, *, stdin: bool, tty: bool) -> None:
        self._socket, self._tty = socket, tty
        self.stdin = Stdin(closed=not stdin, terminal=tty)
        self._terminal = Terminal(self.stdin) if tty else None
        self._news = asyncio.Event()
        self.interrupted = False
        self.gone = False

    async def receive(self) -> None:
        """Take in what kubectl sends, until it goes away."""
        try:
            while True:
                message = await self._socket.receive()
                if message.type in GONE:
                    return
                if message.type == WSMsgType.BINARY and message.data:
                    await self._take(message.data[0], message.data[1:])
                    self._news.set()
        finally:
            self.gone = True
            self._news.set()

    async def _take(self, channel: int, data: bytes) -> None:
        if channel == STDIN and self._terminal is not None:
            echo, interrupted = self._terminal.feed(data)
            self.interrupted = self.interrupted or interrupted
            if echo:
                await self._socket.send_bytes(bytes([STDOUT]) + echo)
        elif channel == STDIN and not self.stdin.closed:
            self.stdin.buffer += data
            self.stdin.closed = len(self.stdin.buffer) > MOST
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            self.stdin.closed = True
        elif channel == RESIZE:
            size = msgspec.json.decode(data, type=dict[str, int])
            self.stdin.size = size.get("Height", 0), size.get("Width", 0)

    async def wait(self, seconds: float | None) -> bool:
        """Wait for something to come in; False if the time passed first."""
        self._news.clear()
        if self.gone:
            raise HungUp
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        if self.gone:
            raise HungUp
        return True

    async def print(self, step: Print) -> None:
        channel = STDERR if step.stream == "stderr" and not self._tty else STDOUT
        data = raw(step.text)
        if self._tty:
            data = data.replace(b"\n", b"\r\n")
        if data and not self.gone:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def exit(self, code: int) -> None:
        if code == 0:
            return await self.end({"status": "Success"})
        cause = {"reason": "ExitCode", "message": str(code)}
        await self.end(
            {
                "status": "Failure",
                "reason": "NonZeroExitCode",
                "message": f"command terminated with non-zero exit code: exit status {code}",
                "details": {"causes": [cause]},
            }
        )

    async def end(self, status: dict[str, Any]) -> None:
        if not self.gone:
            await self._socket.send_bytes(bytes([STATUS]) + encode({"metadata": {}, **status}))


def chosen(request: web.Request, name: str) -> bool:
    """An option of exec or attach."""
    return request.query.get(name) in ("1", "true")


async def accept(request: web.Request) -> web.WebSocketResponse:
    """Begin a WebSocket session; another protocol is refused in one line."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        text = "gpulab's kubelets speak WebSocket here, not SPDY: use kubectl 1.31 or newer\n"
        raise web.HTTPBadRequest(text=text)
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0, compress=False)
    await socket.prepare(request)
    return socket
