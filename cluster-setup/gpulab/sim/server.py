"""The kubelet server: what `kubectl logs` and `kubectl exec` reach through the API server.

Only the API server may ask: mutual TLS against the kubelets' own CA, and the client's name.
Protocol as measured with kubectl 1.36.3: logs are plain text, exec is a WebSocket with the
subprotocol v5.channel.k8s.io.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from aiohttp import WSMsgType, web

from gpulab.pki import APISERVER_CLIENT
from gpulab.ports import LOOPBACK
from gpulab.sim import messages
from gpulab.sim.api import encode
from gpulab.sim.config import Identity
from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.program import CannotStart, Line, Program, Run, Sleep, output
from gpulab.sim.status import parse
from gpulab.sim.workloads import Catalogue

STDIN, STDOUT, STDERR, STATUS = 0, 1, 2, 3
TICK = dt.timedelta(microseconds=999_999)
"""A status has whole seconds: a process may have written up to the end of its last one."""
FOLLOW_SECONDS = 0.2  # how often a followed log is looked at


async def serve(kubelets: Kubelets, workloads: Catalogue, identity: Identity, port: int) -> None:
    """Listen on loopback until cancelled."""
    app = web.Application(middlewares=[_only_the_api_server])
    handlers = _Handlers(kubelets, workloads)
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/containerLogs/{namespace}/{pod}/{container}", handlers.logs),
            web.get("/exec/{namespace}/{pod}/{container}", handlers.exec),
            web.get("/exec/{namespace}/{pod}/{uid}/{container}", handlers.exec),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port, ssl_context=_tls(identity)).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _tls(identity: Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=identity.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.crt, identity.key)
    return context


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _only_the_api_server(request: web.Request, handler: Handler) -> web.StreamResponse:
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert") or {}
    names = {value for part in certificate.get("subject", ()) for _, value in part}
    if APISERVER_CLIENT not in names:
        raise web.HTTPForbidden(text="only the API server may ask a kubelet")
    return await handler(request)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")


class _Handlers:
    def __init__(self, kubelets: Kubelets, workloads: Catalogue) -> None:
        self._kubelets = kubelets
        self._workloads = workloads

    async def logs(self, request: web.Request) -> web.StreamResponse:
        lifecycle = self._lifecycle(request)
        options = _LogOptions(request.query)
        state = _instance(lifecycle, options.previous, request.match_info["pod"])
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for chunk in options.select(_lines(lifecycle, state, options.follow)):
            await response.write(chunk.encode())
        await response.write_eof()
        return response

    async def exec(self, request: web.Request) -> web.StreamResponse:
        lifecycle = self._lifecycle(request)
        if not lifecycle.container.running:
            raise web.HTTPNotFound(text=f"container not found ({lifecycle.container.name!r})")
        socket = web.WebSocketResponse(
            protocols=("v5.channel.k8s.io",), max_msg_size=0, compress=False
        )
        await socket.prepare(request)
        argv = request.query.getall("command", [])
        session = _ExecSession(socket, tty=request.query.get("tty") in ("1", "true"))
        found = self._workloads.find(argv, lifecycle.surroundings())
        await session.run(found, argv, lifecycle.container.container_id)
        await socket.close()
        return socket

    def _lifecycle(self, request: web.Request) -> Lifecycle:
        where = request.match_info
        worker = self._kubelets.find(where["namespace"], where["pod"])
        for lifecycle in worker.lifecycles if worker else []:
            if lifecycle.container.name == where["container"]:
                return lifecycle
        raise web.HTTPNotFound(text=f"pod {where['pod']!r} or its container is not on this node")


def _instance(lifecycle: Lifecycle, previous: bool, pod: str) -> dict[str, Any]:
    """The run whose log is asked for; the texts are the kubelet's (kubelet_pods.go)."""
    container = lifecycle.container
    ended = container.last.get("terminated")
    if previous:
        if not ended:
            text = f'previous terminated container "{container.name}" in pod "{pod}" not found'
            raise web.HTTPBadRequest(text=text)
        return dict(ended)
    if "waiting" not in container.state and container.state:
        return dict(next(iter(container.state.values())))
    if ended:
        return dict(ended)
    reason = container.state.get("waiting", {}).get("reason", messages.CONTAINER_CREATING)
    why = {
        messages.ERR_IMAGE_PULL: "image can't be pulled",
        messages.IMAGE_PULL_BACK_OFF: "trying and failing to pull image",
    }.get(reason, reason)
    text = f'container "{container.name}" in pod "{pod}" is waiting to start: {why}'
    raise web.HTTPBadRequest(text=text)


