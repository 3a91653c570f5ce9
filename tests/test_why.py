"""`gpulab why`: one sentence, a table, and what would help."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Lab, Object, eventually, pod, said

GPU = "nvidia.com/gpu"


def why(lab: Lab, namespace: str, name: str) -> list[str]:
    done = lab.gpulab("why", name, "-n", namespace)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def why_json(lab: Lab, namespace: str, name: str) -> dict[str, Any]:
    done = lab.gpulab("why", name, "-n", namespace, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def job(name: str, gpus: int, **spec: Any) -> Object:
    template = pod(name, "sleep", "60", gpus=gpus)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {}, "spec": template["spec"]}, **spec},
    }


def quota(gpus: int) -> Object:
    spec = {"hard": {f"requests.{GPU}": gpus}}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec}


def counted(lab: Lab, namespace: str) -> bool:
    return bool(lab.get("quota", "q", "-n", namespace).get("status", {}).get("used"))


@pytest.mark.live
def test_a_pod_that_is_too_large_is_told_what_would_fit(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("big", "sleep", "60", gpus=16))
    lines = why(lab, namespace, "big")
    assert lines[0].startswith("Pod big fits on none of 5 nodes: Insufficient nvidia.com/gpu on 5")
    assert "asks for 16, 8 at most are free on one node" in lines[0]
    assert any(line.startswith("1. ask for 8 nvidia.com/gpu instead of 16") for line in lines)


@pytest.mark.live
def test_json_has_the_schedulers_message_word_for_word(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("big", "sleep", "60", gpus=16, nodeSelector={"zone": "none"}))
    found = why_json(lab, namespace, "big")

    def message() -> str:
        conditions = lab.get("pod", "-n", namespace, "big")["status"].get("conditions", [])
        return next((each["message"] for each in conditions if "message" in each), "")

    assert f"{found['message']} {found['preemption']}" == eventually(message)
    assert found["predicates"] == {"NodeAffinity": 5}
    assert len(found["nodes"]) == 5


@pytest.mark.live
def test_who_holds_the_gpus_is_named(lab: Lab, namespace: str) -> None:
    here = {"kubernetes.io/hostname": "l40s-1"}
    lab.make(namespace, pod("holder", "sleep", "600", gpus=3, nodeSelector=here))
    lab.wait(namespace, "holder", "phase=Running")
    lab.make(namespace, pod("late", "sleep", "60", gpus=2, nodeSelector=here))
    lines = why(lab, namespace, "late")
    assert any(f"1 of 4 free: 3 {namespace}/holder" in line for line in lines)
    assert any(f"wait until {namespace}/holder on l40s-1 ends" in line for line in lines)


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "image", "holds", "says"),
    [
        ("runs", "busybox:1.37", "phase=Running", "runs and is ready; it needed 1 nvidia.com/gpu"),
        (
            "no-image",
            "nvidia/cuda:12.1-devel-ubuntu22.04",
            "containerStatuses[0].state.waiting.reason",
            "scheduling is not the problem: container main waits: ",
        ),
    ],
)
def test_a_pod_that_has_a_node(
    lab: Lab, namespace: str, name: str, image: str, holds: str, says: str
) -> None:
    lab.make(namespace, pod(name, "sleep", "600", image=image, gpus=1))
    lab.wait(namespace, name, holds)
    told = eventually(lambda: [line for line in why(lab, namespace, name) if says in line])
    assert told[0].startswith(f"Pod {name} is on ")


@pytest.mark.live
def test_a_job_without_a_pod_names_the_quota_in_the_apis_words(lab: Lab, namespace: str) -> None:
    lab.make(namespace, quota(1))
    eventually(lambda: counted(lab, namespace))
    lab.make(namespace, job("train", 2))
    text = (
        f"exceeded quota: q, requested: requests.{GPU}=2, used: requests.{GPU}=0,"
        f" limited: requests.{GPU}=1"
    )
    lines = why(lab, namespace, "job/train")
    assert lines[0] == f"Job train has 0 of 1 Pods: ResourceQuota refuses them: {text}"
    assert lines[1].startswith("next: ")
    events = eventually(lambda: lab.get("events", "-n", namespace)["items"])
    assert any(text in each["message"] for each in events)


@pytest.mark.live
def test_a_job_whose_pod_waits_is_explained_by_it(lab: Lab, namespace: str) -> None:
    lab.make(namespace, job("train", 16))
    eventually(lambda: lab.get("pods", "-n", namespace)["items"])
    assert why(lab, namespace, "jobs/train")[0].startswith("Pod train-")


@pytest.mark.live
def test_a_job_that_rests_wants_no_pods(lab: Lab, namespace: str) -> None:
    lab.make(namespace, job("train", 1, suspend=True))
    expected = "Job train has the 0 Pods that it wants now"
    assert why(lab, namespace, "job/train") == [expected]


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nobody", "there is no Pod nobody in namespace"),
        ("job/nobody", "there is no Job nobody in namespace"),
        ("service/nobody", "'service/nobody' names nothing that becomes a Pod"),
    ],
)
def test_what_does_not_exist_is_told_in_two_lines(
    lab: Lab, namespace: str, name: str, what: str
) -> None:
    told, do = said(lab.gpulab("why", name, "-n", namespace))
    assert told.startswith(what)
    assert do


def test_without_a_lab_it_says_so(no_lab: Lab) -> None:
    told, _ = said(no_lab.gpulab("why", "pod"))
    assert "lab" in told
