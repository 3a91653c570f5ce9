"""Exercise 2: what a learner is told of each wrong repair, for whatever values were drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograders.load import load_exercise
from autograders.model import Evidence, Outcome, Report
from autograders.mutants.edits import changed
from autograders.proof import prove_offline
from autograders.run import decide
from autograders.variants import Values, draw, seed_of
from gpulab.paths import ROOT
from tests.conftest import Lab
from tests.recordings import failures, recorded
from tests.test_variants import SPEC

ABOUT = ("exercises/02-", "autograders/")
pytestmark = pytest.mark.sample(*ABOUT)
NAME = "02-fix-broken-pytorch"
FOLDER = ROOT / "exercises" / NAME
EXERCISE, EVIDENCE, _ = recorded(NAME)
SCORED = {"asks_for_the_gpus", "succeeds_on_the_promised_model", "prints_true", "is_given_its_gpus"}
GPU, PRODUCT = "nvidia.com/gpu", "nvidia.com/gpu.product"
Pod = dict[str, Any]


def as_variant(evidence: Evidence, values: Values) -> Evidence:
    """The same cluster, had another learner's values been drawn."""
    old = str(evidence.variant["pod"])
    phases = []
    for phase in evidence.phases:
        text = json.dumps({"objects": phase.objects, "logs": dict(phase.logs)})
        found = json.loads(text.replace(old, str(values["pod"])))
        repaired = phase.name == "final"
        for pod in (each for each in found["objects"] if each["kind"] == "Pod" and repaired):
            place(pod, found["objects"], values)
        phases.append(replace(phase, objects=tuple(found["objects"]), logs=found["logs"]))
    return replace(evidence, phases=tuple(phases), variant=dict(values))


def place(pod: Pod, objects: list[Pod], values: Values) -> None:
    """Give the Pod the number of GPUs, and a node with the model, that were drawn."""
    pod["spec"]["nodeName"] = next(
        each["metadata"]["name"]
        for each in objects
        if (each["metadata"].get("labels") or {}).get(PRODUCT) == values["product"]
    )
    for amounts in pod["spec"]["containers"][0]["resources"].values():
        amounts[GPU] = str(values["gpus"])
    ids = [{"resourceID": f"GPU-{each}"} for each in range(int(values["gpus"]))]
    entry = pod["status"]["containerStatuses"][0]
    entry["allocatedResourcesStatus"] = [{"name": GPU, "resources": ids}]


def graded(change: Callable[[Pod], Pod], log: str | None = None) -> Report:
    """Judge the recorded solution after a change of its Pod, or of its log."""
    phase = EVIDENCE.phases[-1]
    objects = tuple(change(each) if each["kind"] == "Pod" else each for each in phase.objects)
    logs = phase.logs if log is None else dict.fromkeys(phase.logs, log)
    final = replace(phase, objects=objects, logs=logs)
    return decide(EXERCISE, replace(EVIDENCE, phases=(EVIDENCE.phases[0], final)), {})


@settings(max_examples=12, deadline=None)
@given(st.binary(max_size=8))
def test_every_drawn_variant_is_proven(seed: bytes) -> None:
    values = draw(SPEC, seed_of(b"class", seed.hex(), NAME))
    exercise, evidence = load_exercise(FOLDER, values), as_variant(EVIDENCE, values)
    report = decide(exercise, evidence, {})
    assert (failures(report), report.score) == (set(), 10.0)
    cases, faults = prove_offline(exercise, evidence, {})
    assert (faults, [each for each in cases if each.fault]) == ((), [])


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_copied_repair_gets_full_marks_only_for_values_it_serves(one: bytes, two: bytes) -> None:
    mine, theirs = (draw(SPEC, each) for each in (one, two))
    report = decide(load_exercise(FOLDER, mine), as_variant(EVIDENCE, theirs), {})
    serves = all(mine[name] == theirs[name] for name in ("pod", "product"))
    assert report.full_marks is (serves and int(theirs["gpus"]) >= int(mine["gpus"]))


def test_points_are_those_of_the_rubric() -> None:
    assert {each.name: each.points for each in EXERCISE.checks} == {
        "asks_for_the_gpus": 4,
        "succeeds_on_the_promised_model": 3,
        "prints_true": 1,
        "is_given_its_gpus": 2,
    }


def test_as_found_it_succeeds_prints_false_and_scores_0() -> None:
    found = EVIDENCE.phases[0]
    report = decide(EXERCISE, replace(EVIDENCE, phases=(found, replace(found, name="final"))), {})
    assert (report.score, failures(report)) == (0.0, SCORED)
    assert "asks for no GPU" in report.results[0].seen


CHANGED, BYPASSED = {"runs_the_same_program"}, {"bypasses_nothing"}


