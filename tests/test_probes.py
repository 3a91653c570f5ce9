"""Trials as data: what exercise.toml may ask for, and what checks make of the phases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from autograders import variants
from autograders.arithmetic import compute
from autograders.checks import CheckFailed, answer_key, check
from autograders.cluster import Cluster
from autograders.errors import InputError
from autograders.load import Collect, Exercise, Settings, load_exercise
from autograders.model import Evidence, Outcome, Phase, Probe, Unreadable
from autograders.mutants.trials import changes
from autograders.quiz.question import Question
from autograders.run import decide
from autograders.settle import RUNNING, in_flight
from autograders.trials import Trial, faults
from gpulab import probing
from gpulab.paths import ROOT
from gpulab.steps import Untried
from tests.test_load import CHECKS, write

LABEL = "kind=gpu"
OPEN = {"do": "open", "label": LABEL, "nodes": 2}
Object = dict[str, Any]


def trial(*steps: Object, phase: str = "tried") -> Trial:
    return msgspec.convert({"phase": phase, "steps": list(steps)}, Trial)


MAY = {"do": "may", "name": "a", "user": "u", "verb": "get", "resource": "pods"}
DRY_RUN = {"do": "dry-run", "name": "b", "manifest": "pod.yaml"}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([OPEN, {"do": "place"}], ""),
        ([{"do": "drain", "label": LABEL}], ""),
        ([{**OPEN, "nodes": "nobody"}], "no question 'nobody'"),
        ([{**OPEN, "nodes": "nodes"}], ""),
        ([MAY, DRY_RUN], ""),
        ([MAY, {**DRY_RUN, "name": "a"}], "two steps are called 'a'"),
    ],
)
def test_steps_that_make_no_sense_are_said(steps: list[Object], said: str) -> None:
    assert said in " ".join(faults([trial(*steps)], {"nodes"})) or not said
    assert bool(list(faults([trial(*steps)], {"nodes"}))) is bool(said)


def test_only_a_trial_that_changes_nothing_needs_no_job() -> None:
    assert trial(MAY, DRY_RUN).only_asks
    assert not trial(MAY, {"do": "place"}).only_asks


@pytest.mark.parametrize("name", ["final", "as-found"])
def test_a_phase_of_gpulabs_own_is_no_trial(name: str) -> None:
    assert "a name of gpulab's own" in next(faults([trial(OPEN, phase=name)], set()))


@pytest.mark.parametrize(
    "step",
    [
        {"do": "exec", "label": LABEL},
        {**OPEN, "label": "a b=c"},
        {**OPEN, "x": 1},
        {"do": "open", "nodes": 2},
        {"do": "open", "label": LABEL},
        {"do": "place", "label": LABEL},
        {"do": "stray", "label": LABEL, "nodes": 1},
        {"do": "may", "name": "a", "user": "u", "verb": "get"},
        {**DRY_RUN, "manifest": "../pod.yaml"},
        {**DRY_RUN, "name": "A name"},
    ],
)
def test_unknown_steps_and_keys_are_refused(step: Object) -> None:
    with pytest.raises(msgspec.ValidationError):
        trial(step)


def looking(cluster: Cluster) -> None:
    cluster.at("tried").pods()


def exercise(**more: Any) -> Exercise:
    settings = Settings("T", "9", "lab", ("o",), ("h",), (Collect("v1", "pods"),))
    judges = (check(points=2, phases=("tried",))(looking), check(points=1)(lambda cluster: None))
    return Exercise("x", ROOT, settings, judges, (), more.get("ask", ()), more.get("keys", ()), "d")


def evidence(provider: str, *phases: Phase) -> Evidence:
    final = Phase("final", ("pods",))
    return Evidence("x", "d", provider, {}, None, 1.0, "now", (*phases, final))


def test_where_no_probe_runs_its_checks_are_listed_and_left_out_of_the_points() -> None:
    question = Question("q", "number", 4, "?", "Because.", "gpulab check")
    key = answer_key("q", phases=("tried",))(lambda cluster: 1)
    report = decide(exercise(ask=(question,), keys=(key,)), evidence("existing"), {"q": 1})
    assert (report.score, report.max_score, report.full_marks) == (1.0, 1.0, True)
    assert [each.split(": ")[1] for each in report.warnings] == [
        "looking needs a probe",
        "q needs a probe",
    ]


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        (Phase("tried", ("pods",)), Outcome.PASSED),
        (Phase("tried", untried="there is no Job"), Outcome.FAILED),
        (Phase("other"), Outcome.BROKEN),
        (Phase("tried"), Outcome.BROKEN),
    ],
)
def test_what_could_not_be_tried_is_a_failure_and_what_is_missing_is_broken(
    phase: Phase, outcome: Outcome
) -> None:
    report = decide(exercise(), evidence("embedded", phase), {})
    assert report.results[0].outcome is outcome


def test_a_check_that_needs_a_phase_nobody_makes_is_refused(tmp_path: Any) -> None:
    code = '@check(points=1, phases=("never",))\ndef a(cluster):\n    """Why."""\n'
    with pytest.raises(InputError, match="needs the phase 'never'"):
        load_exercise(write(tmp_path, checks_py=f"{CHECKS}\n{code}"))


def test_checks_see_the_answers() -> None:
    judge = check(points=1)(lambda cluster: cluster.answers["a"] and None)
    one = replace(exercise(), checks=(judge,))
    assert decide(one, evidence("embedded"), {"a": 1}).score == 1.0


def job(parallelism: int = 2, **spec: Any) -> Object:
    meta = {"name": "train", "namespace": "lab", "uid": "u"}
    spec = {"parallelism": parallelism, "completions": parallelism, **spec}
    return {"kind": "Job", "metadata": meta, "spec": spec, "status": {"startTime": "now"}}


def answered(status: int, answer: Object) -> Cluster:
    thing = {"kind": "SubjectAccessReview"}
    phase = Phase("asked", probes={"x": Probe({"object": thing}, status, answer)})
    return Cluster((phase,), "lab", "x")


@pytest.mark.parametrize(("allowed", "status"), [(True, 201), (False, 201)])
def test_a_check_sees_whether_somebody_may(allowed: bool, status: int) -> None:
    assert answered(status, {"status": {"allowed": allowed}}).may("x") is allowed


@pytest.mark.parametrize(("status", "refused"), [(201, ""), (403, "quota"), (422, "quota")])
def test_a_check_sees_why_a_dry_run_was_refused(status: int, refused: str) -> None:
    assert answered(status, {"message": "quota"}).refusal("x") == refused


@pytest.mark.parametrize("status", [0, 401, 404, 409, 429, 500, 503])
def test_an_answer_that_decides_nothing_is_nobodys_mark(status: int) -> None:
    with pytest.raises(Unreadable, match="was not decided: busy"):
        answered(status, {"message": "busy"}).refusal("x")


def test_answers_have_mutants_that_say_the_opposite() -> None:
    asked = Probe({"object": {"kind": "SubjectAccessReview"}}, 201, {"status": {"allowed": True}})
    dry = Probe({"object": {"kind": "Pod"}, "query": {"dryRun": "All"}}, 403, {"message": "no"})
    cordon = Probe({"method": "PATCH", "object": {"spec": {}}}, 200, {})
    probes = {"may": asked, "dry": dry, "cordon": cordon}
    found = dict(changes(Phase("asked", probes=probes), "lab"))
    assert set(found) == {"not run", "may: not allowed", "dry: accepted"}
    seen = [Cluster((each,), "lab", "x") for each in found.values()]
    assert not seen[1].may("may")
    assert seen[2].refusal("dry") == ""


def pod(name: str, node: str = "", ready: bool = False, phase: str = "Running") -> Object:
    owner = {"uid": "u", "controller": True}
    conditions = [{"type": "Ready", "status": str(ready)}]
    if not node:
        conditions = [{"type": "PodScheduled", "status": "False", "message": "no room"}]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lab", "ownerReferences": [owner]},
        "spec": {"restartPolicy": "Never", **({"nodeName": node} if node else {})},
        "status": {"phase": phase if node else "Pending", "conditions": conditions},
    }


def gone(name: str) -> Object:
    """Killed, and there until its Job has counted it."""
    found = pod(name, "n", phase="Failed")
    found["metadata"]["deletionTimestamp"] = "now"
    return found


def leaving(name: str) -> Object:
    """It still runs, and holds what it had."""
    found = pod(name, "n", ready=True)
    found["metadata"]["deletionTimestamp"] = "now"
    return found


@pytest.mark.parametrize(
    ("objects", "awaited"),
    [
        ([job(), pod("a", "n", True), pod("b", "n", True)], ""),
        ([job(), pod("a", "n", True), pod("b")], ""),
        ([job(), pod("a", "n", True), pod("b", "n")], "Pod b"),
        ([job(), pod("a", "n", True)], "Job train to have 2 Pods"),
        ([job(), pod("a", "n", True), pod("b", "n", phase="Failed")], ""),
        ([job(suspend=True)], ""),
        ([job(1), gone("a")], "Job train to have 1 Pods"),
        ([job(1), pod("b", "n", True), leaving("a")], "Pod a to be gone"),
    ],
)
def test_running_is_settled_once_every_pod_is_ready_or_has_no_room(
    objects: list[Object], awaited: str
) -> None:
    found = in_flight(Phase("x", objects=tuple(objects)), "lab", RUNNING)
    assert awaited in " ".join(found) if awaited else found == ()


def test_a_phase_has_mutants_of_what_was_placed_and_what_was_not() -> None:
    nodes = [
        {"kind": "Node", "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": name}},
         "status": {"capacity": {"nvidia.com/gpu": "8"}}}
        for name in ("n", "other")
    ]  # fmt: skip
    phase = Phase("tried", objects=(*nodes, pod("a", "n", True), pod("b")))
    found = dict(changes(phase, "lab"))
    assert len(found) == 6
    assert [each["kind"] for each in found["everything deleted"].objects] == ["Node", "Node"]
    ready = Cluster((found["every Pod on a node"],), "lab", "x")
    assert all(each["status"]["phase"] == "Running" for each in ready.phase.objects[2:])


@pytest.mark.parametrize(
    ("answer", "number"),
    [(3, 2), ("3 nodes", 2), (3.0, 2), ("", None), ("many", None), (2.5, None)],
)
def test_a_step_takes_its_number_from_an_answer(answer: Any, number: int | None) -> None:
    asked = Question("nodes", "number", 1, "?", "Because.", "gpulab check", unit="nodes")
    (step,) = trial({**OPEN, "nodes": "nodes", "less": 1}).steps
    if number is not None:
        assert probing.number_of(step, {"nodes": answer}, exercise(ask=(asked,))) == number
        return
    with pytest.raises(Untried, match="whole number"):
        probing.number_of(step, {"nodes": answer}, exercise(ask=(asked,)))


def test_a_probe_may_halt_and_cordon_and_cannot_write_evidence() -> None:
    rules = [each for grant in probing.grants("lab") for each in grant.rules]
    resources = {name for each in rules for name in each.resources}
    assert resources == {"nodes", "pods", "jobs", "subjectaccessreviews"}
    assert not {"update", "escalate", "bind", "impersonate", "*"} & {
        v for r in rules for v in r.verbs
    }
    writes = {each.namespace for each in probing.grants("lab") if "create" in each.rules[0].verbs}
    assert writes == {"default"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("1 + 2 * 3", 7), ("(a - 12) // 32", 3), ("min(a, 2)", 2), ("max(1, a // 100, 0)", 1)],
)
def test_values_follow_by_arithmetic(text: str, found: int) -> None:
    assert compute(text, {"a": 128}) == found


@pytest.mark.parametrize(
    "text", ["a b", "b", "s + 1", "1 / 2", "__import__('os')", "min(a)", "a // 0", "2 ** 9", "a.x"]
)
def test_nothing_else_is_computed(text: str) -> None:
    with pytest.raises(InputError, match="cannot be computed"):
        compute(text, {"a": 1, "s": "x"})


def test_what_follows_stands_in_files_and_is_not_among_the_learners_values() -> None:
    spec = variants.Spec({"a": variants.Value(choices=(8,))}, "$a", {"b": "a // 2", "c": "b + 1"})
    values = variants.draw(spec, b"")
    assert (values, variants.derive(spec, values)) == ({"a": 8}, {"b": 4, "c": 5})
    twice = variants.Spec({"a": variants.Value(choices=(8,))}, "$a", {"a": "1"})
    assert list(variants.faults(twice)) == ["variant.toml: a is drawn and derived"]


def test_at_says_what_the_work_lacks() -> None:
    cluster = Cluster((Phase("tried", untried="there is no Job"), Phase("final")), "lab", "x")
    with pytest.raises(CheckFailed, match="there is no Job"):
        cluster.at("tried")
