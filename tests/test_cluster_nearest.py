"""The smallest change that would let a Pod fit."""

from __future__ import annotations

import pytest
from hypothesis import given

from autograders.cluster import Node
from autograders.cluster.nearest import nearest
from tests.test_cluster_fit import N1, ROOM, B, admit, drawn, here, parts, patient
from tests.worlds import GPU, HOST, MIG, ZONE, Object, World, affinity, node, pod, port, term


def changes(asked: Object, *nodes: Object, holders: tuple[Object, ...] = ()) -> list[str]:
    found = nearest(admit(asked), [Node(each) for each in nodes], [admit(each) for each in holders])
    return [each.text for each in found]


TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("asked", "found", "holders", "text"),
    [
        (
            pod("p", {GPU: "1"}),
            node("n1", {}, {"taints": [TAINT]}, ROOM),
            (),
            "tolerate the taint nvidia.com/gpu=present:NoSchedule: it then fits on n1",
        ),
        (
            pod("p", {}, nodeSelector={ZONE: "b"}),
            N1,
            (),
            "select zone=a instead of b: it then fits on n1",
        ),
        (
            pod("p", {GPU: "8"}),
            N1,
            (here("h", {GPU: "3"}),),
            "ask for 5 nvidia.com/gpu instead of 8: it then fits on n1",
        ),
        (
            pod("p", {"memory": "20Gi"}),
            N1,
            (),
            "ask for 16Gi memory instead of 20Gi: it then fits on n1",
        ),
        (
            pod("p", {"cpu": "9"}),
            N1,
            (here("h", {"cpu": "500m"}),),
            "ask for 7500m cpu instead of 9: it then fits on n1",
        ),
        (
            pod("p", {MIG: "1"}),
            N1,
            (),
            f"ask for {GPU}, which nodes offer, instead of {MIG}: it then fits on n1",
        ),
        (
            pod("p", {}),
            node("n1", {}, {"unschedulable": True}, ROOM),
            (),
            "uncordon n1 (kubectl uncordon n1): it then fits on n1",
        ),
        (
            pod("p", {GPU: "1"}),
            N1,
            (here("h", {GPU: "8"}),),
            "wait until default/h on n1 ends: it then fits on n1",
        ),
        (
            pod("p", {}, ports=[port(80)]),
            N1,
            (here("h", {}, ports=[port(80)]),),
            "leave hostPort out: it then fits on n1",
        ),
        (
            pod("p", {}, affinity=affinity("podAntiAffinity", term(HOST, app="x"))),
            N1,
            (here("h", {}, {"app": "x"}),),
            "make the podAntiAffinity preferred: it then fits on n1",
        ),
    ],
)
def test_the_first_proposal(
    asked: Object, found: Object, holders: tuple[Object, ...], text: str
) -> None:
    assert changes(asked, found, holders=holders)[0] == text


def test_two_changes_when_one_is_not_enough() -> None:
    shut = node("n1", {ZONE: "a"}, {"taints": [TAINT]}, ROOM)
    found = changes(pod("p", {GPU: "9"}), shut)
    assert found[0] == (
        "tolerate the taint nvidia.com/gpu=present:NoSchedule and"
        " ask for 8 nvidia.com/gpu instead of 9: it then fits on n1"
    )


def test_a_sick_gpu_is_proposed_for_repair() -> None:
    sick = node("n1", {}, {}, ROOM)
    sick["status"] = {**sick["status"], "allocatable": {**ROOM, GPU: "7"}}
    texts = changes(pod("p", {GPU: "8"}), sick)
    assert "mend 1 unhealthy nvidia.com/gpu of n1: it then fits on n1" in texts


def test_a_higher_priority_names_who_would_be_deleted() -> None:
    held = (here("h", {GPU: "4"}), here("i", {GPU: "4"}))
    texts = changes(pod("p", {GPU: "8"}), N1, holders=held)
    text = "give it a PriorityClass above 10, which deletes default/h, default/i"
    assert any(each.startswith(text) for each in texts)


def test_smaller_changes_come_first() -> None:
    held = (here("h", {GPU: "4"}),)
    found = nearest(admit(pod("p", {GPU: "8"})), [Node(N1), Node(B)], [admit(held[0])])
    assert found == ()  # it fits on n3
    found = nearest(admit(pod("p", {GPU: "9"})), [Node(N1), Node(B)], [admit(held[0])])
    assert [each.size for each in found] == sorted(each.size for each in found)


@given(drawn)
@patient
def test_every_proposal_names_nodes_that_were_not_free_before(world: World) -> None:
    asked, nodes, pods = parts(world)
    names = {each.name for each in nodes}
    for one in nearest(asked, nodes, pods):
        assert one.nodes
        assert set(one.nodes) <= names
        assert 1 <= len(one.steps) <= 2
