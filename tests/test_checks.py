"""What a learner is told when an expectation does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.checks import (
    CheckFailed,
    NotYet,
    expect_gpus,
    expect_placed_by_scheduler,
    expect_pulled,
    expect_started,
    expect_succeeded,
)
from autograders.cluster import Pod


def pod(status: dict[str, Any] | None = None, gpus: int = 1, **spec: Any) -> Pod:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {"name": "c", "image": "cuda:1", "resources": {"limits": limits}}
    usual = {"nodeName": "n1", "restartPolicy": "Never", "containers": [container]}
    meta = {"name": "p", "namespace": "lab"}
    return Pod({"metadata": meta, "spec": {**usual, **spec}, "status": status or {}})


def state(phase: str, **state: Any) -> dict[str, Any]:
    return {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]}


PULLING = state("Pending", waiting={"reason": "ImagePullBackOff", "message": 'image "cuda:1": no'})
CREATING = state("Pending", waiting={"reason": "ContainerCreating"})
RUNNING = state("Running", running={})
ENDED = state("Succeeded", terminated={"exitCode": 0, "reason": "Completed"})
CRASHED = state("Failed", terminated={"exitCode": 6, "reason": "Error"})
NO_PROGRAM = state("Failed", terminated={"exitCode": 128, "reason": "StartError"})
REFUSED = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
STUCK = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/5 nodes"}]}


@pytest.mark.parametrize(("gpus", "limits"), [(1, {"exactly": 1}), (2, {"at_least": 1})])
def test_the_right_number_of_gpus_passes(gpus: int, limits: dict[str, int]) -> None:
    expect_gpus(pod(gpus=gpus), **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gpus", "limits", "seen"),
    [
        (2, {"exactly": 1}, "asks for 2 GPUs"),
        (0, {"exactly": 1}, "asks for no GPU"),
        (1, {"at_least": 2}, "asks for 1 GPU"),
    ],
)
def test_another_number_of_gpus_fails(gpus: int, limits: dict[str, int], seen: str) -> None:
    with pytest.raises(CheckFailed, match=seen):
        expect_gpus(pod(gpus=gpus), **limits)  # type: ignore[arg-type]


def test_an_image_that_cannot_be_pulled_is_told_in_the_kubelets_words() -> None:
    with pytest.raises(CheckFailed) as failed:
        expect_pulled(pod(PULLING), "tags have three numbers")
    assert failed.value.seen == (
        'the image cuda:1 cannot be pulled: ImagePullBackOff: image "cuda:1": no'
    )
    assert failed.value.next == "tags have three numbers"


@pytest.mark.parametrize("status", [RUNNING, ENDED, CRASHED])
def test_a_container_that_ran_had_its_image(status: dict[str, Any]) -> None:
    expect_pulled(pod(status))
    expect_started(pod(status))


@pytest.mark.parametrize("expectation", [expect_pulled, expect_started, expect_succeeded])
@pytest.mark.parametrize("status", [{}, CREATING])
def test_a_pod_on_its_way_is_not_judged_yet(expectation: Any, status: dict[str, Any]) -> None:
    with pytest.raises(NotYet, match="still waiting for Pod p to finish"):
        expectation(pod(status))


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (STUCK, "no node can take Pod p: 0/5 nodes"),
        (REFUSED, "UnexpectedAdmissionError"),
        (NO_PROGRAM, "StartError"),
        (PULLING, "ImagePullBackOff"),
    ],
)
@pytest.mark.parametrize("expectation", [expect_started, expect_succeeded])
def test_a_pod_that_never_started_is_told_why(
    expectation: Any, status: dict[str, Any], seen: str
) -> None:
    with pytest.raises(CheckFailed, match=seen) as failed:
        expectation(pod(status))
    assert not isinstance(failed.value, NotYet)


def test_a_pod_that_ended_well_succeeded() -> None:
    expect_succeeded(pod(ENDED))


def test_a_pod_that_ended_badly_is_told_with_its_exit_code() -> None:
    with pytest.raises(CheckFailed, match=r"is Failed, not Succeeded \(exit code 6\)") as failed:
        expect_succeeded(pod(CRASHED))
    assert failed.value.next == "read what it printed: kubectl logs p --namespace lab"


def test_a_pod_that_always_restarts_is_told_why_it_never_succeeds() -> None:
    ready = {**RUNNING, "conditions": [{"type": "Ready", "status": "True"}]}
    with pytest.raises(CheckFailed) as failed:
        expect_succeeded(pod(ready, restartPolicy="Always"))
    assert failed.value.next.startswith("set restartPolicy: Never")


def test_a_node_named_by_hand_is_refused() -> None:
    made = pod()
    expect_placed_by_scheduler(made)
    made.meta["managedFields"] = [{"fieldsV1": {"f:spec": {"f:nodeName": {}}}}]
    with pytest.raises(CheckFailed, match=r"spec\.nodeName"):
        expect_placed_by_scheduler(made)
