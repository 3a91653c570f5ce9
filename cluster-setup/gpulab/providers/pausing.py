"""Pausing a component of an embedded lab: it keeps its memory and does nothing.

The process itself is the only record: who wants to know looks whether it is stopped.
"""

from __future__ import annotations

import os
import signal

import psutil

from autograders.errors import InputError
from gpulab.paths import LabPaths
from gpulab.waiting import eventually

COMPONENTS = ("scheduler", "controller-manager")
SECONDS = 5.0


def full_name(component: str) -> str:
    """As it is called in `gpulab status`; InputError for what cannot be paused."""
    short = component.removeprefix("kube-")
    if short not in COMPONENTS:
        known = " or ".join(COMPONENTS)
        raise InputError(f"{component!r} cannot be paused", f"choose {known}")
    return f"kube-{short}"


def is_paused(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def switch(paths: LabPaths, pids: dict[str, int], component: str, *, on: bool) -> bool:
    """Let a component pause, or go on; False if it does so already."""
    name = full_name(component)
    if name not in pids:
        raise InputError(f"{name} does not run", f"gpulab up --name {paths.name}")
    if is_paused(pids[name]) == on:
        return False
    os.kill(pids[name], signal.SIGSTOP if on else signal.SIGCONT)
    eventually(
        lambda: None if is_paused(pids[name]) == on else f"no change of {name}",
        SECONDS,
        f"gpulab down --name {paths.name}, then gpulab up",
    )
    return True


def resume_all(pids: dict[str, int]) -> None:
    """Before a lab is started or stopped: who is paused hears no signal to end."""
    for pid in filter(is_paused, pids.values()):
        os.kill(pid, signal.SIGCONT)
