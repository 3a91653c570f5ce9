"""Mutants change one fact each, leave the recording alone, and take next to no time."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.cluster import Cluster
from autograders.evidence import digest
from autograders.load import Exercise
from autograders.model import Answers, Evidence
from autograders.mutants import Mutant, Rule, Rules, edits, mutants_of, read_rules
from autograders.mutants.edits import changed, merged
from autograders.mutants.rules import faults, names_of
from autograders.run import decide
from autograders.timeline import moments
from tests.recordings import RECORDED, failures, graded, recorded

LIMIT = 0.020  # seconds of processor time
json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("thing", "patch", "expected"),
    [  # of RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_is_merged_as_the_rfc_says(thing: Any, patch: Any, expected: Any) -> None:
    assert merged(thing, patch) == expected


@given(json_values, json_values)
def test_merging_twice_changes_nothing_more(thing: Any, patch: Any) -> None:
    once = merged(thing, patch)
    assert merged(once, patch) == once


def test_a_place_that_is_not_there_changes_nothing() -> None:
    thing = {"spec": {"containers": [{"name": "a"}, {"name": "b", "resources": {}}]}}
    at = ("spec", "containers", "*", "resources")
    assert changed(thing, (*at, "limits"), {"x": 1}) == thing
    assert changed(thing, at, {"x": 1})["spec"]["containers"][1]["resources"] == {"x": 1}
    assert changed(thing, ("status",), {"x": 1}) == thing


@pytest.mark.parametrize("exercise", RECORDED)
def test_the_recorded_solution_gets_full_marks(exercise: str) -> None:
    report = graded(exercise)
    assert (failures(report), report.full_marks) == (set(), True)


@pytest.mark.parametrize("exercise", RECORDED)
def test_every_mutant_differs_and_the_recording_stays(exercise: str) -> None:
    found, evidence, answers = recorded(exercise)
    before = digest(evidence)
    mutants = list(mutants_of(found, evidence, answers))
    assert all(each.evidence != evidence or each.answers != answers for each in mutants)
    assert digest(evidence) == before
    assert [
        name for name, times in Counter(each.name for each in mutants).items() if times > 1
    ] == []


@pytest.mark.parametrize("exercise", RECORDED)
def test_no_mutant_breaks_a_check(exercise: str) -> None:
    found, evidence, answers = recorded(exercise)
    for mutant in mutants_of(found, evidence, answers):
        report = decide(found, mutant.evidence, mutant.answers)
        broken = [each for each in (*report.guards, *report.results) if each.outcome == "broken"]
        assert broken == [], mutant.name


@pytest.mark.parametrize("exercise", RECORDED)
def test_a_mutant_is_decided_in_20_milliseconds(exercise: str) -> None:
    found, evidence, answers = recorded(exercise)
    spent = []
    for mutant in mutants_of(found, evidence, answers):
        began = time.thread_time()
        decide(found, mutant.evidence, mutant.answers)
        spent.append(time.thread_time() - began)
    assert statistics.quantiles(spent, n=20)[-1] < LIMIT


def test_the_recordings_give_enough_cases() -> None:
    found = [list(mutants_of(*recorded(exercise))) for exercise in RECORDED]
    assert all(len(each) >= 50 for each in found)


@pytest.mark.parametrize("edit", edits(), ids=lambda edit: f"{edit.kind} {edit.name}")
def test_every_edit_changes_something(edit: Any) -> None:
    container = {"name": "a", "image": "i", "command": ["c"], "resources": {"limits": {}}}
    container["resources"] = {"limits": {"nvidia.com/gpu": "1", "memory": "4Gi"}}
    pod_status = {
        "phase": "Succeeded",
        "containerStatuses": [{"allocatedResourcesStatus": [], "state": {}, "imageID": "x"}],
        "conditions": [],
        "succeeded": 1,
        "capacity": {"nvidia.com/gpu": "8"},
        "allocatable": {"nvidia.com/gpu": "8"},
    }
    meta = {"name": "n", "namespace": "s", "labels": {}, "annotations": {}, "ownerReferences": [{}]}
    given = {"nodeName": "node", "tolerations": [{}], "runtimeClassName": "r"}
    network = {"publishNotReadyAddresses": True, "ingress": []}
    spec = {"containers": [container], **given, **network}
    spec["template"] = {"spec": {"containers": [container], **given}}
    thing = {"kind": edit.kind, "metadata": meta, "spec": spec, "status": pod_status}
    thing["endpoints"] = [{"hostname": "h"}]
    assert edit(thing) != thing


def test_the_first_rule_that_matches_counts() -> None:
    rules = Rules((Rule(("Pod/a: *",), ("x",)), Rule(("*",), equivalent="why")))
    assert rules.of("Pod/a: renamed") is rules.rule[0]
    assert rules.of("Pod/b: renamed") is rules.rule[1]
    assert Rules().of("anything") is None


def test_all_means_every_scored_check_and_question() -> None:
    found, _, _ = recorded("01-deploy-gpu-pod")
    names = names_of(Rule(("*",), ("all",)), found)
    assert (len(names), "gpu_name" in names, "bypasses_nothing" in names) == (8, True, False)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(("a",)), "'a' needs either fails or equivalent"),
        (Rule(("a",), ("all",), "why"), "'a' needs either fails or equivalent"),
        (Rule(("a",), ("nothing",)), "'a' fails 'nothing', which is no check"),
    ],
)
def test_a_faulty_rule_is_said(rule: Rule, said: str) -> None:
    found, _, _ = recorded("01-deploy-gpu-pod")
    assert [said in each for each in faults(Rules((rule,)), found)] == [True]


@pytest.mark.parametrize("exercise", RECORDED)
def test_what_an_exercise_says_of_mutants_is_sound(exercise: str) -> None:
    found, _, _ = recorded(exercise)
    assert list(faults(read_rules(found), found)) == []


def watched() -> tuple[Exercise, Evidence, Answers]:
    """The recording of exercise 1, had its Pod been watched while it ended."""
    found, evidence, answers = recorded("01-deploy-gpu-pod")
    *before, last = evidence.phases
    (ended,) = (each for each in last.objects if each["kind"] == "Pod")
    running = {**ended, "status": {**ended["status"], "phase": "Running"}}
    objects = tuple(running if each is ended else each for each in last.objects)
    events = ({"type": "MODIFIED", "after": 1.0, "object": ended},)
    seen = replace(last, objects=objects, events=events, watched=2.0)
    return found, replace(evidence, phases=(*before, seen)), answers


def at_the_end(exercise: Exercise, mutant: Mutant) -> Cluster:
    cluster = Cluster(mutant.evidence.phases, exercise.namespace, exercise.id)
    return list(moments(cluster))[-1][1]


def test_a_mutant_changes_what_was_watched_as_it_changes_the_list() -> None:
    found, evidence, answers = watched()
    mutants = {each.name: each for each in mutants_of(found, evidence, answers)}
    assert at_the_end(found, mutants["Pod/gpu-test: renamed"]).find_pod("gpu-test") is None
    for name, holds in {
        "Pod/gpu-test: no GPU limit": lambda pod: pod.asks() == 0 and pod.phase == "Succeeded",
        "Pod/gpu-test: privileged": lambda pod: pod.containers[0].privileged,
        "Pod/gpu-test: one GPU more": lambda pod: pod.asks() == 2,
        "Pod/gpu-test: on no known node": lambda pod: pod.node == "gone-1",
        "Pod/gpu-test: one device fewer": lambda pod: pod.devices() == (),
    }.items():
        assert holds(at_the_end(found, mutants[name]).pod("gpu-test")), name
        assert mutants[name].evidence.phases[-1].events != evidence.phases[-1].events


@pytest.mark.parametrize("name", ["Pod/gpu-test: deleted", "everything: deleted"])
def test_what_is_gone_has_no_events(name: str) -> None:
    mutants = {each.name: each for each in mutants_of(*watched())}
    assert mutants[name].evidence.phases[-1].events == ()


def test_what_was_watched_of_others_stays() -> None:
    found, evidence, answers = watched()
    for mutant in mutants_of(found, evidence, answers):
        if mutant.name.startswith("Node/"):
            assert mutant.evidence.phases[-1].events == evidence.phases[-1].events
