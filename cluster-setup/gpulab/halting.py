"""A learner's Jobs, halted and let go again: suspending one deletes its Pods and fails none."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autograders.cluster.workloads import end_of, owners
from autograders.connect import Api
from gpulab.sending import MERGE, send
from gpulab.waiting import eventually

SECONDS = 30.0
AT_ONCE = 8
"""Requests in the air at the same time."""


def jobs_path(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def pods_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def items(api: Api, path: str) -> list[dict[str, Any]]:
    return list(send(api, "GET", path).object.get("items") or ())


def running(api: Api, namespace: str) -> list[str]:
    """Jobs that would have Pods if there were room: neither ended nor suspended by the learner."""
    return [
        each["metadata"]["name"]
        for each in items(api, jobs_path(namespace))
        if not end_of(each) and not each["spec"].get("suspend")
    ]


def suspend(api: Api, namespace: str, jobs: Sequence[str], wanted: bool) -> None:
    """Tell all of them; one that is gone by now is nobody's loss."""
    change = {"spec": {"suspend": wanted}}

    def tell(job: str) -> None:
        send(api, "PATCH", jobs_path(namespace, job), object=change, kind=MERGE)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(tell, jobs))


def remove(api: Api, namespace: str, pods: Sequence[str]) -> None:
    """Delete Pods at once: nobody waits for a program to end."""

    def delete(pod: str) -> None:
        send(api, "DELETE", pods_path(namespace, pod), object={"gracePeriodSeconds": 0})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(delete, pods))


def halt(api: Api, namespace: str, jobs: Sequence[str]) -> None:
    """Suspend the Jobs and see their Pods gone."""
    suspend(api, namespace, jobs, wanted=True)
    eventually(lambda: left(api, namespace, jobs), SECONDS, "gpulab check again")


def left(api: Api, namespace: str, jobs: Sequence[str]) -> str | None:
    """Delete what the Jobs still have, and what is on its way out and holds GPUs; name it."""
    mine = [each for each in items(api, jobs_path(namespace)) if each["metadata"]["name"] in jobs]
    for job in mine:
        if not is_suspended(job) and not end_of(job):
            return f"Job {job['metadata']['name']} running"
    uids = {each["metadata"]["uid"] for each in mine}
    names = [
        each["metadata"]["name"]
        for each in items(api, pods_path(namespace))
        if not is_over(each) and (uids & set(owners(each)) or is_leaving(each))
    ]
    remove(api, namespace, names)
    return f"Pod {names[0]} there" if names else None


def is_suspended(job: dict[str, Any]) -> bool:
    found = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Suspended" and each["status"] == "True" for each in found)


def is_over(pod: dict[str, Any]) -> bool:
    """It ended and stays; one that is being deleted may say Failed until its Job has counted it."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return ended and not is_leaving(pod)


def is_leaving(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
