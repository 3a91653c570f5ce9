"""Limits and settings of the system, and its clock."""

from __future__ import annotations

import datetime as dt
import resource
from pathlib import Path

from gpulab.doctor.line import Line
from gpulab.paths import DATA

OPEN_FILES = 1024
PROCESSES = 512  # threads count
ADDRESSES_GIB = 8.0  # Go reserves far more than it uses
INSTANCES, WATCHES = 64, 8192
AHEAD = dt.timedelta(days=1)  # another time zone's clock


def lines(root: Path) -> list[Line]:
    return [limits(), inotify(root), clock(DATA / "versions.toml")]


def limits() -> Line:
    wanted = (
        ("-n", "open files", resource.RLIMIT_NOFILE, OPEN_FILES, 1),
        ("-u", "processes", resource.RLIMIT_NPROC, PROCESSES, 1),
        ("-v", "KiB of addresses", resource.RLIMIT_AS, int(ADDRESSES_GIB * 2**20), 2**10),
    )
    low, do = [], []
    for option, what, number, least, unit in wanted:
        soft, _ = resource.getrlimit(number)
        if soft != resource.RLIM_INFINITY and soft < least * unit:
            low.append(f"{soft // unit} {what}")
            do.append(f"ulimit {option} {least}")
    return Line(
        name="limits",
        ok=not low,
        needed=True,
        use="the control plane",
        found=f"at most {', '.join(low)}" if low else "enough files, processes and addresses",
        do=f"raise them in this shell: {'; '.join(do)}" if do else "raise them with ulimit",
    )


def inotify(root: Path) -> Line:
    folder = root / "proc" / "sys" / "fs" / "inotify"
    found = {
        name: int((folder / name).read_text())
        for name in ("max_user_instances", "max_user_watches")
        if (folder / name).exists()
    }
    instances = found.get("max_user_instances", INSTANCES)
    watches = found.get("max_user_watches", WATCHES)
    return Line(
        name="inotify",
        ok=instances >= INSTANCES and watches >= WATCHES,
        needed=True,
        use="the control plane, which watches its certificates",
        found=f"{instances} instances, {watches} watches" if found else "this system has none",
        do=f"as root: sysctl fs.inotify.max_user_instances={INSTANCES * 8} "
        f"fs.inotify.max_user_watches={WATCHES * 8}",
    )


def clock(file: Path) -> Line:
    """Certificates count from now: a clock that goes back later makes them invalid."""
    now = dt.datetime.now(dt.UTC)
    written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    return Line(
        name="clock",
        ok=written - now < AHEAD,
        needed=True,
        use="certificates",
        found=f"{now:%Y-%m-%d %H:%M} UTC"
        + (f", while {file} was written on {written:%Y-%m-%d}" if written - now >= AHEAD else ""),
        do="set the system's clock",
    )
