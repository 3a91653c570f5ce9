"""`gpulab reset --lab`: delete what was made since `gpulab up`, make again what is other."""

from __future__ import annotations

import time
from collections.abc import Iterable

from autograders.connect import Api, connect
from autograders.errors import InputError
from autograders.model import KubeObject
from gpulab import baseline, checkpoints, given, lifecycle, probing
from gpulab.baseline import Baseline, Differences
from gpulab.emptying import Found, delete
from gpulab.lab import Record
from gpulab.made import Made
from gpulab.paths import LabPaths
from gpulab.sending import send

SECONDS = 30.0
"""Until the lab must be as it was; then it goes back to its snapshot."""
LOOK = 0.2
FIRST = ("admissionregistration.k8s.io", "apiregistration.k8s.io")
"""Groups whose objects may stand in the way of every other request."""
LABELS = ("labels", "annotations")


def restore(paths: LabPaths, record: Record, base: Baseline) -> bool:
    """Put everything back; True: by the snapshot, which takes the lab a few seconds."""
    probing.mend(paths)
    if record.fleet != base.fleet:
        record = lifecycle.swap(paths, record, base.fleet)
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        whole = put_back(api, base)
    given.forget_all(paths)
    if whole:
        lifecycle.settle(paths, record)
        return False
    if checkpoints.MADE not in checkpoints.names(paths, hidden=True):
        do = "make the lab anew: gpulab down --delete, then gpulab up"
        raise InputError("the lab cannot be put back, and its first snapshot is gone", do)
    lifecycle.go_back(paths, record, checkpoints.MADE)
    return True


def put_back(api: Api, base: Baseline, seconds: float = SECONDS) -> bool:
    """Whether all is as it was; not where a namespace of somebody's is in the way."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = baseline.everything(api)
        other = baseline.compared(found, base)
        if other.beyond:
            return False
        if not other:
            return True
        mend(api, base, found, other)
        time.sleep(LOOK)
    return False


def mend(api: Api, base: Baseline, found: list[Found], other: Differences) -> None:
    """One round: what is in the way first, then the rest."""
    first = [each for each in other.surplus if each.resource.group in FIRST]
    delete(api, first or list(other.surplus), found)
    for each in other.changed:
        known = base.made.get(each.key)
        if known is None:  # its controller makes it again, as it should be
            delete(api, [each], found)
        elif not baseline.is_leaving(each):
            write(api, each, known)
    for one in in_order(base.made[key] for key in other.missing):
        send(api, "POST", one.path, object=one.thing)


def write(api: Api, found: Found, known: Made) -> None:
    """Write it as it was; what cannot be changed is deleted, and the next round makes it."""
    meta = {key: value for key, value in found.thing["metadata"].items() if key not in LABELS}
    for key in LABELS:
        meta[key] = known.thing["metadata"].get(key) or {}
    thing: KubeObject = {**known.thing, "metadata": meta}
    if "status" in found.thing:
        thing["status"] = found.thing["status"]
    answer = send(api, "PUT", found.path, object=thing)
    if answer.status == 422:
        delete(api, [found], [found])


def in_order(things: Iterable[Made]) -> list[Made]:
    """Namespaces and kinds before what needs them."""
    early = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "Node")
    return sorted(things, key=lambda one: one.thing["kind"] not in early)
