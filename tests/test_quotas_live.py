"""What we say that the API server refuses, it refuses, and in these words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from autograders.cluster import Pod
from autograders.cluster.admission import Objects, Refusal, admitted, refusal
from autograders.connect import Api, connect
from tests.conftest import Lab, eventually, pod

pytestmark = pytest.mark.live
Object = dict[str, Any]
GPU = "nvidia.com/gpu"
PRIVATE = "pod-security.kubernetes.io/enforce"
KINDS = {
    "ResourceQuota": "/api/v1/resourcequotas",
    "LimitRange": "/api/v1/limitranges",
    "Namespace": "/api/v1/namespaces",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
}


def quota(name: str, hard: Object, **spec: Any) -> Object:
    meta, kind = {"name": name}, {"apiVersion": "v1", "kind": "ResourceQuota"}
    return {**kind, "metadata": meta, "spec": {"hard": hard, **spec}}


def limit_range(*items: Object) -> Object:
    meta, kind = {"name": "bounds"}, {"apiVersion": "v1", "kind": "LimitRange"}
    return {**kind, "metadata": meta, "spec": {"limits": list(items)}}


COMPUTE = {"requests.cpu": "3", "limits.memory": "6Gi", "pods": "3"}
CONTAINER = {
    "type": "Container",
    "max": {"cpu": "2", "memory": "4Gi"},
    "min": {"cpu": "50m"},
    "default": {"cpu": "1", "memory": "1Gi"},
    "defaultRequest": {"cpu": "50m"},
    "maxLimitRequestRatio": {"memory": "2"},
}
SPACES: dict[str, tuple[Object, list[Object]]] = {
    "gpus": ({}, [quota("gpus", {f"requests.{GPU}": "4", "count/pods": "9"})]),
    "compute": ({}, [quota("compute", COMPUTE)]),
    "scopes": (
        {},
        [
            quota("idle", {"pods": "0"}, scopes=["BestEffort"]),
            quota("long", {"requests.cpu": "1"}, scopes=["NotTerminating"]),
        ],
    ),
    "bounds": ({}, [limit_range(CONTAINER, {"type": "Pod", "max": {"cpu": "3"}})]),
    "baseline": ({PRIVATE: "baseline"}, []),
    "restricted": ({PRIVATE: "restricted", f"{PRIVATE}-version": "v1.36"}, []),
}


@dataclass(frozen=True)
class Court:
    """The API server's judgement beside ours."""

    api: Api
    spaces: dict[str, str]
    """What a namespace is for -> its name in this lab."""

    def read(self) -> Objects:
        return {kind: self.api.json(path)["items"] for kind, path in KINDS.items()}

    def create(self, wanted: Object) -> tuple[int, str]:
        """A dry run passes through all of admission."""
        path = f"/api/v1/namespaces/{wanted['metadata']['namespace']}/pods"
        answer = self.api.client.post(path, params={"dryRun": "All"}, json=wanted)
        return answer.status_code, str(answer.json().get("message", ""))


@pytest.fixture(scope="module")
def court(lab: Lab) -> Iterator[Court]:
    """Namespaces with rules, and in each a Pod that uses some of what they grant."""
    number = str(id(lab))[-6:]
    spaces = {name: f"court-{name}-{number}" for name in SPACES}
    with connect(lab.kubeconfig, read_only=False) as api:
        for name, (labels, rules) in SPACES.items():
            meta = {"name": spaces[name], "labels": labels}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
            lab.apply(json.dumps(body))
            account = f"/api/v1/namespaces/{spaces[name]}/serviceaccounts/default"
            eventually(lambda path=account: api.client.get(path).is_success)  # type: ignore[misc]
            if rules:
                lab.make(spaces[name], *rules)
                eventually(lambda space=spaces[name]: counted(api, space))  # type: ignore[misc]
                lab.make(spaces[name], hold())
        eventually(lambda: used(api, spaces["gpus"]) == {f"requests.{GPU}": "1", "count/pods": "1"})
        yield Court(api, spaces)
    for name in spaces.values():
        lab.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force")
        lab.kubectl("delete", "namespace", name, "--wait=false")


