"""What a Pod's containers find in volumes that they share: emptyDir and its like.

A container sees there what the init containers before it have left. It is computed from their
scripts, so it is the same after a restart of the simulator.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from gpulab.sim.files import FileProblem, Files
from gpulab.sim.inputs import Inputs
from gpulab.sim.program import Await, CannotStart, Happening, Program, Remove, Surroundings, Write
from gpulab.sim.replay import Line, Run
from gpulab.sim.shell.image import files, shared_volumes

Find = Callable[[Sequence[str], Surroundings], Program | CannotStart]
MOST = 20_000  # steps of an init container that count


def left_by_inits(here: Surroundings, find: Find) -> dict[str, Files]:
    """The shared volumes as a container finds them when it starts."""
    shared = shared_volumes(here.pod)
    inits = here.pod["spec"].get("initContainers") or []
    for spec in inits if shared else []:
        if spec["name"] == here.container["name"]:
            break
        _play(replace(here, container=spec, gpus=(), inputs=Inputs(), files=None), find, shared)
    return shared


def apply(tree: Files, event: Line | Happening) -> None:
    """Do to a tree what a process did to its files."""
    try:
        if isinstance(event, Remove):
            tree.remove(event.path)
        elif isinstance(event, Write) and event.data is None:
            tree.make_directory(event.path)
        elif isinstance(event, Write) and event.zeros:
            tree.allocate(event.path, event.zeros)
        elif isinstance(event, Write) and event.data is not None:
            tree.write(event.path, event.data, append=event.append)
    except FileProblem:  # someone else, by exec, has changed the tree meanwhile
        return


def _play(here: Surroundings, find: Find, shared: Mapping[str, Files]) -> None:
    program = find(
        [*(here.container.get("command") or []), *(here.container.get("args") or [])], here
    )
    if not isinstance(program, Program) or not program.modelled:
        return
    tree = files(here, shared)
    for event in islice(Run(program.script, _started(here)), MOST):
        if isinstance(event, Await):
            return
        apply(tree, event)


def _started(here: Surroundings) -> dt.datetime:
    statuses = here.pod.get("status", {}).get("initContainerStatuses") or []
    found: list[dict[str, Any]] = [s for s in statuses if s["name"] == here.container["name"]]
    for state in found[0].get("state", {}).values() if found else ():
        if "startedAt" in state:
            return dt.datetime.fromisoformat(state["startedAt"])
    return dt.datetime.now(dt.UTC)
