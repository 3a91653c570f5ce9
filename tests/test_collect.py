"""Evidence is gathered from a server that answers as an API server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autograders.checks import check
from autograders.collect import collect, collect_settled, path_of
from autograders.connect import Api, Unreachable, connect
from autograders.errors import InputError
from autograders.evidence import from_json, to_json
from autograders.grade import gather, grade_live
from autograders.load import Collect, Exercise, LogOf, Settings
from tests.served import Answer, Served, serving, write_kubeconfig

PODS = "/api/v1/namespaces/lab/pods"
NODES = "/api/v1/nodes"
LOG = f"{PODS}/p/log"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as state:
        yield state


@pytest.fixture
def kubeconfig(served: Served, tmp_path: Path) -> Path:
    return write_kubeconfig(served, tmp_path)


@pytest.fixture
def api(kubeconfig: Path) -> Iterator[Api]:
    with connect(kubeconfig) as api:
        yield api


def exercise(*judges: Callable[..., None], seconds: int = 5) -> Exercise:
    collect = (Collect("v1", "pods"), Collect("v1", "nodes", "cluster"))
    settings = Settings(
        "T", "9", "lab", ("o",), ("h",), collect, (LogOf("p"),), settle_seconds=seconds
    )
    checks = tuple(check(points=1)(each) for each in judges)
    return Exercise("01-t", Path("01-t"), settings, checks, (), (), (), "d")


def pods(*phases: str) -> Answer:
    ended = {"state": {"terminated": {"reason": "Completed"}}, "name": "c"}
    items = [
        {
            "metadata": {"name": "p", "namespace": "lab"},
            "spec": {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "c"}]},
            "status": {"phase": phase, "containerStatuses": [ended]},
        }
        for phase in phases
    ]
    return 200, {"kind": "PodList", "items": items}


NO_NODES: Answer = (200, {"kind": "NodeList", "items": []})


def pod_is_there(cluster: Any) -> None:
    cluster.pod("p")


def nodes_can_be_read(cluster: Any) -> None:
    cluster.nodes()


def test_paths_are_those_of_the_api() -> None:
    paths = [
        path_of(Collect(*each), "lab") for each in (("v1", "pods"), ("apps/v1", "deployments"))
    ]
    assert paths == [PODS, "/apis/apps/v1/namespaces/lab/deployments"]
    assert path_of(Collect("v1", "nodes", "cluster"), "lab") == NODES


def test_objects_get_their_kind_and_logs_their_key(served: Served, api: Api) -> None:
    served.answers = {PODS: pods("Succeeded"), NODES: NO_NODES, LOG: (200, "NVIDIA H100")}
    phase = collect(api, exercise())
    assert [(each["kind"], each["apiVersion"]) for each in phase.objects] == [("Pod", "v1")]
    assert (phase.logs, phase.problems) == ({"lab/p/c": "NVIDIA H100"}, ())
    assert phase.resources == ("pods", "nodes", "pods/log")


def test_what_does_not_exist_is_absent(served: Served, api: Api) -> None:
    waiting = (400, {"message": "waiting to start"})
    served.answers = {PODS: pods("Succeeded"), NODES: NO_NODES, LOG: waiting}
    wanted = exercise().settings
    policies = Collect("nvidia.com/v1", "clusterpolicies", "cluster")  # answered with 404
    more = msgspec.structs.replace(wanted, collect=(*wanted.collect, policies))
    phase = collect(api, replace(exercise(), settings=more))
    assert (len(phase.objects), phase.logs, phase.problems) == (1, {}, ())


def test_a_server_that_knows_no_kind_is_no_api_server(api: Api) -> None:
    with pytest.raises(Unreachable, match="does not answer as a Kubernetes API server"):
        collect(api, exercise())


@pytest.mark.parametrize("code", [403, 410, 429, 500])
def test_what_cannot_be_read_breaks_only_the_checks_that_need_it(
    served: Served, kubeconfig: Path, tmp_path: Path, code: int
) -> None:
    served.answers = {PODS: pods("Succeeded"), NODES: (code, {"message": "no"}), LOG: (200, "")}
    graded = exercise(pod_is_there, nodes_can_be_read)
    report = grade_live(graded, kubeconfig, tmp_path / "none.toml", provider="embedded")
    assert [each.outcome.value for each in report.results] == ["passed", "broken"]
    assert f"nodes could not be read: {code}: no" in report.results[1].seen


def test_a_log_that_cannot_be_read_is_a_problem(served: Served, api: Api) -> None:
    served.answers = {PODS: pods("Succeeded"), NODES: NO_NODES, LOG: (502, {"message": "kubelet"})}
    (problem,) = collect(api, exercise()).problems
    assert (problem.resource, problem.text) == ("pods/log", "502: kubelet")


def test_an_identity_that_may_read_nothing_is_refused(served: Served, api: Api) -> None:
    served.answers = {PODS: (403, {"message": "no"}), NODES: (403, {"message": "no"})}
    with pytest.raises(InputError, match="refuses: 403: no") as refused:
        collect(api, exercise())
    assert "rbac.yaml" in refused.value.do


def test_a_passing_trouble_is_tried_once_more(served: Served, api: Api) -> None:
    served.answers = {PODS: pods("Succeeded"), LOG: (200, ""), NODES: [(500, {}), NO_NODES]}
    assert collect_settled(api, exercise(), poll=0.01).problems == ()


def test_it_waits_until_nothing_is_in_flight_and_says_for_what(served: Served, api: Api) -> None:
    running = pods("Running")
    served.answers = {PODS: [running, running, pods("Succeeded")], NODES: NO_NODES, LOG: (200, "")}
    told: list[str] = []
    phase = collect_settled(api, exercise(), poll=0.01, waiting=told.append)
    assert phase.objects[0]["status"]["phase"] == "Succeeded"
    assert told == ["Pod p to finish"]


def test_it_waits_no_longer_than_the_exercise_says(served: Served, api: Api) -> None:
    served.answers = {PODS: pods("Running"), NODES: NO_NODES, LOG: (200, "")}
    phase = collect_settled(api, exercise(seconds=1), poll=0.05)
    assert phase.objects[0]["status"]["phase"] == "Running"


def test_a_cluster_that_dies_meanwhile_decides_nothing(served: Served, kubeconfig: Path) -> None:
    served.answers = {PODS: [pods("Running"), (401, {})], NODES: NO_NODES, LOG: (200, "")}
    report = grade_live(exercise(pod_is_there), kubeconfig, Path("none.toml"), provider="embedded")
    assert [each.outcome.value for each in report.results] == ["broken"]
    assert report.undecided == 1.0


def test_gathered_evidence_can_be_saved_and_has_its_circumstances(served: Served, api: Api) -> None:
    served.answers = {PODS: pods("Succeeded"), NODES: NO_NODES, LOG: (200, "log")}
    found = gather(api, exercise(), "embedded", {"kubernetes": "1.36.3"}, 10.0, "seed")
    assert from_json(to_json(found)) == found
    assert (found.provider, found.speed, found.seed, found.exercise) == (
        "embedded",
        10.0,
        "seed",
        "01-t",
    )


def test_a_kept_connection_is_not_closed(served: Served, kubeconfig: Path, api: Api) -> None:
    served.answers = {PODS: pods("Succeeded"), NODES: NO_NODES, LOG: (200, "log")}
    graded, answers = exercise(pod_is_there), Path("none.toml")
    reports = [
        grade_live(graded, kubeconfig, answers, provider="embedded", api=api) for _ in range(2)
    ]
    assert [each.score for each in reports] == [1.0, 1.0]
