"""Where a learner works: folders, ports, locale, browser."""

from __future__ import annotations

import locale
import os
import sys
import webbrowser
from pathlib import Path

from autograders.errors import InputError
from gpulab import lab, paths
from gpulab.doctor.line import Line
from gpulab.jupyter import PORTS
from gpulab.lab import read_record
from gpulab.paths import lab_paths
from gpulab.ports import is_free
from gpulab.processes import ProcessFile

SOCKET = 107  # bytes that the path of a Unix socket may have
KERNEL = len("/kernel-00000000-0000-0000-0000-000000000000-ipc-1")


def lines(root: Path) -> list[Line]:
    return [folders(), sockets(), ports(), kept_ports(), encoding(), browser()]


def folders() -> Line:
    chosen = {"HOME": paths.home(), "WORK": paths.work(), "CACHE": paths.cache()}
    wrong = {f"GPULAB_{name}": folder for name, folder in chosen.items() if not _is_ours(folder)}
    return Line(
        name="folders",
        ok=not wrong,
        needed=True,
        use="the labs, your work and the programs",
        found=", ".join(f"{each} cannot be used" for each in wrong.values())
        if wrong
        else f"{paths.home()}, {paths.work()}, {paths.cache()}",
        do=f"set {', '.join(wrong) or 'GPULAB_HOME'} to folders of yours",
    )


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder of this user's, or can be made."""
    existing = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    is_other = existing == folder and existing.lstat().st_uid != os.geteuid()
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK) and not is_other


def sockets() -> Line:
    """JupyterLab speaks with its kernels through files whose path may not be long."""
    folder = _runtime()
    length = len(os.fsencode(folder)) + KERNEL
    return Line(
        name="sockets",
        ok=length <= SOCKET,
        needed=True,
        use="JupyterLab's kernels",
        found=f"paths of {length} bytes in {folder}, {SOCKET} are allowed",
        do="set JUPYTER_RUNTIME_DIR to a folder with a short path",
    )


def _runtime() -> Path:
    """As Jupyter chooses it."""
    if chosen := os.environ.get("JUPYTER_RUNTIME_DIR"):
        return Path(chosen)
    if data := os.environ.get("JUPYTER_DATA_DIR"):
        return Path(data) / "runtime"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Jupyter" / "runtime"
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "jupyter" / "runtime"


def ports() -> Line:
    free = next((port for port in PORTS if is_free(port)), None)
    return Line(
        name="ports",
        ok=free is not None,
        needed=True,
        use="JupyterLab",
        found=f"{free} on loopback is free" if free else f"{PORTS.start}-{PORTS.stop - 1} taken",
        do="end what listens there, or choose another: gpulab lab --port 9999",
    )


def kept_ports() -> Line:
    """A lab keeps its ports; while it is down, another program may take one."""
    taken = [each for name in lab.names() for each in _taken(name)]
    return Line(
        name="ports of labs",
        ok=not taken,
        needed=True,
        use="labs that are down",
        found=", ".join(taken) or "none is taken",
        do="end what listens there, or make that lab anew: gpulab down --delete",
    )


def _taken(name: str) -> list[str]:
    where = lab_paths(name)
    if any(ProcessFile(file).read() for file in where.processes.glob("*.json")):
        return []  # it runs
    try:
        record = read_record(where)
    except InputError as error:
        return [error.what]
    kept = record.ports.items() if record else ()
    return [f"{port} ({owner} of {name!r})" for owner, port in kept if not is_free(port)]


def encoding() -> Line:
    found = {sys.getfilesystemencoding(), locale.getencoding()}
    found |= {sys.stdout.encoding} if sys.stdout and sys.stdout.encoding else set()
    strange = sorted(each for each in found if each.lower().replace("-", "") != "utf8")
    return Line(
        name="locale",
        ok=not strange,
        needed=True,
        use="what is printed, and file names",
        found=", ".join(strange) or "UTF-8",
        do="choose a UTF-8 locale: export LC_ALL=C.UTF-8",
    )


def browser() -> Line:
    try:
        found = str(getattr(webbrowser.get(), "name", "yes"))
    except webbrowser.Error:
        found = ""
    return Line(
        name="browser",
        ok=bool(found),
        needed=False,
        use="gpulab lab opens JupyterLab in it",
        found=found or "none that can be started from here",
        do="open the address that gpulab lab prints by hand; BROWSER names a browser",
    )
