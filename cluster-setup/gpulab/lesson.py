"""What a lesson begins with: a lab that is ready, and nothing left of an earlier run.

What stops a lesson is shown in two lines, what is wrong and what to do: a learner who has not
started the lab should not have to read a traceback for that.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from autograders.errors import InputError
from gpulab import health, kubectl, lab
from gpulab.paths import LabPaths
from gpulab.providers import pausing

LABEL = "gpulab.dev/lesson"
KINDS = "namespaces,priorityclasses"
"""What a lesson makes beside what is in its namespace."""
SECONDS = 60


class Notice(Exception):
    """Ends a cell, and "run all", with what is wrong and what to do instead of a traceback."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.do = do

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback."""
        return [str(self), f"  {self.do}"]


def begin(lesson: str) -> str:
    """Give lesson `02` its namespace `lesson-02`, empty; returns the commands that did it."""
    try:
        paths, record = lab.existing(os.environ.get("GPULAB_NAME", "lab"))
        if broken := next(iter(broken_parts(health.status(paths, record))), None):
            raise InputError(f"the lab is not ready: {broken}", remedy(broken))
        done = [tried(paths, command) for command in commands(lesson)]
    except InputError as problem:
        raise Notice(problem.what, problem.do) from None
    return "\n".join(f"kubectl {shlex.join(command)}" for command in done)


def commands(lesson: str) -> Iterator[list[str]]:
    """In order: leftovers go, and a Pod can be made once the service account is there."""
    space, limit = f"lesson-{lesson}", f"--timeout={SECONDS}s"
    yield ["delete", KINDS, "--selector", f"{LABEL}={lesson}", limit]
    yield ["create", "namespace", space]
    yield ["label", "namespace", space, f"{LABEL}={lesson}"]
    yield ["wait", "serviceaccount/default", "--for=create", "--namespace", space, limit]


def tried(paths: LabPaths, command: list[str]) -> list[str]:
    """The command, once it has worked."""
    done = kubectl.run(paths.kubeconfig, *command)
    if done.returncode:
        raise InputError(kubectl.last_line(done), "mend that, then run this cell again")
    return command


def broken_parts(status: health.Status) -> Iterator[str]:
    """Nodes are not looked at: an earlier run may have left one shut, and the lesson opens it."""
    for part in status.components:
        if part.name != "jupyterlab" and part.health != "ok":
            yield f"{part.name}: {part.health}"


def remedy(broken: str) -> str:
    """A part that was paused goes on; anything else that does not run is started.

    >>> remedy("kube-scheduler: paused")
    'in a cell: !gpulab resume scheduler   then run this cell again'
    """
    component = broken.partition(":")[0].removeprefix("kube-")
    paused = broken.endswith("paused") and component in pausing.COMPONENTS
    act = f"resume {component}" if paused else "up"
    return f"in a cell: !gpulab {act}   then run this cell again"
