"""Where a lab's cluster comes from: one file each, with the same functions in the same order."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from autograders.errors import InputError

if TYPE_CHECKING:
    from gpulab.lab import Record, Wanted
    from gpulab.paths import LabPaths
    from gpulab.providers.parts import Part

EMBEDDED, KIND, EXISTING = "embedded", "kind", "existing"
Say = Callable[[str], None]
NAMES = (EMBEDDED, KIND, EXISTING)


class Provider(Protocol):
    """What every provider's module has."""

    SIMULATED: bool
    """Whether it has simulated nodes, which gpulab makes, swaps and waits for."""
    SNAPSHOTS: bool
    """Whether its etcd can be saved and put back (`gpulab checkpoint`)."""

    def create(self, paths: LabPaths, wanted: Wanted) -> Record:
        """Make the cluster and start it; returns while it is still coming up."""

    def abandon(self, paths: LabPaths) -> None:
        """Remove what a creation that failed has left."""

    def start(self, paths: LabPaths, record: Record, say: Say = ...) -> None:
        """Start what of an existing lab does not run; returns while it is still coming up.

        `say` is told what had to be mended.
        """

    def stop(self, paths: LabPaths) -> None:
        """Stop everything of the lab; its state stays."""

    def delete(self, paths: LabPaths) -> None:
        """Remove the cluster and everything that the lab kept."""

    def is_up(self, paths: LabPaths) -> bool:
        """Whether anything of its control plane runs."""

    def restart_simulator(self, paths: LabPaths, record: Record) -> None:
        """Start the simulated kubelets anew: they register every node of the fleet again.

        Nobody else may start them meanwhile (`supervision.alone`).
        """

    def is_set_up(self, paths: LabPaths, record: Record) -> None:
        """From now on nothing is installed again that a learner deletes."""

    def parts(self, paths: LabPaths, record: Record) -> list[Part]:
        """What it consists of, and how each can be asked for its health."""

    def switch(self, paths: LabPaths, component: str, *, on: bool) -> bool:
        """Let a component pause, or go on; False if it does so already."""


def of(name: str) -> Provider:
    """The provider of that name; what it needs is imported only then."""
    if name not in NAMES:
        raise InputError(f"there is no provider {name!r}", f"choose {', '.join(NAMES)}")
    return cast(Provider, importlib.import_module(f"gpulab.providers.{name}"))
