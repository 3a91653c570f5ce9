"""The steps of a trial: each sends requests, and returns them with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autograders.connect import Api
from autograders.errors import InputError
from autograders.model import Phase, Probe
from autograders.settle import RUNNING, in_flight
from gpulab import halting
from gpulab.halting import items, pods_path
from gpulab.ready import CORDON
from gpulab.sending import MERGE, send
from gpulab.waiting import eventually

NODES = "/api/v1/nodes"
ELSEWHERE = "default"
"""Where strays are: not in the learner's namespace, whose quota is the learner's."""
STRAY = "gpulab.dev/stray"
FOLLOW_SECONDS = 20.0
"""Until a node's taint has followed its cordon; usually it does at once."""
IMAGE = "registry.k8s.io/pause:3.10.1"


class Untried(Exception):
    """The learner's work lacks what the trial needs."""


class Refused(Exception):
    """The cluster did not do what the trial needs; no one's mark."""


@dataclass(frozen=True)
class Site:
    """Where trials are run."""

    api: Api
    """Acts as gpulab-probe."""
    namespace: str
    """The exercise's."""
    jobs: tuple[str, ...]
    """The learner's, to be halted and placed."""
    closed: Mapping[str, bool]
    """Node -> whether it was cordoned at first."""


def clear(site: Site) -> None:
    """No Pod of the Jobs, no stray, every node as it was."""
    halting.halt(site.api, site.namespace, site.jobs)
    eventually(lambda: strays_left(site.api), halting.SECONDS, "gpulab check again")
    for node in items(site.api, NODES):
        name = node["metadata"]["name"]
        wanted = site.closed.get(name, False)
        if bool(node["spec"].get("unschedulable")) != wanted:
            cordon(site.api, name, wanted)
    eventually(lambda: not_followed(site.api), FOLLOW_SECONDS, "gpulab status")


def strays_left(api: Api) -> str | None:
    query = {"labelSelector": STRAY}
    found = send(api, "GET", pods_path(ELSEWHERE), query=query).object.get("items") or ()
    halting.remove(api, ELSEWHERE, [each["metadata"]["name"] for each in found])
    return f"Pod {found[0]['metadata']['name']} there" if found else None


def not_followed(api: Api) -> str | None:
    """The node controller makes a cordon a taint, which the scheduler looks at, too."""
    for node in items(api, NODES):
        taints = {each["key"] for each in node["spec"].get("taints") or ()}
        if (CORDON in taints) != bool(node["spec"].get("unschedulable")):
            return f"node {node['metadata']['name']} with an old taint"
    return None


def open_some(site: Site, label: str, count: int) -> dict[str, Probe]:
    """Close all nodes of the label but so many, the first by name."""
    names = sorted(open_nodes(site.api, label))
    if not 0 <= count <= len(names):
        raise Untried(f"it needs {count} nodes, and the cluster has {len(names)} of that kind")
    done = {f"cordon {each}": cordon(site.api, each, True) for each in names[count:]}
    eventually(lambda: not_followed(site.api), FOLLOW_SECONDS, "gpulab status")
    return done


def open_nodes(api: Api, label: str) -> list[str]:
    key, _, value = label.partition("=")
    return [
        each["metadata"]["name"]
        for each in items(api, NODES)
        if each["metadata"]["labels"].get(key) == value and not each["spec"].get("unschedulable")
    ]


def cordon(api: Api, node: str, wanted: bool) -> Probe:
    change = {"spec": {"unschedulable": True if wanted else None}}
    return act(api, "PATCH", f"{NODES}/{node}", change, MERGE)


def act(
    api: Api, method: str, path: str, object: dict[str, Any], kind: str = "application/json"
) -> Probe:
    """Send it and keep both sides; what a trial cannot do without must succeed."""
    answer = send(api, method, path, object=object, kind=kind)
    if not answer.is_success:
        raise Refused(f"{method} {path}: {answer.message}")
    return Probe({"method": method, "path": path, "object": object}, answer.status, answer.object)


def stray(site: Site, label: str, gpus: int) -> dict[str, Probe]:
    """One Pod of somebody else on each open node of the label, placed by the scheduler."""
    done = {
        f"stray on {node}": act(site.api, "POST", pods_path(ELSEWHERE), stray_pod(node, gpus))
        for node in sorted(open_nodes(site.api, label))
    }
    eventually(lambda: unplaced(site.api), FOLLOW_SECONDS, "gpulab map shows who holds the GPUs")
    return done


def stray_pod(node: str, gpus: int) -> dict[str, Any]:
    container = {"name": "work", "image": IMAGE, "resources": {"limits": {"nvidia.com/gpu": gpus}}}
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    meta = {"name": f"stray-on-{node}", "labels": {STRAY: ""}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def unplaced(api: Api) -> str | None:
    query = {"labelSelector": STRAY}
    found = send(api, "GET", pods_path(ELSEWHERE), query=query).object.get("items") or ()
    waits = [each["metadata"]["name"] for each in found if not each["spec"].get("nodeName")]
    return f"Pod {waits[0]} without a node" if waits else None


def place(site: Site) -> dict[str, Probe]:
    """Let the learner's Jobs run."""
    halting.suspend(site.api, site.namespace, site.jobs, wanted=False)
    return {}


def drain(site: Site, label: str) -> dict[str, Probe]:
    """Take the node that has most of the learner's Pods away, and let the Jobs place theirs anew.

    An eviction would count as a failure of the learner's Job and make its controller back off, 80 s
    after four Pods of one Job. Who runs in the end is the same.
    """
    with suppress(InputError):  # a quota may keep Pods from being made; then as many as there are
        eventually(lambda: unsettled(site), FOLLOW_SECONDS, "")
    here = open_nodes(site.api, label)
    pods = items(site.api, pods_path(site.namespace))
    counts = Counter(
        each["spec"]["nodeName"]
        for each in pods
        if each["spec"].get("nodeName") in here and not halting.is_over(each)
    )
    if not counts:
        raise Untried("no Pod is on a node that could be drained")
    node = max(counts, key=lambda name: (counts[name], name))
    done = {f"drain {node}": cordon(site.api, node, True)}
    halting.halt(site.api, site.namespace, site.jobs)
    eventually(lambda: not_followed(site.api), FOLLOW_SECONDS, "gpulab status")
    return done | place(site)


def unsettled(site: Site) -> str | None:
    """Whether some Pod of the Jobs is still to be made, or to be looked at by the scheduler."""
    lists = (("Job", halting.jobs_path), ("Pod", pods_path))
    found = [
        {**each, "kind": kind}
        for kind, path in lists
        for each in items(site.api, path(site.namespace))
    ]
    return next(iter(in_flight(Phase("now", objects=tuple(found)), site.namespace, RUNNING)), None)
