"""`kubectl port-forward`: SPDY inside a WebSocket; each connection is a pair of streams."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from gpulab.sim.kubelet import Kubelets
from gpulab.sim.pod import PodWorker
from gpulab.sim.ports_open import http_answer, listens
from gpulab.sim.server import spdy
from gpulab.sim.server.containers import pod
from gpulab.sim.shell.process import raw

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
METHODS = ("GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "PATCH ", "OPTIONS ")
MOST = 2**20  # bytes of a request that count


@dataclass
class Connection:
    """One forwarded connection: its error stream, its data stream, and what came so far."""

    port: int
    error: int = 0
    data: int = 0
    received: bytearray = field(default_factory=bytearray)


class PortForward:
    """Answers for the ports of simulated containers."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        worker = pod(self._kubelets, request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            text = "gpulab's kubelets speak WebSocket here, not SPDY: use kubectl 1.31 or newer\n"
            raise web.HTTPBadRequest(text=text)
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0, compress=False)
        await socket.prepare(request)
        tunnel = Tunnel(worker)
        async for message in socket:
            if message.type != WSMsgType.BINARY:
                break
            try:
                answer = tunnel.feed(message.data)
            except spdy.BadFrame:
                break
            if answer:
                await socket.send_bytes(answer)
        await socket.close()
        return socket


class Tunnel:
    """One `kubectl port-forward`."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._framer = spdy.Framer()
        self._connections: dict[str, Connection] = {}  # by request ID
        self._streams: dict[int, Connection] = {}

    def feed(self, received: bytes) -> bytes:
        """Bytes to send back."""
        return b"".join(self._answer(frame) for frame in self._framer.feed(received))

    def _answer(self, frame: spdy.Frame) -> bytes:
        if frame.kind == spdy.SYN_STREAM:
            return self._framer.reply(frame.stream) + self._open(frame)
        if frame.kind == spdy.PING:
            return spdy.pong(frame)
        if frame.kind == spdy.RST_STREAM:
            self._forget(self._streams.get(frame.stream))
        elif frame.kind == 0 and (connection := self._streams.get(frame.stream)):
            return self._receive(connection, frame)
        return b""

    def _open(self, frame: spdy.Frame) -> bytes:
        headers = frame.headers
        number = headers.get("requestid", str(frame.stream))
        port = headers.get("port", "")
        connection = self._connections.setdefault(
            number, Connection(int(port) if port.isdigit() else 0)
        )
        self._streams[frame.stream] = connection
        if headers.get("streamtype") == "error":
            connection.error = frame.stream
        else:
            connection.data = frame.stream
        both = connection.error and connection.data
        return self._refuse(connection) if both and not self._listens(connection.port) else b""

    def _listens(self, port: int) -> bool:
        return any(listens(lifecycle, port) for lifecycle in self._worker.lifecycles)

    def _refuse(self, connection: Connection) -> bytes:
        """In containerd's words: internal/cri/server/sandbox_portforward_linux.go."""
        uid = self._worker.pod["metadata"]["uid"]
        sandbox = hashlib.sha256(uid.encode()).hexdigest()
        port = connection.port
        namespace = f"/var/run/netns/cni-{uid}"
        refused = "connect: connection refused"
        text = (
            f"error forwarding port {port} to pod {sandbox}, uid : failed to execute portforward "
            f'in network namespace "{namespace}": failed to connect to localhost:{port} inside '
            f'namespace "{sandbox}", IPv4: dial tcp4 127.0.0.1:{port}: {refused} '
            f"IPv6 dial tcp6 [::1]:{port}: {refused} "
        )
        self._forget(connection)
        said = spdy.data(connection.error, text.encode(), fin=True)
        return said + spdy.reset(connection.data) + spdy.reset(connection.error)

    def _receive(self, connection: Connection, frame: spdy.Frame) -> bytes:
        if frame.stream != connection.data:
            return b""
        connection.received += frame.data
        request = bytes(connection.received[:MOST])
        text = request.decode("latin-1")
        is_http = text.startswith(METHODS) or not text
        if is_http and b"\r\n\r\n" not in request and not frame.fin and len(request) < MOST:
            return b""
        self._forget(connection)
        said = self._serve(connection.port, text) if text.startswith(METHODS) else b""
        closed = spdy.data(connection.error, b"", fin=True)
        return spdy.data(connection.data, said, fin=True) + closed

    def _serve(self, port: int, request: str) -> bytes:
        """An HTTP response to a request."""
        method, path = [*request.split(None, 2), "/"][:2]
        found = [http_answer(each, port, path) for each in self._worker.lifecycles]
        status, body = next((one for one in found if one is not None), (503, "gone\n"))
        content = raw(body)
        words = {200: "OK", 404: "Not Found"}.get(status, "Service Unavailable")
        head = (
            f"HTTP/1.1 {status} {words}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\nServer: gpulab\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else content)

    def _forget(self, connection: Connection | None) -> None:
        if connection is not None:
            self._streams.pop(connection.data, None)
            self._streams.pop(connection.error, None)
            self._connections = {k: v for k, v in self._connections.items() if v is not connection}
