"""Finds the container that a request is about."""

from __future__ import annotations

from aiohttp import web

from gpulab.sim.container import Lifecycle
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.pod import PodWorker
from gpulab.sim.scene import scene


def pod(kubelets: Kubelets, request: web.Request) -> PodWorker:
    """The Pod of the request; the texts are the kubelet's (pkg/kubelet/server)."""
    worker = kubelets.find(request.match_info["namespace"], request.match_info["pod"])
    if worker is None:
        raise web.HTTPNotFound(text="pod does not exist")
    return worker


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
