"""Reasons, words and preemption, from objects alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograders.cluster import Node, Pod
from autograders.cluster.filters import judge, judge_place
from autograders.cluster.fit import Explanation, why
from autograders.cluster.nearest import nearest
from autograders.cluster.state import priority, see
from tests.worlds import (
    FOCUSES,
    GPU,
    HOST,
    TOLERATE_ALL,
    ZONE,
    Object,
    World,
    affinity,
    node,
    node_affinity,
    pod,
    port,
    term,
)

PRIORITIES = {"low": 10, "middle": 100, "high": 1000, "never": 1000}
ROOM = {"cpu": "8", "memory": "16Gi", "pods": "110", GPU: "8"}
drawn = st.one_of(*FOCUSES.values())
patient = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def admit(found: Object) -> Pod:
    """What admission adds and these tests need."""
    name = found["spec"].get("priorityClassName", "low")
    policy = {"preemptionPolicy": "Never"} if name == "never" else {}
    return Pod({**found, "spec": {**found["spec"], "priority": PRIORITIES[name], **policy}})


def parts(world: World) -> tuple[Pod, list[Node], list[Pod]]:
    nodes = [Node(each) for each in world.nodes]
    return admit(world.probe), nodes, [admit(each) for each in world.holders]


def explain(asked: Object, *nodes: Object, holders: tuple[Object, ...] = ()) -> Explanation:
    return why(admit(asked), [Node(each) for each in nodes], [admit(each) for each in holders])


def details(asked: Object, *nodes: Object, holders: tuple[Object, ...] = ()) -> list[str]:
    found = explain(asked, *nodes, holders=holders)
    return [reason.detail for each in found.nodes for reason in each.reasons]


def here(name: str, requests: Object, labels: Object | None = None, **spec: Any) -> Object:
    return pod(name, requests, labels, nodeName="n1", **spec)


N1 = node("n1", {ZONE: "a"}, {}, ROOM)
N2 = node("n2", {}, {}, {**ROOM, GPU: "0"})


@given(drawn)
@patient
def test_a_node_takes_the_pod_or_says_why_in_words_with_a_cause(world: World) -> None:
    asked, nodes, pods = parts(world)
    found = why(asked, nodes, pods)
    assert [each.node for each in found.nodes] == [each.name for each in nodes]
    assert all(reason.detail for each in found.nodes for reason in each.reasons)
    assert bool(found.fits) == (found.message() == "")
    assert bool(found.fits) == (any(not each.reasons for each in found.nodes))


@given(drawn)
@patient
def test_a_final_reason_stays_with_every_other_pod_gone(world: World) -> None:
    asked, nodes, pods = parts(world)
    state = see(asked, nodes, pods, [])
    for place, reasons in zip(state.places, judge(asked, state), strict=True):
        if any(each.final for each in reasons):
            assert judge_place(asked, replace(place, pods=()), state)


@given(drawn)
@patient
def test_victims_are_of_lower_priority_and_all_of_them_are_needed(world: World) -> None:
    asked, nodes, pods = parts(world)
    state = see(asked, nodes, pods, [])
    for one in why(asked, nodes, pods).preemption.candidates:
        place = next(each for each in state.places if each.node.name == one.node)
        assert all(priority(each) < priority(asked) for each in one.victims)
        kept = tuple(each for each in place.pods if each not in one.victims)
        assert not judge_place(asked, replace(place, pods=kept), state)
        for victim in one.victims:
            assert judge_place(asked, replace(place, pods=(*kept, victim)), state)


@given(drawn)
@patient
def test_nothing_needs_a_change_that_fits_and_the_pod_itself_never_counts(world: World) -> None:
    asked, nodes, pods = parts(world)
    found = why(asked, nodes, [*pods, asked])
    assert found.counts == why(asked, nodes, pods).counts
    if found.fits:
        assert nearest(asked, nodes, pods) == ()


def test_counts_are_sorted_as_text() -> None:
    nodes = [node(f"n{number}", {}, {}, {**ROOM, GPU: "0"}) for number in range(10)]
    shut = [node(f"s{number}", {}, {"unschedulable": True}, ROOM) for number in range(2)]
    message = explain(pod("p", {GPU: "1"}), *shut, *nodes).message()
    reasons = "10 Insufficient nvidia.com/gpu, 2 node(s) were unschedulable"
    assert message == f"0/12 nodes are available: {reasons}."


def test_every_resource_that_is_short_is_named() -> None:
    asked = pod("p", {"cpu": "9", "memory": "20Gi", GPU: "3"})
    held = here("h", {"cpu": "500m", GPU: "6"})
    assert details(asked, N1, holders=(held,)) == [
        "asks for 9, 7500m of 8 are free",
        "asks for 20Gi, 16Gi of 16Gi are free",
        "asks for 3, 2 of 8 are free",
    ]


def test_who_holds_the_gpus_is_told() -> None:
    held = here("h", {GPU: "6"})
    found = explain(pod("p", {GPU: "3"}), N1, N2, holders=(held,))
    assert [(each.pod, each.gpus) for each in found.nodes[0].gpus.holdings] == [("h", 6)]
    assert [each.gpus.free for each in found.nodes] == [2, 0]


def test_a_finished_pod_holds_nothing_and_a_terminating_one_does() -> None:
    done = {**here("done", {GPU: "8"}), "status": {"phase": "Succeeded"}}
    going = here("going", {GPU: "8"})
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    asked = pod("p", {GPU: "1"})
    assert explain(asked, N1, holders=(done,)).fits == ("n1",)
    assert explain(asked, N1, holders=(going,)).fits == ()


def test_init_containers_count_one_by_one_and_sidecars_stay() -> None:
    asked = pod("p", {"cpu": "3"})
    cpu = {"resources": {"requests": {"cpu": "4"}}}
    asked["spec"]["initContainers"] = [
        {"name": "side", "restartPolicy": "Always", **cpu},
        {"name": "first", **cpu},
    ]
    assert explain(asked, N1).fits == ("n1",)  # 8 = max(4 + 4, 4 + 3)
    assert details({**asked, "spec": {**asked["spec"], "overhead": {"cpu": "1m"}}}, N1) == [
        "asks for 8001m, 8 of 8 are free"
    ]


def test_requests_of_the_whole_pod_stand_for_those_of_its_containers() -> None:
    asked = pod("p", {"cpu": "1"})
    asked["spec"]["resources"] = {"requests": {"cpu": "9"}}
    assert explain(asked, N1).counts == {"Insufficient cpu": 1}


def test_a_resized_pod_holds_the_larger_of_old_and_new() -> None:
    held = here("h", {"cpu": "1"})
    held["status"] = {
        "containerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "8"}}}]
    }
    assert explain(pod("p", {"cpu": "1"}), N1, holders=(held,)).counts == {"Insufficient cpu": 1}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "l", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Lt", "value": "5"}, False),
    ],
)
def test_tolerations(toleration: Object, fits: bool) -> None:
    tainted = node("n1", {}, {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}, ROOM)
    found = explain(pod("p", {}, tolerations=[toleration]), tainted)
    assert bool(found.fits) == fits
    assert fits or found.nodes[0].reasons[0].detail == "not tolerated: k=v:NoSchedule"


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"key": ZONE, "operator": "In", "values": ["a", "b"]}, True),
        ({"key": ZONE, "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "none", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": ZONE, "operator": "Exists"}, True),
        ({"key": ZONE, "operator": "DoesNotExist"}, False),
        ({"key": "size", "operator": "Gt", "values": ["7"]}, True),
        ({"key": "size", "operator": "Lt", "values": ["8"]}, False),
        ({"key": ZONE, "operator": "Gt", "values": ["1"]}, False),
    ],
)
def test_node_affinity(rule: Object, fits: bool) -> None:
    found = node("n1", {ZONE: "a", "size": "8"}, {}, ROOM)
    asked = pod("p", {}, affinity=node_affinity({"matchExpressions": [rule]}))
    assert bool(explain(asked, found).fits) == fits


def test_one_alternative_of_an_affinity_is_enough_and_an_empty_one_is_none() -> None:
    never: Object = {"matchExpressions": [{"key": "x", "operator": "Exists"}]}
    always: Object = {"matchExpressions": [{"key": ZONE, "operator": "Exists"}]}
    assert explain(pod("p", {}, affinity=node_affinity(never, always)), N1).fits == ("n1",)
    assert explain(pod("p", {}, affinity=node_affinity({})), N1).fits == ()


def test_what_a_label_lacks_is_told() -> None:
    asked = pod("p", {}, nodeSelector={ZONE: "b"})
    expected = ["needs zone=b, has a", "needs zone=b, has no such label"]
    assert details(asked, N1, N2) == expected


@pytest.mark.parametrize(
    ("held", "asked", "fits"),
    [
        (port(80), port(80), False),
        (port(80), port(81), True),
        (port(80), port(80, protocol="UDP"), True),
        (port(80, hostIP="10.0.0.1"), port(80, hostIP="10.0.0.2"), True),
        (port(80, hostIP="10.0.0.1"), port(80), False),
    ],
)
def test_host_ports(held: Object, asked: Object, fits: bool) -> None:
    found = explain(pod("p", {}, ports=[asked]), N1, holders=(here("h", {}, ports=[held]),))
    assert bool(found.fits) == fits


def spread(**more: Any) -> list[Object]:
    usual = {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    return [{**usual, "labelSelector": {"matchLabels": {"app": "x"}}, **more}]


B = node("n3", {ZONE: "b"}, {}, ROOM)


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        ({}, ("n3",)),
        ({"maxSkew": 2}, ("n1", "n3")),
        ({"minDomains": 3}, ("n3",)),
        ({"whenUnsatisfiable": "ScheduleAnyway"}, ("n1", "n2", "n3")),
        ({"labelSelector": {}}, ("n1", "n3")),
        ({"matchLabelKeys": ["version"]}, ("n1", "n3")),
    ],
)
def test_spread(constraint: Object, fits: tuple[str, ...]) -> None:
    held = here("h", {}, {"app": "x", "version": "1"})
    asked = pod("p", {}, {"app": "x", "version": "2"})
    asked["spec"]["topologySpreadConstraints"] = spread(**constraint)
    assert explain(asked, N1, N2, B, holders=(held,)).fits == fits


def test_with_too_few_zones_the_emptiest_counts_as_empty() -> None:
    asked = pod("p", {}, {"app": "x"})
    both = (here("h", {}, {"app": "x"}), pod("i", {}, {"app": "x"}, nodeName="n3"))
    for domains, fits in ((2, ("n1", "n3")), (3, ())):
        asked["spec"]["topologySpreadConstraints"] = spread(minDomains=domains)
        assert explain(asked, N1, B, holders=both).fits == fits


def test_spread_counts_a_zone_that_the_pod_may_not_enter_only_if_told_to() -> None:
    shut = node("n3", {ZONE: "b"}, {"taints": [{"key": "k", "effect": "NoSchedule"}]}, ROOM)
    asked = pod("p", {}, {"app": "x"})
    for policy, fits in (("Ignore", ()), ("Honor", ("n1",))):
        asked["spec"]["topologySpreadConstraints"] = spread(nodeTaintsPolicy=policy)
        assert explain(asked, N1, shut, holders=(here("h", {}, {"app": "x"}),)).fits == fits


def test_pods_that_belong_together() -> None:
    asked = pod("p", {}, {"app": "y"}, affinity=affinity("podAffinity", term(ZONE, app="x")))
    assert explain(asked, N1, N2, B, holders=(here("h", {}, {"app": "x"}),)).fits == ("n1",)
    assert explain(asked, N1, N2, B).fits == ()
    alone = pod("p", {}, {"app": "x"}, affinity=affinity("podAffinity", term(ZONE, app="x")))
    assert explain(alone, N1, N2, B).fits == ("n1", "n3")  # the first of its kind may begin


def test_pods_that_keep_apart_in_either_direction() -> None:
    apart = affinity("podAntiAffinity", term(ZONE, app="x"))
    asked = pod("p", {}, {"app": "y"}, affinity=apart)
    held = here("h", {}, {"app": "x"})
    assert details(asked, N1, N2, holders=(held,)) == ["it must not be near default/h"]
    guard = here("g", {}, {"app": "z"}, affinity=affinity("podAntiAffinity", term(HOST, app="y")))
    assert details(asked, N1, N2, holders=(guard,)) == ["default/g keeps it away"]


def test_a_term_speaks_of_its_own_namespace_unless_it_names_others() -> None:
    far = here("h", {}, {"app": "x"})
    far["metadata"]["namespace"] = "far"
    spaces = [{"metadata": {"name": "far", "labels": {"team": "a"}}}]
    for more, fits in (
        ({}, ()),
        ({"namespaces": ["far"]}, ("n1",)),
        ({"namespaceSelector": {}}, ("n1",)),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, ("n1",)),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, ()),
    ):
        wanted = affinity("podAffinity", {**term(ZONE, app="x"), **more})
        asked = admit(pod("p", {}, affinity=wanted))
        assert why(asked, [Node(N1)], [admit(far)], namespaces=spaces).fits == fits, more


def test_a_term_that_names_namespaces_leaves_its_own_out() -> None:
    near = here("h", {}, {"app": "x"})
    others: Object = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    for more in ({"namespaces": ["far"]}, others):
        wanted = affinity("podAffinity", {**term(ZONE, app="x"), **more})
        assert explain(pod("p", {}, affinity=wanted), N1, holders=(near,)).fits == ()


def test_only_the_first_predicate_of_a_node_is_its_reason() -> None:
    shut = node(
        "n1", {}, {"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]}, ROOM
    )
    found = explain(pod("p", {GPU: "9"}, nodeSelector={ZONE: "z"}), shut)
    assert found.predicates == {"NodeUnschedulable": 1}


def test_room_promised_to_a_pod_that_matters_as_much_is_not_free() -> None:
    waiting = pod("w", {GPU: "8"}, priorityClassName="high")
    waiting["status"] = {"nominatedNodeName": "n1"}
    lower, higher = (pod("p", {GPU: "1"}, priorityClassName=each) for each in ("low", "high"))
    higher["metadata"]["name"] = "q"
    assert explain(lower, N1, holders=(waiting,)).fits == ()
    waiting["spec"]["priorityClassName"] = "middle"
    assert explain(higher, N1, holders=(waiting,)).fits == ("n1",)


NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


@pytest.mark.parametrize(
    ("gpus", "rank", "says"),
    [
        ("9", "high", f"0/1 nodes are available: 1 {NOT_HELPFUL}."),
        ("8", "low", f"0/1 nodes are available: 1 {NO_VICTIMS}."),
        ("8", "never", "not eligible due to preemptionPolicy=Never."),
    ],
)
def test_what_is_said_of_preemption(gpus: str, rank: str, says: str) -> None:
    asked = pod("p", {GPU: gpus}, priorityClassName=rank)
    found = explain(asked, N1, holders=(here("h", {GPU: "1"}),))
    assert found.preemption.message == f"no new claims to deallocate, preemption: {says}"


def test_those_of_least_importance_make_room_and_a_budget_is_kept_if_it_can_be() -> None:
    held = [here(f"h{n}", {GPU: "4"}, {"app": f"h{n}"}) for n in range(2)]
    budget = {
        "metadata": {"namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "h1"}}},
        "status": {"disruptionsAllowed": 0},
    }
    asked = admit(pod("p", {GPU: "4"}, priorityClassName="high"))
    pods = [admit(each) for each in held]
    for budgets, victim in (([budget], "h0"), ([], "h1")):
        found = why(asked, [Node(N1)], pods, budgets=budgets)
        assert [each.name for each in found.preemption.candidates[0].victims] == [victim]
        assert found.full_message() == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def test_what_the_scheduler_does_not_look_at() -> None:
    gated = pod("p", {}, schedulingGates=[{"name": "wait"}])
    assert explain(gated, N1).message().startswith("Scheduling is blocked")
    assert explain(pod("p", {})).message() == "no nodes available to schedule pods"


def test_what_is_not_computed_is_said() -> None:
    asked = pod("p", {}, schedulerName="volcano", resourceClaims=[{"name": "gpu"}])
    asked["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    told = explain(asked, N1).uncomputed
    assert [word in line for word, line in zip(("volcano", "DRA", "data"), told, strict=True)] == [
        True,
        True,
        True,
    ]
    bound = {"metadata": {"name": "data", "namespace": "default"}, "status": {"phase": "Bound"}}
    assert len(why(admit(asked), [Node(N1)], [], claims=[bound]).uncomputed) == 2


def test_which_taints_keep_out_and_which_only_wish_to() -> None:
    tainted = node("n1", {}, {"taints": [{"key": "k", "effect": "NoExecute"}]}, ROOM)
    assert explain(pod("p", {}, tolerations=TOLERATE_ALL), tainted).fits == ("n1",)
    assert explain(pod("p", {}), tainted).fits == ()
    wish = node("n1", {}, {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, ROOM)
    assert explain(pod("p", {}), wish).fits == ("n1",)
