"""What a check sees, and what it is told when something is missing."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.cluster import Cluster
from autograders.model import CheckFailed, Phase, Problem, Unreadable

NAMESPACE = {"kind": "Namespace", "metadata": {"name": "lab"}}
POD = {"kind": "Pod", "metadata": {"name": "p", "namespace": "lab"}}


def cluster(*objects: dict[str, Any], **more: Any) -> Cluster:
    resources = ("namespaces", "pods", "nodes", "pods/log")
    return Cluster([Phase("final", resources, objects, **more)], "lab", "01-deploy")


def test_a_missing_namespace_is_told_before_a_missing_pod() -> None:
    with pytest.raises(CheckFailed) as failed:
        cluster().pod("p")
    assert (failed.value.seen, failed.value.next) == (
        "there is no namespace lab",
        "run: gpulab start 01",
    )


def test_a_missing_pod_is_told_with_its_namespace() -> None:
    with pytest.raises(CheckFailed, match="there is no Pod p in namespace lab"):
        cluster(NAMESPACE).pod("p")


def test_a_pod_of_another_namespace_does_not_count() -> None:
    other = {"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}
    assert cluster(NAMESPACE, other).find_pod("p") is None


def test_a_pod_is_found_by_name() -> None:
    assert cluster(NAMESPACE, POD).pod("p").name == "p"


def test_what_could_not_be_read_is_nobodys_failure() -> None:
    unreadable = cluster(problems=(Problem("pods", "500: etcd is gone"),))
    with pytest.raises(Unreadable, match="etcd is gone"):
        unreadable.pod("p")


def test_what_was_not_declared_cannot_be_missing() -> None:
    with pytest.raises(Unreadable, match="does not collect jobs"):
        cluster().objects("Job", "jobs")


def test_a_log_is_that_of_the_pods_own_containers() -> None:
    pod = {**POD, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    logs = {"lab/p/a": "one", "lab/p/b": "two", "lab/q/a": "three"}
    found = cluster(pod, logs=logs)
    assert (found.log(found.pod("p")), found.log(found.pod("p"), "b")) == ("one\ntwo", "two")


def test_an_earlier_phase_can_be_looked_at() -> None:
    phases = [Phase("as-found", ("pods",), (POD,)), Phase("final", ("pods",))]
    both = Cluster(phases, "lab", "01-deploy")
    assert both.find_pod("p") is None
    assert both.at("as-found").find_pod("p") is not None


def test_an_unknown_phase_is_the_graders_fault() -> None:
    with pytest.raises(Unreadable, match="no phase"):
        cluster().at("after-drain")