@pytest.mark.parametrize(
    ("patch", "failed", "said"),
    [
        ({"resources": {"limits": {GPU: None}}}, SCORED, "no GPU"),
        ({"resources": {"limits": {GPU: "1"}}}, SCORED, "asks for 1 GPU"),
        ({"image": "pytorch/pytorch:latest"}, CHANGED, "pytorch:latest"),
        ({"command": ["echo", "True"]}, CHANGED, "echo True"),
        ({"args": ["x"]}, CHANGED, "another program"),
        ({"env": [{"name": "PYTHONPATH", "value": "/x"}]}, CHANGED, "another program"),
        ({"volumeMounts": [{"mountPath": "/opt/conda"}]}, CHANGED, "another program"),
        ({"workingDir": "/x"}, CHANGED, "another program"),
        ({"securityContext": {"privileged": True}}, BYPASSED, "privileged"),
        ({"imagePullPolicy": "Always"}, set(), ""),
        ({"resources": {"limits": {"memory": "64Gi"}}}, set(), ""),
    ],
)
def test_each_change_of_its_container_is_told_apart(
    patch: Pod, failed: set[str], said: str
) -> None:
    report = graded(lambda pod: changed(pod, ("spec", "containers", "*"), patch))
    every = (*report.guards, *report.results)
    seen = [each.seen for each in every if each.outcome is not Outcome.PASSED]
    assert (failures(report), report.score) == (failed, 0.0 if failed else 10.0)
    assert not seen or said in seen[0]


@pytest.mark.parametrize("log", ["", "False", "True\nFalse", "import torch", "true"])
def test_only_the_word_of_its_program_is_a_proof(log: str) -> None:
    assert failures(graded(lambda pod: pod, log)) == {"prints_true"}


def test_without_the_phase_as_found_a_person_decides() -> None:
    report = decide(EXERCISE, replace(EVIDENCE, phases=EVIDENCE.phases[-1:]), {})
    assert (report.score, report.undecided) == (0.0, 10.0)
    assert [each.name for each in report.guards if each.outcome is Outcome.BROKEN] == [
        "runs_the_same_program"
    ]


@pytest.fixture
def learner(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A learner of the shared lab who has started nothing, in a folder of his own."""
    own = Lab(lab.name, lab.env | {"GPULAB_WORK": str(tmp_path_factory.mktemp("work"))})
    own.kubectl("delete", "pods", "--all", "-n", "gpu-access", "--force", "--grace-period=0")
    (lab.root / "given" / f"{NAME}.json").unlink(missing_ok=True)
    yield own
    own.kubectl("delete", "pods", "--all", "-n", "gpu-access", "--force", "--grace-period=0")
    (lab.root / "given" / f"{NAME}.json").unlink(missing_ok=True)


def score(learner: Lab) -> float:
    done = learner.gpulab("check", "02", "--json")
    assert done.returncode in (0, 1), done.stderr
    return float(json.loads(done.stdout)["score"])


@pytest.mark.live
def test_a_second_start_keeps_the_repair_and_what_was_found(learner: Lab) -> None:
    assert learner.gpulab("start", "02").returncode == 0
    assert score(learner) == 0
    given_ = learner.get("pods", "-n", "gpu-access")["items"][0]
    notes = given_["metadata"]["annotations"]
    manifest = json.loads(notes["kubectl.kubernetes.io/last-applied-configuration"])
    manifest["spec"]["containers"][0]["command"] = ["echo", "True"]
    replaced = learner.kubectl("replace", "--force", "-f", "-", given=json.dumps(manifest))
    assert replaced.returncode == 0, replaced.stderr
    again = learner.gpulab("start", "02")
    assert (again.returncode, "Started before" in again.stdout) == (0, True), again.stderr
    report = json.loads(learner.gpulab("check", "02", "--json").stdout)
    guards = {each["name"]: each["outcome"] for each in report["guards"]}
    assert guards["runs_the_same_program"] == "failed"


@pytest.mark.live
def test_another_learners_start_is_not_taken_for_ones_own(learner: Lab, tmp_path: Any) -> None:
    assert learner.gpulab("start", "02").returncode == 0
    values = learner.work / "exercises" / NAME / "variant.toml"
    values.write_text('pod = "broken-bert"\nmemory_gib = 8\nproduct = "NVIDIA-L40S"\ngpus = 2\n')
    mine = learner.get("pods", "-n", "gpu-access")["items"][0]["metadata"]["name"]
    done = learner.gpulab("check", "02")
    if mine != "broken-bert":
        assert (done.returncode, "gpulab reset 02" in done.stderr) == (2, True)


@pytest.mark.live
def test_the_solution_of_ones_own_variant_gets_full_marks(learner: Lab) -> None:
    assert learner.gpulab("start", "02").returncode == 0
    shown = learner.gpulab("variant", "02", "--learner", "self").stdout
    manifest = shown.split("# solution/pod.yaml")[1]
    done = learner.kubectl("replace", "--force", "-f", "-", given=manifest)
    assert done.returncode == 0, done.stderr
    assert score(learner) == 10
