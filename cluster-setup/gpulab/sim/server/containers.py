"""Finds the container that a request is about."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.pod import PodWorker
from gpulab.sim.runtime import Trouble
from gpulab.sim.scene import scene


def pod(kubelets: Kubelets, request: web.Request) -> PodWorker:
    """The Pod of the request; the texts are the kubelet's (pkg/kubelet/server)."""
    worker = kubelets.find(request.match_info["namespace"], request.match_info["pod"])
    if worker is None:
        raise web.HTTPNotFound(text="pod does not exist")
    if trouble := worker.trouble:
        raise TROUBLES[trouble]()
    return worker


# our reading of what reaches the user: containerd's socket refuses; nobody dials a silent node
TROUBLES: dict[Trouble, Callable[[], web.HTTPException]] = {
    "runtime-down": lambda: web.HTTPInternalServerError(text=NO_RUNTIME),
    "silent": lambda: web.HTTPBadGateway(text="the kubelet of this node does not answer"),
}
NO_RUNTIME = (
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while '
    'dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"'
)


def container(kubelets: Kubelets, request: web.Request) -> Lifecycle:
    name = request.match_info["container"]
    for lifecycle in pod(kubelets, request).lifecycles:
        if lifecycle.container.name == name:
            return lifecycle
    raise web.HTTPNotFound(text=f"container {name!r} of this pod is not on this node")


def running(kubelets: Kubelets, request: web.Request) -> Lifecycle:
    """A container in which something can be done."""
    lifecycle = container(kubelets, request)
    if not lifecycle.container.running:
        raise web.HTTPNotFound(text=f'container not found ("{lifecycle.container.name}")')
    for each in pod(kubelets, request).lifecycles:
        if each.container.running:
            scene(each)  # what its main process wrote into shared volumes so far
    return lifecycle
