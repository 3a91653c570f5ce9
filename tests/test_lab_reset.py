"""`gpulab reset --lab`: whatever a learner did to the cluster, it is as it was when it was new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gpulab import baseline
from gpulab.baseline import Baseline, compared
from gpulab.discovery import Resource
from gpulab.emptying import Found
from gpulab.essence import fingerprint
from gpulab.made import made
from tests.conftest import Lab, eventually, make_lab, pod, said

Object = dict[str, Any]


def found(kind: str, name: str, namespace: str = "", by: str = "", **more: Any) -> Found:
    """An object with its name as its uid; `by` is the uid of its controller."""
    resource = Resource("v1", f"{kind.lower()}s", kind, bool(namespace), frozenset({"list"}))
    owners = [{"uid": by, "controller": True}] if by else []
    meta = {"name": name, "namespace": namespace, "uid": name, "ownerReferences": owners}
    labels = more.pop("labels", {})
    return Found(resource, {"metadata": {**meta, "labels": labels}, **more})


FIRST = (
    found("Policy", "policy", spec={"on": True}),
    found("Set", "set", "lab", by="policy", spec={"image": "a"}),
    found("Pod", "set-1", "lab", by="set"),
    found("Map", "map", "lab", data={"a": "b"}),
)


def base() -> Baseline:
    free = {each.key: made(each) for each in FIRST if not baseline.owner(each)}
    return Baseline("default", free, {FIRST[1].key: FIRST[1].fingerprint})


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        (FIRST, []),
        ((*FIRST[:2], found("Pod", "set-2", "lab", by="set"), FIRST[3]), []),
        ((*FIRST, found("Map", "x", "lab")), ["Map x in namespace lab (made since)"]),
        (FIRST[:3], ["maps/lab/map (deleted since, comes back)"]),
        (
            (*FIRST[:3], found("Map", "map", "lab", data={})),
            ["Map map in namespace lab (changed since)"],
        ),
        (
            (*FIRST, found("Space", "gpu", labels={"gpulab.dev/exercise": "01"})),
            ["Space gpu (made since)"],
        ),
        ((*FIRST, found("Namespace", "gpu", labels={"gpulab.dev/exercise": "01"})), []),
        ((*FIRST, found("Namespace", "mine")), ["Namespace mine (made since)"]),
        ((*FIRST, found("Deployment", "gpulab-ready-1", "kube-system")), []),
    ],
)
def test_what_differs_is_said_and_what_follows_is_not(
    now: tuple[Found, ...], lines: list[str]
) -> None:
    assert compared(now, base()).lines() == lines


def test_what_belongs_to_nothing_recorded_goes_with_its_owner() -> None:
    more = (found("Job", "j", "lab"), found("Pod", "j-1", "lab", by="j"))
    other = compared((*FIRST, *more), base())
    assert [each.name for each in other.surplus] == ["j", "j-1"]
    assert other.lines() == ["Job j in namespace lab (made since)"]


def test_a_namespace_in_the_way_is_named() -> None:
    going = found("Namespace", "gpu", labels={"gpulab.dev/exercise": "01"})
    going.thing["metadata"]["deletionTimestamp"] = "now"
    for each in (going, found("Namespace", "mine")):
        assert compared((*FIRST, each), base()).beyond == each
    assert compared(FIRST, base()).beyond is None


def test_status_and_servers_fields_are_no_difference() -> None:
    plain: Object = {"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"b": 1}}
    meta = {**plain["metadata"], "uid": "u", "resourceVersion": "7", "managedFields": [{}]}
    assert fingerprint("X", {**plain, "metadata": meta, "status": {"c": 2}}) == fingerprint(
        "X", plain
    )
    assert fingerprint("X", {**plain, "spec": {"b": 2}}) != fingerprint("X", plain)
    assert fingerprint("X", {**plain, "metadata": {"name": "a"}}) != fingerprint("X", plain)


# -- on a lab


@pytest.fixture(scope="module")
def lab_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("reset"), "reset")


def put_back(lab: Lab) -> str:
    done = lab.gpulab("reset", "--lab", "--yes", seconds=200)
    assert done.returncode == 0, done.stderr
    assert "nothing but what it had" in lab.gpulab("reset", "--lab").stdout
    return done.stdout


@pytest.mark.live
def test_a_new_lab_and_one_with_a_started_exercise_are_as_new(lab_of_its_own: Lab) -> None:
    assert "nothing but what it had" in lab_of_its_own.gpulab("reset", "--lab").stdout
    assert lab_of_its_own.gpulab("start", "01").returncode == 0
    assert "nothing but what it had" in lab_of_its_own.gpulab("reset", "--lab").stdout


@pytest.mark.live
def test_what_was_made_changed_and_deleted_is_undone(lab_of_its_own: Lab) -> None:
    lab = lab_of_its_own
    before = lab.get("node", "cpu-1")["metadata"]["labels"]
    lab.gpulab("start", "01")
    lab.make("gpu-basics", pod("mine", "sleep", "1000", gpus=1))
    lab.make("default", pod("other", "sleep", "1000"))
    lab.kubectl("label", "node", "cpu-1", "mine=1", "kubernetes.io/os-")
    lab.kubectl("cordon", "h100-1")
    lab.kubectl("delete", "clusterrole", "view")
    lab.kubectl("delete", "daemonset", "nvidia-dcgm-exporter", "-n", "gpu-operator")
    lab.kubectl("create", "clusterrolebinding", "all", "--clusterrole=view", "--user=me")
    what, do = said_after_lines(lab)
    assert (what, "reset --lab --yes" in do) == ("gpulab: nobody is there to confirm", True)
    put_back(lab)
    assert lab.get("node", "cpu-1")["metadata"]["labels"] == before
    assert not lab.get("node", "h100-1")["spec"].get("unschedulable")
    for name in ("gpu-basics", "default"):
        assert lab.get("pods", "-n", name)["items"] == []
    assert lab.kubectl("get", "clusterrole", "view").returncode == 0
    assert lab.kubectl("get", "clusterrolebinding", "all").returncode == 1
    operand = ("get", "daemonset", "nvidia-dcgm-exporter", "-n", "gpu-operator")
    eventually(lambda: lab.kubectl(*operand).returncode == 0)
    assert "Started before" not in lab.gpulab("start", "01").stdout


def said_after_lines(lab: Lab) -> tuple[str, str]:
    """Both lines of a refusal that first says what would be lost."""
    done = lab.gpulab("reset", "--lab")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert "  Node cpu-1 (changed since)" in lines
    assert "  Pod mine in namespace gpu-basics (made since)" in lines
    return lines[-2], lines[-1]


@pytest.mark.live
def test_a_webhook_that_refuses_everything_is_taken_away_first(lab_of_its_own: Lab) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    hook = {
        "name": "no.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/no"},
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    thing = {**kind, "kind": "ValidatingWebhookConfiguration", "webhooks": [hook]}
    thing["metadata"] = {"name": "no"}
    lab_of_its_own.make("default", pod("stays", "sleep", "1000"))
    lab_of_its_own.apply(json.dumps(thing))
    assert lab_of_its_own.kubectl("create", "configmap", "x").returncode == 1
    put_back(lab_of_its_own)
    assert lab_of_its_own.kubectl("create", "configmap", "x").returncode == 0


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["foreign", "terminating"])
def test_a_namespace_in_the_way_means_going_back_to_the_snapshot(
    lab_of_its_own: Lab, how: str
) -> None:
    lab = lab_of_its_own
    if how == "foreign":
        lab.kubectl("create", "namespace", "mine")
    else:
        lab.gpulab("start", "01")
        hold = '{"metadata":{"finalizers":["example.org/hold"]}}'
        lab.kubectl("create", "configmap", "held", "-n", "gpu-basics")
        lab.kubectl("patch", "cm", "held", "-n", "gpu-basics", "--type=merge", "-p", hold)
        lab.kubectl("delete", "namespace", "gpu-basics", "--wait=false")
        assert "gpulab reset --lab" in said(lab.gpulab("reset", "01"))[1]
    put_back(lab)
    names = {each["metadata"]["name"] for each in lab.get("namespaces")["items"]}
    assert not names & {"mine", "gpu-basics"}
    assert lab.gpulab("start", "01").returncode == 0
    assert "there is no checkpoint" in lab.gpulab("checkpoint", "list").stdout.lower()
