"""Provider `existing`: a cluster of somebody's, through one context of a kubeconfig.

Nothing of it is started, stopped or set up: learners work in the exercises' namespaces, and the
grader only reads.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from autograders.connect import ApiAbsent, ApiProblem, connect, read_kubeconfig
from autograders.errors import InputError
from gpulab import kubectl
from gpulab.lab import Record, Wanted, new_record, write_record
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.providers import Say
from gpulab.providers.parts import OK, Part

SIMULATED = False
SNAPSHOTS = False
NOT_OURS = "this lab is a cluster of somebody's, of which gpulab runs nothing"
OTHER = "take a lab of your own for it: gpulab up --provider embedded --name other"


def chosen(kubeconfig: Path | None, context: str | None) -> tuple[str, str]:
    """The context alone, as a kubeconfig with all that it names, and in words."""
    found, path = read_kubeconfig(kubeconfig, context)
    named = ("--context", context) if context else ()
    view = ("config", "view", "--minify", "--flatten", "--raw", *named)
    done = kubectl.run(path, *view)
    if done.returncode:
        raise InputError(f"{path}: {kubectl.last_line(done)}", "choose one with --context")
    where = f"{found.context_name} of {path}: {found.cluster.server}, as {found.context.user}"
    return done.stdout, f"the cluster of context {where}"


def create(paths: LabPaths, wanted: Wanted) -> Record:
    """Keep the kubeconfig; the cluster must answer."""
    record = new_record(wanted, {})
    for file in _files(paths):
        write_private(file, (wanted.kubeconfig or "").encode())
    start(paths, record)
    write_record(paths, record)
    return record


def _files(paths: LabPaths) -> tuple[Path, ...]:
    return (paths.admin_kubeconfig, paths.kubeconfig, paths.grader_kubeconfig)


def abandon(paths: LabPaths) -> None:
    """Forget the kubeconfig of a creation that failed."""
    for file in _files(paths):
        file.unlink(missing_ok=True)


def start(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    """See that it answers."""
    with connect(paths.kubeconfig, read_only=False) as api:
        try:
            api.text("/api/v1/namespaces")
        except (ApiProblem, ApiAbsent) as error:
            what = f"the cluster at {api.server} shows no namespaces: {error}"
            raise InputError(what, "use an identity that may read, and write in one") from None


def stop(paths: LabPaths) -> None:
    """Leave it running: it is not ours."""


def delete(paths: LabPaths) -> None:
    """Forget the cluster; everything in it stays."""
    shutil.rmtree(paths.root)


def is_up(paths: LabPaths) -> bool:
    """Whether it answers."""
    return _answer(paths) == OK


def restart_simulator(paths: LabPaths, record: Record) -> None:
    raise InputError(NOT_OURS, OTHER)


def is_set_up(paths: LabPaths, record: Record) -> None:
    """Nothing is installed there."""


def parts(paths: LabPaths, record: Record) -> list[Part]:
    """What of it can be asked: its API server."""
    return [Part("kube-apiserver", None, None, partial(_answer, paths))]


def switch(paths: LabPaths, component: str, *, on: bool) -> bool:
    raise InputError(NOT_OURS, OTHER)


def _answer(paths: LabPaths) -> str:
    try:
        with connect(paths.kubeconfig, read_only=False) as api:
            api.text("/version")
    except (InputError, ApiProblem, ApiAbsent) as error:
        return f"no answer ({error})"
    return OK
