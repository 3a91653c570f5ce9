"""Pod status as pure functions: the phase against a second reading of the kubelet's source."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpulab.paths import DATA
from gpulab.sim.device_map import whole
from gpulab.sim.gpus import load_models, node_gpus
from gpulab.sim.status import (
    Conditions,
    Container,
    container_status,
    phase,
    running,
    terminated,
    waiting,
)
from gpulab.sim.times import parse, stamp

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
SPEC: dict[str, Any] = {"name": "main", "image": "busybox"}
POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [SPEC]}}
POLICIES = ("Always", "OnFailure", "Never")


def ended(code: int) -> dict[str, Any]:
    return terminated(code, "Error" if code else "Completed", NOW, NOW, "containerd://0")


def container(state: str, code: int = 0, init: bool = False, last: int | None = None) -> Container:
    states = {"waiting": waiting("X"), "running": running(NOW), "terminated": ended(code)}
    up = state == "running"
    return Container(
        SPEC,
        init,
        states[state],
        {} if last is None else ended(last),
        started=up,
        ready=up,
    )


@st.composite
def mains(draw: st.DrawFn, policy: str) -> list[Container]:
    """Containers in states that they can be in under this policy."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        state, code = draw(st.sampled_from(["waiting", "running", "terminated"])), draw(codes)
        last = draw(st.none() | codes) if policy != "Never" else None
        if policy == "OnFailure" and last == 0:
            last = 1  # it would not have been started again
        found.append(container(state, code, last=last))
    return found


codes = st.sampled_from([0, 1, 137])
pods = st.sampled_from(POLICIES).flatmap(lambda policy: st.tuples(st.just(policy), mains(policy)))


def get_phase(policy: str, mains: list[Container]) -> str:
    """Pods without init containers: getPhase in pkg/kubelet/kubelet_pods.go of v1.36, by hand."""
    counts = Counter(how(each) for each in mains)
    if counts["waiting"]:
        return "Pending"
    if counts["running"] or policy == "Always":
        return "Running"
    if counts["succeeded"] == len(mains):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def how(each: Container) -> str:
    if "running" in each.state:
        return "running"
    if "terminated" in each.state:
        return "failed" if each.state["terminated"]["exitCode"] else "succeeded"
    return "stopped" if "terminated" in each.last else "waiting"


@given(pods)
def test_the_phase_is_what_the_kubelets_source_says(pod: tuple[str, list[Container]]) -> None:
    policy, mains = pod
    assert phase(policy, [], mains, True) == get_phase(policy, mains)


@given(pods)
def test_a_pod_is_over_only_if_no_container_runs_and_none_will(
    pod: tuple[str, list[Container]],
) -> None:
    policy, mains = pod
    found = phase(policy, [], mains, True)
    if found in ("Succeeded", "Failed"):
        assert policy != "Always"
        assert all(each.exit_code is not None for each in mains)


@given(pods)
def test_while_an_init_container_is_at_work_the_pod_is_pending(
    pod: tuple[str, list[Container]],
) -> None:
    policy, mains = pod
    for state in ("waiting", "running"):
        assert phase(policy, [container(state, init=True)], mains, False) == "Pending"


def test_a_failed_init_container_fails_the_pod_only_if_it_is_not_tried_again() -> None:
    failed, idle = container("terminated", 1, init=True), container("waiting")
    found = [phase(policy, [failed], [idle], False) for policy in POLICIES]
    assert found == ["Pending", "Pending", "Failed"]


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    conditions, later = Conditions(), NOW + dt.timedelta(minutes=1)
    up, down = [container("running")], [container("waiting")]
    first = ready(conditions.compute("Pending", [], down, True, True, NOW, {}))
    same = ready(conditions.compute("Pending", [], down, True, True, later, {}))
    changed = ready(conditions.compute("Running", [], up, True, True, later, {}))
    assert first["status"] == same["status"] == "False"
    assert first["lastTransitionTime"] == same["lastTransitionTime"] == stamp(NOW)
    assert (changed["status"], changed["lastTransitionTime"]) == ("True", stamp(later))
    assert changed["message"] is None  # deletes what an earlier write said


def ready(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in conditions if each["type"] == "Ready")


def test_conditions_survive_a_restart_with_their_times() -> None:
    before = Conditions().compute("Running", [], [container("running")], True, True, NOW, {})
    restored = Conditions()
    restored.restore(before)
    later = NOW + dt.timedelta(hours=1)
    assert restored.compute("Running", [], [container("running")], True, True, later, {}) == before


def test_gpus_stand_in_the_status_of_the_container_that_holds_them() -> None:
    gpus = node_gpus(load_models(DATA / "gpus")["l40s-48gb"], 2, seed="s", node="n")
    found = container("running")
    assert "allocatedResourcesStatus" not in container_status(found, POD)
    found.devices = whole(gpus)
    (held,) = container_status(found, POD)["allocatedResourcesStatus"]
    assert held["name"] == "nvidia.com/gpu"
    assert [each["resourceID"] for each in held["resources"]] == [gpu.uuid for gpu in gpus]
    assert {each["health"] for each in held["resources"]} == {"Healthy"}


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC)))
def test_a_stamp_is_the_time_in_whole_seconds(moment: dt.datetime) -> None:
    assert parse(stamp(moment)) == moment.replace(microsecond=0)
