"""The kubelets' paths; only the API server may ask."""

from __future__ import annotations

from aiohttp import web

from gpulab.pairs import APISERVER_CLIENT
from gpulab.sim.config import Identity
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.listening import listen
from gpulab.sim.server.attach import Attach
from gpulab.sim.server.exec import Exec
from gpulab.sim.server.logs import Logs
from gpulab.sim.server.port_forward import PortForward


async def serve(kubelets: Kubelets, identity: Identity, where: tuple[str, int]) -> None:
    """The kubelets' server; until cancelled."""
    logs, execute, attach = Logs(kubelets), Exec(kubelets), Attach(kubelets)
    forward = PortForward(kubelets)
    container = "/{namespace}/{pod}/{container}"
    await listen(
        [
            web.get(f"/containerLogs{container}", logs.handle),
            web.route("*", f"/exec{container}", execute.handle),
            web.route("*", "/exec/{namespace}/{pod}/{uid}/{container}", execute.handle),
            web.route("*", f"/attach{container}", attach.handle),
            web.route("*", "/attach/{namespace}/{pod}/{uid}/{container}", attach.handle),
            web.route("*", "/portForward/{namespace}/{pod}", forward.handle),
            web.route("*", "/portForward/{namespace}/{pod}/{uid}", forward.handle),
        ],
        identity,
        APISERVER_CLIENT,
        where,
    )
