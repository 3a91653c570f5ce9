"""`gpulab lab`: the lab and JupyterLab together."""

from __future__ import annotations

import signal
import time
import webbrowser
from types import FrameType

from gpulab.cli.lab import err
from gpulab.paths import LabPaths, work


def lab(name: str, *, browser: bool, detach: bool, port: int | None) -> None:
    """Open JupyterLab on a lab that is up; stay in the foreground unless `detach`."""
    from gpulab import binaries, jupyter, workspace
    from gpulab.lab import existing

    paths, record = existing(name)
    for kept in workspace.update():
        err.print(f"Kept your edited {kept}; the course has a newer version.", highlight=False)
    with err.status("Starting JupyterLab"):
        url = jupyter.start(paths, record, binaries.ensure()["kubectl"], port)
    if browser:
        webbrowser.open(url)
    _say_where(name, url, detach)
    if not detach:
        _stay(paths)


def _say_where(name: str, url: str, detach: bool) -> None:
    stop = "`make down`" if name == "lab" else f"`gpulab down --name {name}`"
    err.print(f"Your notebooks and answers are in {work()}.", highlight=False)
    if detach:
        err.print(f"{stop} stops JupyterLab and the cluster.")
    else:
        err.print(f"Ctrl-C stops JupyterLab; the cluster stays until {stop}.")
    err.print(f"JupyterLab: {url}", highlight=False)


def _stay(paths: LabPaths) -> None:
    """Wait until Ctrl-C or a signal, or until JupyterLab ends by itself; then end it."""
    from gpulab import jupyter

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        while jupyter.process(paths).read() is not None:
            time.sleep(0.3)
    except KeyboardInterrupt:
        err.print("\nStopping JupyterLab; the cluster stays.")
    finally:
        jupyter.stop(paths)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
