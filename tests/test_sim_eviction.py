"""Who is evicted for what its containers write, and in which words.

`golden/kind/68-evicted-empty-dir` has the story of one as a real kubelet tells it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpulab.sim.eviction import Usage, excess, is_limited
from tests.conftest import Lab, Object, eventually, pod

MIB = 2**20


def made(*limits: str | None, size: str | None = None, medium: str = "") -> dict[str, Any]:
    """A Pod with a container per limit and an emptyDir."""
    containers = [
        {"name": f"c{n}", "resources": {"limits": {"ephemeral-storage": each} if each else {}}}
        for n, each in enumerate(limits)
    ]
    volume = {"medium": medium} | ({"sizeLimit": size} if size else {})
    return {"spec": {"containers": containers, "volumes": [{"name": "data", "emptyDir": volume}]}}


@pytest.mark.parametrize(
    ("given", "usage", "words"),
    [
        (made(None, size="1Mi"), Usage({"c0": 0}, {"data": MIB}), None),
        (
            made(None, size="1Mi"),
            Usage({"c0": 0}, {"data": MIB + 1}),
            'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ',
        ),
        (made(None, size="0"), Usage({"c0": 0}, {"data": MIB}), None),
        (made("2Mi"), Usage({"c0": MIB}, {"data": MIB}), None),
        (
            made("2Mi"),
            Usage({"c0": MIB}, {"data": MIB + 1}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
        ),
        (made("2Mi", medium="Memory"), Usage({"c0": MIB}, {"data": 9 * MIB}), None),
        (
            made("1Mi", "3Mi"),
            Usage({"c0": 2 * MIB, "c1": 0}, {}),
            'Container c0 exceeded its local ephemeral storage limit "1Mi". ',
        ),
    ],
)
def test_a_limit_is_what_may_be_reached_and_not_passed(
    given: dict[str, Any], usage: Usage, words: str | None
) -> None:
    event = excess(given, usage)
    assert (event and event.message) == words
    assert event is None or (event.reason, event.type) == ("Evicted", "Warning")


def test_only_pods_with_a_limit_are_looked_at_and_critical_ones_never() -> None:
    limited = made("1Mi")
    assert is_limited(limited)
    assert not is_limited(made(None))
    limited["spec"]["priority"] = 2_000_000_000
    assert not is_limited(limited)


@pytest.mark.live
def test_a_container_over_its_limit_is_evicted(lab: Lab, namespace: str) -> None:
    given = pod("p", "sh", "-c", "fallocate -l 20M /tmp/scratch; sleep 3600")
    given["spec"]["containers"][0]["resources"] = {"limits": {"ephemeral-storage": "10Mi"}}
    lab.make(namespace, given)
    status = lab.wait(namespace, "p", "phase=Failed")["status"]
    assert status["reason"] == "Evicted"
    words = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    assert status["message"] == words
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


@pytest.mark.live
def test_a_pod_is_ready_only_when_its_readiness_gates_are(lab: Lab, namespace: str) -> None:
    given = pod("p", "sleep", "3600")
    given["spec"]["readinessGates"] = [{"conditionType": "example.com/balancer"}]
    lab.make(namespace, given)
    missing = 'corresponding condition of pod readiness gate "example.com/balancer" does not exist.'
    eventually(lambda: _ready(lab, namespace).get("message") == missing)

    _open(lab, namespace, "False")
    closed = 'the status of pod readiness gate "example.com/balancer" is not "True", but False'
    eventually(lambda: _ready(lab, namespace)["message"] == closed)

    _open(lab, namespace, "True")
    eventually(lambda: _ready(lab, namespace)["status"] == "True")


def _ready(lab: Lab, namespace: str) -> Object:
    """The Pod's condition Ready; nothing while it has none."""
    conditions = lab.get("pod", "-n", namespace, "p")["status"].get("conditions") or []
    return next((c for c in conditions if c["type"] == "Ready"), {})


def _open(lab: Lab, namespace: str, status: str) -> None:
    condition = {"type": "example.com/balancer", "status": status}
    change = json.dumps({"status": {"conditions": [condition]}})
    lab.kubectl("patch", "pod", "p", "-n", namespace, "--subresource=status", "-p", change)