def hold() -> Object:
    held = pod("holds", "sleep", "9999", gpus=1, schedulingGates=[{"name": "test/never"}])
    amounts = {"cpu": "500m", "memory": "1Gi"}
    held["spec"]["containers"][0]["resources"] = {
        "limits": {**amounts, GPU: "1"},
        "requests": amounts,
    }
    return held


def counted(api: Api, space: str) -> bool:
    """The quota controller has written what is used."""
    quotas = api.json(f"/api/v1/namespaces/{space}/resourcequotas")["items"]
    return all(each.get("status", {}).get("used") for each in quotas)


def used(api: Api, space: str) -> Object:
    found = api.json(f"/api/v1/namespaces/{space}/resourcequotas")["items"]
    return dict(found[0]["status"].get("used") or {})


def texts(code: int, message: str) -> frozenset[str]:
    """Single reasons, whose order is that of a Go map."""
    if code == 201:
        return frozenset()
    said = re.sub(r'^(pods|Pod) "[^"]*" is (forbidden|invalid): ', "", message)
    if said.startswith("[") and said.endswith("]"):
        return frozenset(re.split(r", (?=spec\.|m[ai][xn]imum |\w+ max limit)", said[1:-1]))
    return frozenset([said])


def agree(court: Court, wanted: Object) -> Refusal | None:
    """The same answer from both; what it was."""
    ours = refusal(Pod(wanted), court.read())
    code, message = court.create(wanted)
    expected = frozenset(ours.texts if ours else ())
    assert texts(code, message) == expected, f"{code} {message}"
    assert code == (ours.code if ours else 201)
    return ours


limits = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["0.5", "1500m", "2", "4"]),
        "memory": st.sampled_from(["1Gi", "2500M", "5e9", "6Gi"]),
        "ephemeral-storage": st.sampled_from(["1Gi"]),
        GPU: st.sampled_from(["1", "2", "3", "4", "0.5"]),
    },
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["20m", "0.1", "500m", "1"]),
        "memory": st.sampled_from(["100Mi", "1000000Ki"]),
    },
)
security = st.fixed_dictionaries(
    {},
    optional={
        "privileged": st.booleans(),
        "allowPrivilegeEscalation": st.just(False),
        "runAsNonRoot": st.booleans(),
        "runAsUser": st.sampled_from([0, 1000]),
        "capabilities": st.sampled_from(
            [
                {"drop": ["ALL"]},
                {"add": ["SYS_ADMIN", "NET_BIND_SERVICE"], "drop": ["ALL"]},
                {"add": ["CHOWN"]},
            ]
        ),
        "seccompProfile": st.sampled_from([{"type": "RuntimeDefault"}, {"type": "Unconfined"}]),
    },
).filter(lambda found: not (found.get("privileged") and "allowPrivilegeEscalation" in found))
whole = st.fixed_dictionaries(
    {},
    optional={
        "hostNetwork": st.just(True),
        "hostPID": st.just(True),
        "hostUsers": st.just(False),
        "activeDeadlineSeconds": st.just(60),
        "securityContext": security.map(
            lambda found: {k: found[k] for k in ("runAsNonRoot", "seccompProfile") if k in found}
        ),
        "volumes": st.sampled_from(
            [
                [{"name": "v", "emptyDir": {}}],
                [
                    {"name": "v", "hostPath": {"path": "/dev"}},
                    {"name": "w", "hostPath": {"path": "/sys"}},
                ],
            ]
        ),
    },
).filter(lambda found: not (found.get("hostUsers") is False and len(found) > 1))


@st.composite
def pods(draw: st.DrawFn, space: str) -> Object:
    """One or two containers, perhaps an init container, that ask for this and that."""
    names = ["main", *draw(st.sampled_from([[], ["side"]]))]
    found = [draw(container(name, space)) for name in names]
    first = draw(st.sampled_from([[], [draw(container("first", space))]]))
    spec = draw(whole) if space in ("baseline", "restricted", "scopes") else {}
    return {
        "metadata": {"name": "drawn"},
        "spec": {**spec, "containers": found, "initContainers": first},
    }


