"""Is there anything to wait for? A pure answer, so that a wait ends as soon as it can."""

from __future__ import annotations

from autograders.cluster import Pod
from autograders.cluster.workloads import pods_of, wanted
from autograders.model import KubeObject, Phase

FINISHED, RUNNING = "finished", "running"


def in_flight(phase: Phase, namespace: str, settled: str = FINISHED) -> tuple[str, ...]:
    """What the namespace is still on its way to; empty when it can be judged.

    Not waited for: a Pod that no node can take, a terminal phase, the first back-off, a
    long-running Pod that is ready. With `settled` running, no Pod is waited for to finish, but
    Jobs are waited for to have their Pods.
    """
    own = [each for each in phase.objects if in_namespace(each, namespace)]
    if settled == RUNNING:
        pods = [Pod(each) for each in own if each.get("kind") == "Pod"]
        texts = [pods_to_come(each, pods) for each in own if each.get("kind") == "Job"]
        rest = [each for each in own if each.get("kind") != "Pod"]
        texts += [waits_to_run(each) for each in pods] + [waits_for(each) for each in rest]
        return tuple(text for text in texts if text)
    return tuple(text for text in map(waits_for, own) if text)


def waits_to_run(pod: Pod) -> str:
    if not pod.in_flight or pod.meta.get("deletionTimestamp") or not pod.node:
        return pod.in_flight
    return "" if pod.is_ready else f"Pod {pod.name} to be ready"


def pods_to_come(job: KubeObject, pods: list[Pod]) -> str:
    """Wait for its controller to make the Pods; not after one has failed, for it backs off then."""
    mine = [each for each in pods_of(job, pods, ()) if not each.meta.get("deletionTimestamp")]
    alive = [each for each in mine if not each.is_finished]
    if any(each.phase == "Failed" for each in mine) or len(alive) >= wanted(job):
        return ""
    return f"Job {job['metadata'].get('name')} to have {wanted(job)} Pods"


def in_namespace(thing: KubeObject, namespace: str) -> bool:
    return (thing.get("metadata") or {}).get("namespace") == namespace


def waits_for(thing: KubeObject) -> str:
    """What this one object is on its way to."""
    if thing.get("kind") == "Pod":
        return Pod(thing).in_flight
    if thing.get("kind") == "Job":
        return job_waits_for(thing)
    return controller_waits_for(thing)


def job_waits_for(job: KubeObject) -> str:
    """Wait for its controller to take notice; its Pods speak for themselves."""
    suspended = (job.get("spec") or {}).get("suspend")
    seen = suspended or (job.get("status") or {}).get("startTime")
    return "" if seen else f"Job {job['metadata'].get('name')} to be started"


def controller_waits_for(thing: KubeObject) -> str:
    """Wait for Deployments and the like until they report the generation that they have."""
    seen = (thing.get("status") or {}).get("observedGeneration")
    wanted = (thing.get("metadata") or {}).get("generation")
    is_controller = str(thing.get("apiVersion", "")).startswith("apps/")
    if not is_controller or (seen or 0) >= (wanted or 0):
        return ""
    return f"{thing.get('kind')} {thing['metadata'].get('name')} to be taken up"
