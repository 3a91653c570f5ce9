"""What `gpulab why` computes is what the real scheduler writes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from autograders.cluster import Node, Pod
from autograders.cluster.fit import Explanation, why
from autograders.cluster.preemption import badness
from autograders.connect import Api, connect
from tests.conftest import Lab, environment, eventually
from tests.worlds import FOCUSES, NAMES, REASONS, Drawn, Object, World, node

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
NAMESPACE = "states"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
STATES = 13
AT_LEAST = 15
FLEET = """
title: one small node, beside those that the tests make
nodes:
- {name: own, cpu: 4, memory_gib: 8}
"""
PRIORITIES = {"low": 10, "middle": 100, "high": 1000, "never": 1000}
AMOUNTS = {"cpu": "1", "memory": "1Gi", "pods": "1"}


@dataclass
class Stage:
    """A lab with nodes that nobody simulates: only the scheduler cares about them."""

    lab: Lab
    api: Api
    pool: ThreadPoolExecutor
    nodes: dict[str, Object] = field(default_factory=dict)
    before: list[Pod] = field(default_factory=list)

    def request(self, method: str, path: str, body: Object | None = None) -> Object:
        answer = self.api.client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()  # type: ignore[no-any-return]

    def show(self, world: World) -> None:
        """Make the cluster what the world says."""
        nodes = self.pool.map(self.put_node, world.nodes)
        pods = self.pool.map(self.create, world.holders)
        assert len([*nodes, *pods]) == len(world.nodes) + len(world.holders)

    def put_node(self, wanted: Object) -> None:
        name = wanted["metadata"]["name"]
        if self.nodes.get(name) != wanted:
            self.request("PUT", f"/api/v1/nodes/{name}", wanted)
            self.request("PUT", f"/api/v1/nodes/{name}/status", wanted)
            self.nodes[name] = wanted

    def create(self, wanted: Object, query: str = "") -> Object:
        return self.request("POST", f"{PODS}{query}", wanted)

    def clear(self) -> None:
        self.api.client.delete(PODS, params={"gracePeriodSeconds": "0"})

    def read(self, path: str) -> list[Object]:
        return self.api.json(f"/api/v1/{path}")["items"]  # type: ignore[no-any-return]

    def explain(self, wanted: Object) -> Explanation:
        """Compute from what the API shows now; a dry run fills in what admission would."""
        asked = Pod(self.create(wanted, "?dryRun=All"))
        nodes, pods, spaces = self.pool.map(self.read, ("nodes", "pods", "namespaces"))
        self.before = [Pod(each) for each in pods]
        return why(asked, [Node(each) for each in nodes], self.before, namespaces=spaces)

    def try_it(self, wanted: Object) -> Pod:
        """The Pod once the scheduler has spoken; it is gone then."""
        path = f"{PODS}/{wanted['metadata']['name']}"
        try:
            self.create(wanted)
            deadline = time.monotonic() + 20
            while not (found := Pod(self.api.json(path))).condition("PodScheduled"):
                assert time.monotonic() < deadline, "the scheduler says nothing"
                time.sleep(0.005)
            return found
        finally:
            self.api.client.delete(path, params={"gracePeriodSeconds": "0"})

    def gone_from(self, node: str) -> set[str]:
        """Pods that were there before and are not now."""
        now = {each["metadata"]["name"] for each in self.read("pods")}
        return {each.name for each in self.before if each.node == node} - now


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("why")
    fleet = folder / "small.yaml"
    fleet.write_text(FLEET)
    lab = Lab("why", environment(folder, "why"))
    try:
        up = lab.gpulab("up", "--fleet", str(fleet))
        assert up.returncode == 0, up.stderr
        with connect(lab.kubeconfig, read_only=False) as api, ThreadPoolExecutor(8) as pool:
            made = Stage(lab, api, pool)
            prepare(made)
            yield made
    finally:
        down = lab.gpulab("down", "--delete")
    assert down.returncode == 0, down.stderr


def prepare(stage: Stage) -> None:
    """Nodes, namespace and priorities; the lab's own node is cordoned."""
    metadata = {"metadata": {"name": NAMESPACE}}
    stage.request("POST", "/api/v1/namespaces", {"kind": "Namespace", **metadata})
    for name, value in PRIORITIES.items():
        policy = {"preemptionPolicy": "Never"} if name == "never" else {}
        body = {"metadata": {"name": name}, "value": value, **policy}
        stage.request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", body)
    for name in NAMES:
        stage.request("POST", "/api/v1/nodes", node(name, {}, {}, AMOUNTS))
    assert stage.lab.kubectl("cordon", "own-1").returncode == 0
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    eventually(lambda: stage.api.client.get(account).is_success)


def differs(stage: Stage, wanted: Object) -> tuple[str, Explanation]:
    """What the scheduler did that we did not say; empty when they agree."""
    explained, found = stage.explain(wanted), stage.try_it(wanted)
    said = found.condition("PodScheduled").get("message", "")
    if not found.node:
        return ("" if said == explained.full_message() else f"it says: {said}"), explained
    expected = expectations(explained)
    if found.node not in expected:
        return f"it is on {found.node}, not on {list(expected)}", explained
    gone = stage.gone_from(found.node)
    return ("" if gone == expected[found.node] else f"{gone} made room"), explained


def expectations(explained: Explanation) -> dict[str, set[str]]:
    """Node where the Pod may go -> who has to make room there."""
    best = explained.preemption.candidates
    if not best:
        return {name: set() for name in explained.fits}
    tied = [each for each in best if badness(each) == badness(best[0])]
    return {each.node: {one.name for one in each.victims} for each in tied}


def compare(stage: Stage, world: World) -> Explanation:
    """A first answer may rest on what the scheduler had not yet heard of; a third may not."""
    stage.show(world)
    try:
        for _ in range(3):
            difference, explained = differs(stage, world.probe)
            if not difference:
                return explained
            time.sleep(0.3)
        pytest.fail(f"we say: {explained.full_message()}\n{difference}\n{json.dumps(world.probe)}")
    finally:
        stage.clear()


def test_reasons_are_the_schedulers(stage: Stage) -> None:
    """On 200 drawn states, with every reason in at least 15 of them."""
    seen = Counter[str]()
    for worlds in FOCUSES.values():
        seen += tally(draw(stage, worlds, STATES))
    for reason, focus in REASONS.items():
        for _ in range(5):
            if seen[reason] < AT_LEAST:
                seen += tally(draw(stage, FOCUSES[focus], AT_LEAST - seen[reason]))
    assert seen["states"] >= 200
    assert not {reason: seen[reason] for reason in REASONS if seen[reason] < AT_LEAST}


def tally(found: list[Explanation]) -> Counter[str]:
    """In how many states each reason shows."""
    seen = Counter({"states": len(found)})
    for explained in found:
        seen.update(explained.counts.keys())
        seen.update(["preemption"] * bool(explained.preemption.candidates))
    return seen


def draw(stage: Stage, worlds: Drawn, states: int) -> list[Explanation]:
    """So many states, each compared with the scheduler."""
    found: list[Explanation] = []

    @settings(
        max_examples=states,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds)
    def agrees(world: World) -> None:
        found.append(compare(stage, world))

    agrees()
    return found
