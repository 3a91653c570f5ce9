"""What happens after the list is recorded, and what changes is noticed, from a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autograders.cluster import Cluster
from autograders.connect import Api, connect
from autograders.evidence import from_json, to_json
from autograders.grade import gather
from autograders.load import Collect, Exercise, Settings, load_exercise
from autograders.model import Unreadable
from autograders.observe import Changes
from autograders.timeline import eventually, never
from gpulab.paths import ROOT
from tests.served import Served, serving, write_kubeconfig

PODS = "/api/v1/namespaces/lab/pods"
NODES = "/api/v1/nodes"


def pod(phase: str, version: str, **meta: Any) -> dict[str, Any]:
    known = {"name": "p", "namespace": "lab", "uid": "1", "resourceVersion": version, **meta}
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": known, "spec": {"nodeName": "n", "containers": []}, "status": status}


def listed(*items: dict[str, Any], kind: str = "Pod", version: str = "10") -> tuple[int, Any]:
    meta = {"resourceVersion": version}
    return 200, {"kind": f"{kind}List", "metadata": meta, "items": list(items)}


def changed(thing: dict[str, Any], type: str = "MODIFIED") -> dict[str, Any]:
    return {"type": type, "object": {"kind": "Pod", "apiVersion": "v1", **thing}}


GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as state:
        state.answers = {PODS: listed(pod("Succeeded", "9")), NODES: listed(kind="Node")}
        yield state


@pytest.fixture
def api(served: Served, tmp_path: Path) -> Iterator[Api]:
    with connect(write_kubeconfig(served, tmp_path)) as api:
        yield api


def exercise(seconds: int = 1) -> Exercise:
    collect = (Collect("v1", "pods", watch=True), Collect("v1", "nodes", "cluster"))
    settings = Settings("T", "9", "lab", ("o",), ("h",), collect, watch_seconds=seconds)
    return Exercise("01-t", Path("01-t"), settings, (), (), (), (), "d")


def observed(api: Api, seconds: int = 1) -> Cluster:
    return Cluster(gather(api, exercise(seconds), "embedded", {}).phases, "lab", "01-t")


def is_failed(seen: Cluster) -> bool:
    return seen.pod("p").phase == "Failed"


def test_events_after_the_list_are_in_the_evidence(served: Served, api: Api) -> None:
    script = [(0.2, changed(pod("Failed", "11"))), (0.2, changed(pod("Running", "12")))]
    served.watches = {PODS: [script]}
    evidence = gather(api, exercise(), "embedded", {})
    (phase,) = evidence.phases
    assert [each["object"]["status"]["phase"] for each in phase.events] == ["Failed", "Running"]
    assert 0 < phase.events[0]["after"] < phase.events[1]["after"] < phase.watched == 1
    assert [each["kind"] for each in phase.objects] == ["Pod"]
    assert from_json(to_json(evidence)) == evidence
    assert eventually(Cluster(evidence.phases, "lab", "01-t"), is_failed)


def test_a_watch_begins_at_the_list_and_goes_on_where_it_ended(served: Served, api: Api) -> None:
    served.watches = {PODS: [[(0, changed(pod("Failed", "11")))], [(0.1, "")]]}
    observed(api)
    asked = [each for each in served.asked if "watch=1" in each]
    assert "resourceVersion=10" in asked[0]
    assert all("resourceVersion=11" in each for each in asked[1:])
    assert len(asked) > 1
    assert not [each for each in asked if not each.startswith(PODS)]


@pytest.mark.parametrize("event", [GONE, "{", "[]"], ids=["410", "cut off", "no event"])
def test_a_watch_that_breaks_is_the_clusters_fault(served: Served, api: Api, event: Any) -> None:
    served.watches = {PODS: [[(0, event)]]}
    cluster = observed(api)
    assert cluster.pod("p").phase == "Succeeded"
    with pytest.raises(Unreadable, match="watch of pods ended or could not be read"):
        never(cluster, is_failed)


def test_an_exercise_that_asks_for_no_watch_has_none(served: Served, api: Api) -> None:
    plain = msgspec.structs.replace(
        exercise().settings, collect=(Collect("v1", "pods"),), watch_seconds=0
    )
    (phase,) = gather(api, replace(exercise(), settings=plain), "embedded", {}).phases
    assert (phase.events, phase.watched) == ((), 0.0)
    assert not [each for each in served.asked if "watch" in each]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("settle_seconds = 60", "settle_seconds = 60\nwatch_seconds = 5"),
        ('resource = "pods"', 'resource = "pods"\nwatch = true'),
    ],
)
def test_a_watch_without_a_time_and_a_time_without_a_watch_are_refused(
    clone: Path, old: str, new: str
) -> None:
    folder = clone / "exercises" / "01-deploy-gpu-pod"
    file = folder / "exercise.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(Exception, match="needs both or neither: watch_seconds"):
        load_exercise(folder)
    assert load_exercise(ROOT / "exercises" / folder.name).settings.watch_seconds == 0


# -- changes, for `gpulab check --watch`


def settled(changes: Changes) -> None:
    """The first lists are news; wait until they have been told."""
    assert changes.wait(5)
    while changes.wait(0.3):
        pass


@pytest.mark.parametrize(
    "event",
    [
        changed(pod("Failed", "11")),
        changed(pod("Succeeded", "11"), "DELETED"),
        changed(pod("Succeeded", "11", uid="2"), "ADDED"),
        GONE,
    ],
    ids=["modified", "deleted", "added", "410"],
)
def test_a_change_is_told_at_once(served: Served, api: Api, event: dict[str, Any]) -> None:
    served.watches = {PODS: [[(1.5, event)]]}
    with Changes(api, exercise()) as changes:
        settled(changes)
        assert changes.wait(5)


def test_a_heartbeat_and_a_bookmark_are_no_change(served: Served, api: Api) -> None:
    beat = pod("Succeeded", "11", managedFields=[{"time": "now"}])
    beat["status"]["conditions"][0]["lastHeartbeatTime"] = "now"
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}}
    served.watches = {PODS: [[(0.8, changed(beat)), (0.1, bookmark)]]}
    with Changes(api, exercise()) as changes:
        settled(changes)
        assert not changes.wait(1.5)
    assert any("resourceVersion=12" in each for each in served.asked)


def test_a_server_that_goes_is_a_change(served: Served, api: Api) -> None:
    with Changes(api, exercise()) as changes:
        settled(changes)
        served.answers = {PODS: (500, {}), NODES: (500, {})}
        served.watches = {PODS: [[(0, "{")]]}
        assert changes.wait(5)
