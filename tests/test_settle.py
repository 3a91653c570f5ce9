"""A wait ends as soon as nothing can change any more."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.model import Phase
from autograders.settle import in_flight

META = {"name": "x", "namespace": "lab", "generation": 2}
PENDING = {"kind": "Pod", "metadata": {"name": "p", "namespace": "lab"}, "status": {}}
UNSCHEDULABLE = {
    "kind": "Pod",
    "metadata": {"name": "q", "namespace": "lab"},
    "status": {"conditions": [{"type": "PodScheduled", "status": "False"}]},
}


def awaited(*objects: dict[str, Any]) -> tuple[str, ...]:
    return in_flight(Phase("final", ("pods",), objects), "lab")


def test_an_empty_namespace_needs_no_waiting() -> None:
    assert awaited() == ()


def test_an_unschedulable_pod_alone_needs_no_waiting() -> None:
    assert awaited(UNSCHEDULABLE) == ()


def test_an_unschedulable_pod_waits_while_another_is_in_flight() -> None:
    assert awaited(UNSCHEDULABLE, PENDING) == ("Pod p to be scheduled",)


def test_other_namespaces_are_not_waited_for() -> None:
    assert in_flight(Phase("final", ("pods",), (PENDING,)), "elsewhere") == ()


@pytest.mark.parametrize(("status", "waits"), [({"observedGeneration": 1}, 1), ({}, 1)])
def test_a_deployment_is_waited_for_until_it_was_taken_up(
    status: dict[str, Any], waits: int
) -> None:
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": META, "status": status}
    seen = {**made, "status": {"observedGeneration": 2}}
    assert (len(awaited(made)), len(awaited(seen))) == (waits, 0)


def test_a_job_is_waited_for_until_it_was_started() -> None:
    job = {"kind": "Job", "apiVersion": "batch/v1", "metadata": META}
    started = {**job, "status": {"startTime": "now"}}
    suspended = {**job, "spec": {"suspend": True}}
    assert [len(awaited(each)) for each in (job, started, suspended)] == [1, 0, 0]
