"""Events in the cluster: equal ones are counted, and a namespace that goes stops nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gpulab.paths import LabPaths
from gpulab.sim.api import Api
from gpulab.sim.config import Config
from gpulab.sim.events import Recorder
from gpulab.sim.messages import Event
from tests.conftest import Lab, Object, eventually, pod

pytestmark = pytest.mark.live
PULLING = Event("Pulling", 'Pulling image "busybox"')
BACK_OFF = Event("BackOff", "Back-off restarting failed container", "Warning")


def record(lab: Lab, write: Callable[[Recorder], Awaitable[None]]) -> None:
    """Let `write` record something with the identity of this lab's simulator."""

    async def work() -> None:
        config = Config.read(LabPaths(lab.name, lab.root).root / "simulator.json")
        api = Api(config.server, config.api)
        try:
            await write(Recorder(api))
        finally:
            await api.close()

    asyncio.run(work())


@pytest.fixture
def about(lab: Lab, namespace: str) -> Object:
    """A Pod that no node runs, so that nobody else writes events about it but the scheduler."""
    lab.make(namespace, pod("p", "sleep", "9", schedulingGates=[{"name": "example.com/never"}]))
    return lab.get("pod", "-n", namespace, "p")


def kubelets(lab: Lab, about: Object) -> list[Object]:
    found = lab.events(about["metadata"]["namespace"], about["metadata"]["name"])
    return [event for event in found if event["source"].get("component") == "kubelet"]


def test_an_event_is_about_its_pod_and_from_its_node(lab: Lab, about: Object) -> None:
    record(lab, lambda recorder: recorder.record(about, "h100-1", PULLING, "main"))
    (event,) = kubelets(lab, about)
    assert (event["reason"], event["message"]) == (PULLING.reason, PULLING.message)
    assert event["source"] == {"component": "kubelet", "host": "h100-1"}
    assert event["involvedObject"]["uid"] == about["metadata"]["uid"]
    assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"


def test_equal_events_are_counted_and_different_ones_are_not(lab: Lab, about: Object) -> None:
    async def write(recorder: Recorder) -> None:
        for _ in range(3):
            await recorder.record(about, "h100-1", BACK_OFF, "main")
        await recorder.record(about, "h100-1", PULLING, "main")
        await recorder.record(about, "h100-1", PULLING, "other")

    record(lab, write)
    found = [(event["reason"], event["count"]) for event in kubelets(lab, about)]
    assert found == [("BackOff", 3), ("Pulling", 1), ("Pulling", 1)]


def test_an_event_that_somebody_deleted_meanwhile_stops_nobody(lab: Lab, about: Object) -> None:
    namespace = about["metadata"]["namespace"]

    async def write(recorder: Recorder) -> None:
        await recorder.record(about, "h100-1", PULLING)
        await asyncio.to_thread(lab.kubectl, "delete", "events", "--all", "-n", namespace)
        await recorder.record(about, "h100-1", PULLING)
        await recorder.record(about, "h100-1", PULLING)

    record(lab, write)


def test_a_namespace_that_is_going_takes_no_event_and_that_stops_nobody(
    lab: Lab, about: Object
) -> None:
    namespace = about["metadata"]["namespace"]
    lab.kubectl("delete", "namespace", namespace, "--wait=false")
    phase = ("get", "namespace", namespace, "-o", "jsonpath={.status.phase}")
    eventually(lambda: lab.kubectl(*phase).stdout != "Active")
    record(lab, lambda recorder: recorder.record(about, "h100-1", PULLING))


def test_an_api_server_that_is_away_stops_nobody(lab: Lab, about: Object) -> None:
    """A Pod's life goes on; what could not be told is lost, as with a real kubelet."""

    async def work() -> None:
        config = Config.read(LabPaths(lab.name, lab.root).root / "simulator.json")
        api = Api("https://127.0.0.1:9", config.api)
        try:
            await Recorder(api).record(about, "h100-1", PULLING)
        finally:
            await api.close()

    asyncio.run(work())


def test_kubectl_shows_them_in_the_order_in_which_things_happened(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("q", "sleep", "9"))
    lab.wait(namespace, "q", "phase=Running")
    shown = lab.kubectl("events", "-n", namespace, "--for", "pod/q", "--no-headers").stdout
    reasons = [line.split()[2] for line in shown.splitlines()]
    known = [r for r in reasons if r in ("Scheduled", "Pulled", "Created", "Started")]
    assert known == ["Scheduled", "Pulled", "Created", "Started"]