@st.composite
def container(draw: st.DrawFn, name: str, space: str) -> Object:
    found: Object = {"name": name, "image": "i", "resources": {}}
    if space in ("baseline", "restricted"):
        return found | {"securityContext": draw(security)}
    found["resources"] = {"limits": draw(limits), "requests": draw(requests)}
    if space == "gpus":
        found["resources"]["limits"][GPU] = draw(st.sampled_from(["2", "3"]))
    return found


JUDGES = {
    "gpus": "ResourceQuota",
    "compute": "ResourceQuota",
    "scopes": "ResourceQuota",
    "bounds": "LimitRanger",
    "baseline": "PodSecurity",
    "restricted": "PodSecurity",
}


@pytest.mark.parametrize("space", SPACES)
def test_drawn_pods_are_refused_in_the_apis_words(court: Court, space: str) -> None:
    seen = Counter[str]()

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(pods(space))
    def agrees(wanted: Object) -> None:
        wanted["metadata"]["namespace"] = court.spaces[space]
        ours = agree(court, wanted)
        seen[ours.by if ours else "none"] += 1

    agrees()
    assert seen[JUDGES[space]] >= 15, seen


def test_a_pod_that_keeps_to_the_restricted_level_is_let_in(court: Court) -> None:
    wanted = pod("careful", "true")
    wanted["metadata"]["namespace"] = court.spaces["restricted"]
    wanted["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert agree(court, wanted) is None


MATRIX = {
    "only limits": ({"limits": {GPU: "1"}}, None),
    "equal": ({"limits": {GPU: "2"}, "requests": {GPU: "2"}}, None),
    "unequal": (
        {"limits": {GPU: "2"}, "requests": {GPU: "1"}},
        f'Invalid value: "1": must be equal to {GPU} limit of 2',
    ),
    "only requests": (
        {"requests": {GPU: "1"}},
        "Required value: Limit must be set for non overcommitable resources",
    ),
    "half": ({"limits": {GPU: "0.5"}}, 'Invalid value: "500m": must be an integer'),
    "unprefixed": ({"limits": {"gpu": "1"}}, "must be a standard resource for containers"),
}


@pytest.mark.parametrize("row", MATRIX)
def test_what_a_gpu_request_may_look_like(court: Court, namespace: str, row: str) -> None:
    resources, text = MATRIX[row]
    wanted = pod("matrix", "true")
    wanted["metadata"]["namespace"] = namespace
    wanted["spec"]["containers"][0]["resources"] = resources
    ours = agree(court, wanted)
    assert (ours is None) == (text is None)
    assert ours is None or any(str(text) in each for each in ours.texts)


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        ({"priorityClassName": "none-such"}, "Priority"),
        ({"runtimeClassName": "none-such"}, "RuntimeClass"),
        ({"priorityClassName": "system-node-critical"}, None),
    ],
)
def test_classes_that_are_not_there(
    court: Court, namespace: str, spec: Object, by: str | None
) -> None:
    wanted = pod("classes", "true", **spec)
    wanted["metadata"]["namespace"] = namespace
    ours = agree(court, wanted)
    assert (ours.by if ours else None) == by


def test_admission_fills_in_what_the_api_fills_in(court: Court) -> None:
    wanted = pod("filled", "true", priorityClassName="system-cluster-critical")
    wanted["metadata"]["namespace"] = court.spaces["bounds"]
    path = f"/api/v1/namespaces/{court.spaces['bounds']}/pods"
    theirs = court.api.client.post(path, params={"dryRun": "All"}, json=wanted).json()["spec"]
    ours = admitted(Pod(wanted), court.read()).spec
    for key in ("priority", "preemptionPolicy", "tolerations"):
        assert ours[key] == theirs[key]
    assert ours["containers"][0]["resources"] == theirs["containers"][0]["resources"]
