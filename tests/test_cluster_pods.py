"""What a Pod asks for, holds and waits for."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.cluster import Pod

GOOD, BAD = "nvidia/cuda:12.4.1-base-ubuntu22.04", "nvidia/cuda:12.1-devel-ubuntu22.04"


def container(gpus: int = 0, **more: Any) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {"name": f"c{gpus}", "image": GOOD, "resources": {"limits": limits}, **more}


def pod(*containers: dict[str, Any], init: list[dict[str, Any]] | None = None) -> Pod:
    return Pod({"spec": {"containers": list(containers), "initContainers": init or []}})


def running(status: dict[str, Any], policy: str = "Never", node: str | None = "n1") -> Pod:
    spec = {"nodeName": node, "restartPolicy": policy, "containers": [container(1)]}
    return Pod({"metadata": {"name": "p"}, "spec": spec, "status": status})


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "c1", "state": state}]}


def test_containers_add_up() -> None:
    assert pod(container(1), container(2)).asks() == 3


def test_init_containers_run_before_and_one_after_another() -> None:
    assert pod(container(1), init=[container(4), container(2)]).asks() == 4


def test_a_sidecar_stays_beside_the_containers() -> None:
    assert pod(container(1), init=[container(2, restartPolicy="Always")]).asks() == 3


def test_a_sidecar_counts_beside_a_later_init_container() -> None:
    init = [container(2, restartPolicy="Always"), container(4)]
    assert pod(container(1), init=init).asks() == 6


def test_requests_alone_ask_for_nothing() -> None:
    asked = {"name": "c", "resources": {"requests": {"nvidia.com/gpu": 1}}}
    assert pod(asked).asks() == 0


def test_devices_are_those_of_the_asked_resource() -> None:
    allocated = [
        {"name": "nvidia.com/gpu", "resources": [{"resourceID": "GPU-1", "health": "Healthy"}]},
        {"name": "example.com/nic", "resources": [{"resourceID": "nic0"}]},
    ]
    status = {"containerStatuses": [{"name": "c1", "allocatedResourcesStatus": allocated}]}
    assert running(status).devices() == ("GPU-1",)


@pytest.mark.parametrize(
    ("status", "policy", "node"),
    [
        ({"phase": "Succeeded"}, "Never", "n1"),
        ({"phase": "Failed"}, "Never", "n1"),
        (waiting("ErrImagePull", f'failed to resolve "docker.io/{GOOD}"'), "Never", "n1"),
        (waiting("CrashLoopBackOff"), "Always", "n1"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, "Always", "n1"),
        ({"conditions": [{"type": "PodScheduled", "status": "False"}]}, "Never", None),
    ],
)
def test_a_pod_that_waiting_does_not_change_is_not_in_flight(
    status: dict[str, Any], policy: str, node: str | None
) -> None:
    assert running(status, policy, node).in_flight == ""


@pytest.mark.parametrize(
    ("status", "policy", "node", "awaited"),
    [
        ({}, "Never", None, "to be scheduled"),
        (waiting("ContainerCreating"), "Never", "n1", "to finish"),
        ({"phase": "Running"}, "OnFailure", "n1", "to finish"),
        ({"phase": "Running"}, "Always", "n1", "to be ready"),
        (waiting("ImagePullBackOff", f'Back-off pulling image "{BAD}"'), "Never", "n1", "finish"),
    ],
)
def test_a_pod_on_its_way_says_what_to(
    status: dict[str, Any], policy: str, node: str | None, awaited: str
) -> None:
    assert awaited in running(status, policy, node).in_flight


def test_a_terminating_pod_is_in_flight() -> None:
    leaving = {"metadata": {"name": "p", "deletionTimestamp": "now"}, "status": {"phase": "Failed"}}
    assert Pod(leaving).in_flight == "Pod p to be gone"


def test_a_container_that_could_not_be_started_has_not_started() -> None:
    ended = {"terminated": {"reason": "StartError", "exitCode": 128}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "c1", "state": ended}]}
    assert not running(status).containers[0].has_started


def test_a_restarting_container_has_started() -> None:
    state = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    last = {"lastState": {"terminated": {"reason": "Completed", "exitCode": 0}}}
    status = {"containerStatuses": [{"name": "c1", **state, **last}]}
    assert running(status).containers[0].has_started


@pytest.mark.parametrize(("owned", "by_hand"), [({"f:nodeName": {}}, True), ({}, False)])
def test_a_client_that_named_the_node_owns_that_field(owned: dict[str, Any], by_hand: bool) -> None:
    entry = {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}, **owned}}}
    made = Pod({"metadata": {"managedFields": [entry]}, "spec": {"nodeName": "n1"}})
    assert made.placed_by_hand is by_hand


def test_an_empty_object_can_be_read() -> None:
    empty = Pod({})
    assert (empty.phase, empty.node, empty.asks(), empty.containers) == ("Pending", None, 0, ())
