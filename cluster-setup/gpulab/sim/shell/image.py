"""What is in a container's file system when it starts, and which shells."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from gpulab.sim.files import Files
from gpulab.sim.images import repository
from gpulab.sim.program import Surroundings

FOLDERS = (
    *("bin", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin"),
    *("srv", "sys", "tmp", "usr/bin", "usr/lib", "usr/local/bin", "usr/share"),
    *("var/cache", "var/lib", "var/log", "var/run", "var/tmp"),
)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
RELEASE = {
    "busybox": "",
    "alpine": 'NAME="Alpine Linux"\nID=alpine\nPRETTY_NAME="Alpine Linux (simulated)"\n',
    "debian": 'NAME="Linux"\nID=linux\nPRETTY_NAME="Linux (simulated)"\n',
}
SHELLS = {"sh", "bash", "ash", "dash"}
WITHOUT_SHELL = ("registry.k8s.io/pause", "gcr.io/distroless/")


def kind(image: str) -> str:
    """Which family an image belongs to, by its name: busybox, alpine or (all others) debian.

    >>> kind("busybox:1.37"), kind("nginx:1.29-alpine"), kind("nvidia/cuda:12.4.1-base-ubuntu22.04")
    ('busybox', 'alpine', 'debian')
    """
    name = posixpath.basename(repository(image))
    if name == "busybox":
        return "busybox"
    return "alpine" if name == "alpine" or "alpine" in image.rpartition(":")[2] else "debian"


def has_shell(image: str, name: str) -> bool:
    """Whether an image has `sh`, `bash`, `ash` or `dash`; our reading, by its name."""
    if repository(image).startswith(WITHOUT_SHELL):
        return False
    return name in ({"sh", "bash", "dash"} if kind(image) == "debian" else {"sh", "ash"})


def files(here: Surroundings, shared: Mapping[str, Files] | None = None) -> Files:
    """The file system of a container that starts now; `shared` has its Pod's volumes by name."""
    host = here.hostname
    contents = {
        "/etc/hostname": f"{host}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n{here.ip}\t{host}\n",
        "/etc/passwd": PASSWD,
        "/etc/os-release": RELEASE[kind(here.container["image"])],
        "/etc/resolv.conf": _resolver(here.pod),
        "/dev/null": "",
        "/dev/termination-log": "",
    }
    found = Files({path: text.encode() for path, text in contents.items() if text or "dev" in path})
    for folder in FOLDERS:
        found.add(f"/{folder}")
    for path, data in here.inputs.files.items():
        found.add(path, data)
    for mount in here.container.get("volumeMounts") or []:
        volume = (shared or {}).get(mount["name"])
        if volume is not None:
            found.mount(_path(mount["mountPath"]), volume)
        else:
            found.add(_path(mount["mountPath"]))
    return found


def shared_volumes(pod: Mapping[str, Any]) -> dict[str, Files]:
    """An empty tree for each volume of a Pod that its containers may write to together."""
    kinds = ("emptyDir", "persistentVolumeClaim", "hostPath", "ephemeral")
    volumes = pod["spec"].get("volumes") or []
    return {volume["name"]: Files() for volume in volumes if any(kind in volume for kind in kinds)}


def _path(path: str) -> str:
    return posixpath.normpath(path)


def _resolver(pod: Mapping[str, Any]) -> str:
    namespace = pod["metadata"].get("namespace", "default")
    return (
        f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.0.0.10\noptions ndots:5\n"
    )
