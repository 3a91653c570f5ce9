"""`kubectl top`: numbers from the simulated metrics API, through the real API server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.cluster.quantities import parse
from gpulab.sim.server.metrics import used
from tests.conftest import Lab, eventually, make_namespace, pod

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def where(lab: Lab) -> Iterator[str]:
    made = make_namespace(lab)
    namespace = next(made)
    big = pod("big", "sleep", "600")
    big["metadata"]["labels"] = {"app": "big"}
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "4", "memory": "8Gi"}}
    lab.make(namespace, big, pod("small", "sleep", "600"), pod("done", "true"))
    lab.wait(namespace, "big", "phase=Running")
    lab.wait(namespace, "small", "phase=Running")
    lab.wait(namespace, "done", "phase=Succeeded")
    eventually(lambda: lab.kubectl("top", "nodes").returncode == 0, seconds=60)
    yield namespace
    next(made, None)


def rows(lab: Lab, *arguments: str) -> dict[str, list[str]]:
    done = lab.kubectl("top", *arguments, "--no-headers")
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def test_every_node_uses_a_little(lab: Lab, where: str) -> None:
    names = {node["metadata"]["name"] for node in lab.get("nodes")["items"]}
    found = rows(lab, "nodes")
    assert found.keys() == names
    assert all(re.fullmatch(r"[1-9]\d*m", cells[0]) for cells in found.values())


def test_a_pod_uses_a_share_of_what_it_asks_for(lab: Lab, where: str) -> None:
    found = rows(lab, "pods", "-n", where)
    assert found.keys() == {"big", "small"}  # what has ended uses nothing
    assert 300 <= int(found["big"][0].removesuffix("m")) <= 500
    assert 3000 <= int(found["big"][1].removesuffix("Mi")) <= 5000
    assert found["small"] == ["1m", "6Mi"]
    assert rows(lab, "pods", "-n", where) == found


def test_labels_choose(lab: Lab, where: str) -> None:
    assert rows(lab, "pods", "-n", where, "-l", "app=big").keys() == {"big"}
    assert rows(lab, "pods", "-n", where, "--containers", "-l", "app=big")["big"][0] == "main"


def test_what_is_not_there_is_said(lab: Lab, where: str) -> None:
    done = lab.kubectl("top", "node", "nope")
    assert 'nodes.metrics.k8s.io "nope" not found' in done.stderr


def test_rights_count_as_for_any_api(lab: Lab, where: str) -> None:
    done = lab.kubectl("top", "pods", "-n", where, "--as", "somebody")
    assert done.returncode == 1
    assert "Forbidden" in done.stderr


@given(
    name=st.text("abc-", min_size=1),
    cpu=st.integers(0, 10**6),
    memory=st.integers(0, 10**12),
    limit=st.one_of(st.none(), st.integers(1, 10**12)),
)
def test_use_stays_below_its_limit(name: str, cpu: int, memory: int, limit: int | None) -> None:
    resources = {"requests": {"cpu": f"{cpu}m", "memory": str(memory)}}
    if limit is not None:
        resources["limits"] = {"memory": str(limit)}
    cores, size = used({"name": name, "resources": resources})
    assert 0 < cores <= max(float(parse(f"{cpu}m")), 0.001)
    assert limit is None or size < limit