async def _lines(lifecycle: Lifecycle, state: dict[str, Any], follow: bool) -> AsyncIterator[Line]:
    """What the run wrote; with `follow`, also what it goes on to write until it ends."""
    program = lifecycle.program()
    if isinstance(program, CannotStart) or state.get("reason") == messages.START_ERROR:
        return
    started, sent = lifecycle.started_at(state), 0
    while True:
        current = lifecycle.container.state.get("running", {})
        live = current.get("startedAt") == state["startedAt"] and "finishedAt" not in state
        until = parse(state["finishedAt"]) + TICK if "finishedAt" in state else _now()
        written = list(output(program.script, started, until, lifecycle.node.facts))
        for line in written[sent:]:
            yield line
        sent = len(written)
        if not (follow and live):
            return
        await asyncio.sleep(FOLLOW_SECONDS)


class _LogOptions:
    """kubectl's choices: --tail, --since, --timestamps, --limit-bytes, -f, -p."""

    def __init__(self, query: Any) -> None:
        self.follow = query.get("follow") == "true"
        self.previous = query.get("previous") == "true"
        self._timestamps = query.get("timestamps") == "true"
        self._tail = int(query["tailLines"]) if "tailLines" in query else None
        self._limit = int(query["limitBytes"]) if "limitBytes" in query else None
        self._since = _since(query)

    async def select(self, lines: AsyncIterator[Line]) -> AsyncIterator[str]:
        left = self._limit
        async for text in self._tailed(lines):
            if left is not None:
                text, left = text[:left], left - len(text)
            yield text
            if left is not None and left <= 0:
                return

    async def _tailed(self, lines: AsyncIterator[Line]) -> AsyncIterator[str]:
        if self._tail is None or self.follow:
            async for line in lines:
                for text in self._physical(line):
                    yield text
            return
        kept = [text async for line in lines for text in self._physical(line)]
        for text in kept[-self._tail :] if self._tail else []:
            yield text

    def _physical(self, line: Line) -> Iterator[str]:
        if self._since and line.at < self._since:
            return
        prefix = f"{line.at.isoformat().replace('+00:00', 'Z')} " if self._timestamps else ""
        for text in line.text.splitlines(keepends=True):
            yield prefix + text


def _since(query: Any) -> dt.datetime | None:
    if "sinceSeconds" in query:
        return _now() - dt.timedelta(seconds=int(query["sinceSeconds"]))
    return parse(query["sinceTime"]) if "sinceTime" in query else None


class _ExecSession:
    """One exec: frames out, a Status at the end."""

    def __init__(self, socket: web.WebSocketResponse, *, tty: bool) -> None:
        self._socket = socket
        self._tty = tty

    async def run(self, found: Program | CannotStart, argv: Iterable[str], cid: str) -> None:
        if isinstance(found, CannotStart):
            text = messages.exec_failed(cid.removeprefix("containerd://"), found.executable)
            await self._end({"status": "Failure", "reason": "InternalError", "message": text})
        elif not found.modelled:
            what = " ".join(argv)
            await self._send(STDERR, f"gpulab does not simulate {what!r} in a container\n")
            await self._exit(127)
        else:
            await self._play(found)

    async def _play(self, program: Program) -> None:
        run = Run(program.script, _now())
        gone = asyncio.ensure_future(self._drain())
        try:
            for event in run:
                if isinstance(event, Line):
                    await self._send(STDERR if event.stream == "stderr" else STDOUT, event.text)
                elif isinstance(event, Sleep) and await self._sleep(event, gone):
                    return
        finally:
            gone.cancel()
        await self._exit(run.code or 0)

    async def _sleep(self, event: Sleep, gone: asyncio.Future[None]) -> bool:
        """Wait; True if kubectl went away meanwhile."""
        limit = None if event.seconds == float("inf") else event.seconds
        done, _ = await asyncio.wait({gone}, timeout=limit)
        return bool(done)

    async def _drain(self) -> None:
        """Read what kubectl sends (nobody reads stdin here) until it closes."""
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
                return
            if message.type == WSMsgType.ERROR:
                return
            if self._tty and message.type == WSMsgType.BINARY and b"\x03" in message.data[1:]:
                return  # Ctrl-C

    async def _send(self, channel: int, text: str) -> None:
        if self._tty:
            channel, text = STDOUT, text.replace("\n", "\r\n")
        await self._socket.send_bytes(bytes([channel]) + text.encode())

    async def _exit(self, code: int) -> None:
        if code == 0:
            await self._end({"status": "Success"})
            return
        cause = {"reason": "ExitCode", "message": str(code)}
        await self._end(
            {
                "status": "Failure",
                "reason": "NonZeroExitCode",
                "message": f"command terminated with non-zero exit code: exit status {code}",
                "details": {"causes": [cause]},
            }
        )

    async def _end(self, status: dict[str, Any]) -> None:
        await self._socket.send_bytes(bytes([STATUS]) + encode({"metadata": {}, **status}))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
