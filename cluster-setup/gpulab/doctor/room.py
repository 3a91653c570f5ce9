"""Disk, memory, and what the process may use of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from gpulab import paths
from gpulab.doctor.line import Line

DISK_GIB = 2.0
MEMORY_GIB = 1.0  # the control plane takes 0.55, simulator, JupyterLab and a kernel the rest
PIDS = 256  # threads count
GIB = 2**30


def lines(root: Path) -> list[Line]:
    return [disk(), memory(root), cgroups(root)]


def disk() -> Line:
    """The fullest of the disks on which something is going to lie."""
    folders = {"GPULAB_HOME": paths.home(), "GPULAB_WORK": paths.work()}
    folders["GPULAB_CACHE"] = paths.cache()
    free, variable, folder = min(
        (_free(folder), variable, folder) for variable, folder in folders.items()
    )
    return Line(
        name="disk",
        ok=free >= DISK_GIB,
        needed=True,
        use="programs, the labs and your work",
        found=f"{free:.1f} GiB free for {folder}",
        do=f"free {DISK_GIB:g} GiB there, or point {variable} to a larger disk",
    )


def _free(folder: Path) -> float:
    existing = next(each for each in (folder, *folder.parents) if each.is_dir())
    return shutil.disk_usage(existing).free / GIB


def memory(root: Path) -> Line:
    free = _available(root)
    return Line(
        name="memory",
        ok=free is None or free >= MEMORY_GIB,
        needed=True,
        use="the control plane, JupyterLab and its kernels",
        found="not known" if free is None else f"{free:.1f} GiB available",
        do=f"end programs until {MEMORY_GIB:g} GiB are available",
    )


def _available(root: Path) -> float | None:
    file = root / "proc" / "meminfo"
    if not file.exists():  # macOS
        import psutil

        return float(psutil.virtual_memory().available) / GIB
    found = re.search(r"^MemAvailable: *(\d+) kB", file.read_text(), re.MULTILINE)
    return int(found[1]) / 2**20 if found else None


def cgroups(root: Path) -> Line:
    """What a container or a login session allows; the smallest on the way up counts."""
    limit = min(_numbers(root, "memory.max"), default=None)
    pids = min(_numbers(root, "pids.max"), default=None)
    says = [f"{limit / GIB:.1f} GiB of memory"] if limit is not None else []
    says += [f"{pids} processes"] if pids is not None else []
    return Line(
        name="cgroups",
        ok=(limit is None or limit >= MEMORY_GIB * GIB) and (pids is None or pids >= PIDS),
        needed=True,
        use="what a container or session may use",
        found=f"limited to {' and '.join(says)}" if says else _without_limits(root),
        do=f"allow this container or session {MEMORY_GIB:g} GiB of memory and {PIDS} processes",
    )


def _without_limits(root: Path) -> str:
    top = root / "sys" / "fs" / "cgroup"
    old = top.exists() and not (top / "cgroup.controllers").exists()
    return "version 1, whose limits are not looked at" if old else "no limit"


def _numbers(root: Path, name: str) -> Iterator[int]:
    top = root / "sys" / "fs" / "cgroup"
    for folder in _groups(root, top):
        file = folder / name
        text = file.read_text().strip() if file.exists() else ""
        if text.isdigit():  # "max" is no limit
            yield int(text)


def _groups(root: Path, top: Path) -> Iterator[Path]:
    """The cgroup (version 2) of this process, and those above."""
    file = root / "proc" / "self" / "cgroup"
    found = re.search(r"^0::/(.*)$", file.read_text(), re.MULTILINE) if file.exists() else None
    folder = top / (found[1] if found else "")
    yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top))
