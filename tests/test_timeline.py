"""Eventually, for a while, never: what a phase's events say, without a clock."""

from __future__ import annotations

from typing import Any

import pytest

from autograders.cluster import Cluster
from autograders.model import Phase, Problem, Unreadable
from autograders.timeline import eventually, holds_for, never


def pod(phase: str, name: str = "p", uid: str = "1") -> dict[str, Any]:
    meta = {"name": name, "namespace": "lab", "uid": uid}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": phase}}


def event(after: float, thing: dict[str, Any], type: str = "MODIFIED") -> dict[str, Any]:
    return {"type": type, "after": after, "object": thing}


def watched(*events: dict[str, Any], listed: tuple[Any, ...] = (), **more: Any) -> Cluster:
    phase = Phase(
        "final", ("pods",), listed or (pod("Running"),), events, **{"watched": 10, **more}
    )
    return Cluster((Phase("as-found"), phase), "lab", "01-t")


def runs(cluster: Cluster) -> bool:
    return cluster.pod("p").phase == "Running"


def failed(cluster: Cluster) -> bool:
    return cluster.pod("p").phase == "Failed"


FAILS_BRIEFLY = (event(4, pod("Failed")), event(5, pod("Running")))


def test_the_list_is_the_first_moment() -> None:
    assert eventually(watched(), runs)
    assert never(watched(), failed)


def test_a_state_that_has_passed_was_there() -> None:
    assert eventually(watched(*FAILS_BRIEFLY), failed)
    assert not never(watched(*FAILS_BRIEFLY), failed)


def test_what_is_not_there_is_not_so_and_stops_nothing() -> None:
    came_late = watched(event(3, pod("Running"), "ADDED"), listed=(pod("Running", "other", "2"),))
    assert eventually(came_late, runs)
    assert not holds_for(came_late, runs, 8)
    assert holds_for(came_late, runs, 7)


def test_a_deleted_object_is_gone_and_one_of_the_same_name_is_another() -> None:
    replaced = (event(2, pod("Running"), "DELETED"), event(3, pod("Failed", uid="2"), "ADDED"))
    cluster = watched(*replaced)
    assert eventually(cluster, lambda seen: not seen.pods())
    assert eventually(cluster, failed)
    assert never(cluster, lambda seen: len(seen.pods()) > 1)


@pytest.mark.parametrize(("seconds", "held"), [(4, True), (5, True), (5.5, False)])
def test_a_break_begins_the_time_anew(seconds: float, held: bool) -> None:
    assert holds_for(watched(*FAILS_BRIEFLY), runs, seconds) is held


def test_time_also_passes_after_the_last_event() -> None:
    assert holds_for(watched(event(1, pod("Failed"))), failed, 9)
    assert not holds_for(watched(event(1, pod("Failed"))), failed, 9.5)


def test_a_change_of_something_else_is_no_break() -> None:
    others = [event(at, pod("Failed", "other", "2")) for at in (2, 4, 6)]
    assert holds_for(watched(*others), runs, 10)


def test_earlier_phases_stay_visible() -> None:
    assert never(watched(*FAILS_BRIEFLY), lambda seen: len(seen.phases) != 2)


def test_an_exercise_that_does_not_watch_is_the_graders_fault() -> None:
    with pytest.raises(Unreadable, match="01-t has no watch_seconds"):
        never(watched(watched=0.0), failed)


def test_more_time_than_was_watched_is_the_graders_fault() -> None:
    with pytest.raises(Unreadable, match="watched for 10 s, of 11 s"):
        holds_for(watched(), runs, 11)


def test_a_watch_that_ended_early_proves_nothing() -> None:
    trouble = Problem("watch of pods", "410: too old")
    with pytest.raises(Unreadable, match="watch of pods ended or could not be read: 410: too old"):
        never(watched(problems=(trouble,)), failed)
