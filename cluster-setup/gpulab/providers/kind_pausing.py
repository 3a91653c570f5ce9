"""Pausing a component of a kind lab: the kubelet ends it once its manifest is out of sight.

Stopping the process instead would not last: the kubelet starts anew what does not answer.
"""

from __future__ import annotations

from gpulab.paths import LabPaths
from gpulab.providers import docker, kind_cluster, pausing
from gpulab.waiting import eventually

SHOWN, HIDDEN = "/etc/kubernetes/manifests", "/etc/kubernetes/paused"
SECONDS = 60.0


def paused(paths: LabPaths) -> set[str]:
    """Names of the components whose manifests are hidden."""
    files = _inside(paths, "sh", "-c", f"mkdir -p {HIDDEN} && ls {HIDDEN}").split()
    return {file.removesuffix(".yaml") for file in files}


def switch(paths: LabPaths, component: str, *, on: bool) -> bool:
    """Let a component pause, or go on; False if it does so already."""
    name = pausing.full_name(component)
    if (name in paused(paths)) == on:
        return False
    _move(paths, name, on=on)
    return True


def resume_all(paths: LabPaths) -> None:
    """Before a lab is used again: who is paused goes on."""
    for name in paused(paths):
        _move(paths, name, on=False, wait=False)


def _move(paths: LabPaths, name: str, *, on: bool, wait: bool = True) -> None:
    source, target = (SHOWN, HIDDEN) if on else (HIDDEN, SHOWN)
    _inside(paths, "mv", f"{source}/{name}.yaml", f"{target}/{name}.yaml")
    if wait:
        do = f"gpulab down --name {paths.name}, then gpulab up"
        eventually(lambda: _unlike(paths, name, on), SECONDS, do)


def _unlike(paths: LabPaths, name: str, on: bool) -> str | None:
    runs = bool(_inside(paths, "sh", "-c", f"pgrep -x {name[:15]} || true").strip())
    return None if runs != on else f"{name} {'running' if on else 'not running'}"


def _inside(paths: LabPaths, *command: str) -> str:
    return docker.run("exec", kind_cluster.names(paths)[0], *command)
