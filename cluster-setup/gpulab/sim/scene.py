"""A running container as it is now: its files and open ports, for what looks in from outside.

`kubectl exec`, probes and `kubectl port-forward` see what the main process has done so far, and may
change the files. Those changes live as long as this run of the container and this simulator.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from gpulab.sim.files import Files
from gpulab.sim.program import CannotStart, Listen, Program, Stdin
from gpulab.sim.replay import Replay
from gpulab.sim.shell import image
from gpulab.sim.volumes import apply, left_by_inits

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle


class Shared:
    """The volumes of one Pod; its scenes hold it."""

    def __init__(self, trees: dict[str, Files]) -> None:
        self.trees = trees


class Scene:
    """One run of one container."""

    def __init__(self, lifecycle: Lifecycle, shared: Shared) -> None:
        self.run = lifecycle.container.container_id
        self.ports: dict[int, str | None] = {}  # with the folder that is served there
        self._shared = shared
        self.files = image.files(lifecycle.surroundings(), shared.trees)
        self._given = self.files.size()
        found = lifecycle.program()
        self._replay = None
        if isinstance(found, Program) and "running" in lifecycle.container.state:
            started = lifecycle.started_at(lifecycle.container.state["running"])
            self._replay = Replay(found.script, started, lifecycle.node.facts)

    def written(self) -> int:
        """Bytes that are in the container's own files now and were not at its start."""
        return max(self.files.size() - self._given, 0)

    def volumes(self) -> dict[str, int]:
        """Bytes in each of the Pod's volumes."""
        return {name: tree.size() for name, tree in self._shared.trees.items()}

    def advance(self) -> None:
        """Bring it up to now."""
        if self._replay is not None:
            for event in self._replay.until(dt.datetime.now(dt.UTC)):
                if isinstance(event, Listen):
                    self.ports[event.port] = event.root
                apply(self.files, event)


_scenes: WeakKeyDictionary[Lifecycle, Scene] = WeakKeyDictionary()
_shared: WeakValueDictionary[str, Shared] = WeakValueDictionary()  # by Pod UID


def scene(lifecycle: Lifecycle) -> Scene:
    """The container as it is now."""
    found = _scenes.get(lifecycle)
    if found is None or found.run != lifecycle.container.container_id:
        found = _scenes[lifecycle] = Scene(lifecycle, _volumes(lifecycle))
    found.advance()
    return found


def find(
    lifecycle: Lifecycle, argv: list[str], stdin: Stdin | None = None
) -> Program | CannotStart:
    """What `argv` does beside the main process."""
    here = replace(lifecycle.surroundings(), files=scene(lifecycle).files, stdin=stdin or Stdin())
    return lifecycle.world.workloads.find(argv, here)


def _volumes(lifecycle: Lifecycle) -> Shared:
    uid = lifecycle.pod["metadata"]["uid"]
    found = _shared.get(uid)
    left = left_by_inits(lifecycle.surroundings(), lifecycle.world.workloads.find)
    if found is None:
        found = _shared[uid] = Shared(left)
    for name, tree in left.items():
        found.trees.setdefault(name, tree).take_missing(tree)
    return found
