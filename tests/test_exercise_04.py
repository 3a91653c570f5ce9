"""Exercise 4: keys that follow from the cluster, answers known to be wrong, a whole run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograders.connect import connect
from autograders.grade import grade_live
from autograders.load import load_exercise
from autograders.model import Evidence, Outcome, Phase, Probe, Report
from autograders.quiz import read_answers, save_answer
from autograders.quiz.manifest import read_manifest
from autograders.run import decide
from gpulab import dry_run, workspace
from gpulab.paths import ROOT
from tests.conftest import Lab, eventually

ABOUT = ("exercises/04-", "autograders/")
pytestmark = pytest.mark.sample(*ABOUT)
FOLDER = ROOT / "exercises" / "04-assessment"
EXERCISE = load_exercise(FOLDER)
ANSWERS = read_answers(FOLDER / "solution" / "answers.toml")
NAMES = [each.id for each in EXERCISE.questions if not each.by_hand]
SETUP = [each for each in yaml.safe_load_all((FOLDER / "setup.yaml").read_text()) if each]
GIVEN_ANSWERS = [FOLDER / "solution", *sorted((FOLDER / "alternatives").iterdir())]
WRONG = sorted((FOLDER / "wrong").iterdir())
# as Kubernetes 1.36.3 answered
REFUSAL = {
    "kind": "Status",
    "status": "Failure",
    "message": 'Pod "trainer" is invalid: …',
    "reason": "Invalid",
    "details": {
        "name": "trainer",
        "kind": "Pod",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": 'Invalid value: "1": must be equal to nvidia.com/gpu limit of 2',
                "field": "spec.containers[0].resources.requests",
            }
        ],
    },
    "code": 422,
}


def node(name: str, product: str = "", memory: int = 0, gpus: int = 0) -> dict[str, Any]:
    labels = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": str(memory)}
    amounts = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels if gpus else {}},
        "status": {"allocatable": amounts, "capacity": amounts},
    }


H100 = ("NVIDIA-H100-80GB-HBM3", 81559, 8)
NODES = [
    node("h100-1", *H100),
    node("h100-2", *H100),
    node("a100-1", "NVIDIA-A100-SXM4-80GB", 81920, 8),
    node("l40s-1", "NVIDIA-L40S", 46068, 4),
    node("cpu-1"),
]
STATUS: dict[str, dict[str, Any]] = {
    "inference": {
        "phase": "Running",
        "qosClass": "BestEffort",
        "conditions": [{"type": "Ready", "status": "True"}],
    },
    "finetune": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    "finished": {"phase": "Succeeded"},
    "too-large": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient"}],
    },
}


def objects() -> list[dict[str, Any]]:
    """The state that setup.yaml leads to."""
    found = copy.deepcopy([*SETUP, *NODES])
    for each in found:
        if each["kind"] == "Pod":
            name = each["metadata"]["name"]
            each["status"] = copy.deepcopy(STATUS[name])
            if name != "too-large":
                each["spec"]["nodeName"] = "h100-1"
    return found


def probes() -> dict[str, Probe]:
    """What the API server answers to the solution's manifests."""
    refused, trainer = (read_manifest(ANSWERS[name]) for name in ("refused_pod", "limit_alone"))
    made = copy.deepcopy(trainer)
    made["spec"]["containers"][0]["resources"] = {
        "limits": {"nvidia.com/gpu": "2"},
        "requests": {"nvidia.com/gpu": "2"},
    }
    return {
        "refused_pod": Probe({"object": refused}, 422, REFUSAL),
        "limit_alone": Probe({"object": trainer}, 201, made),
    }


Change = Callable[[dict[str, dict[str, Any]]], object]


def graded(
    change: Change = lambda things: None, answers: Any = ANSWERS, provider: str = "embedded"
) -> Report:
    things = {each["metadata"]["name"]: each for each in objects()}
    change(things)
    phase = Phase("final", ("namespaces", "nodes", "pods"), tuple(things.values()), probes=probes())
    evidence = Evidence(EXERCISE.id, EXERCISE.digest, provider, {}, None, 1.0, "", (phase,))
    return decide(EXERCISE, evidence, answers)


def failures(report: Report) -> set[str]:
    assert all(each.outcome is not Outcome.BROKEN for each in report.results)
    return {each.name for each in report.results if each.outcome is not Outcome.PASSED}


def test_the_solution_gets_full_marks_and_the_free_text_is_no_part_of_them() -> None:
    report = graded()
    assert (failures(report), report.score, report.max_score) == (set(), 20.0, 20.0)
    assert (report.manual_score, report.manual_max) == (0.0, 6.0)
    assert [each.name for each in report.manual] == ["insufficient_advice"]
    assert graded(answers={**ANSWERS, "insufficient_advice": ""}).full_marks


def test_the_shipped_state_scores_exactly_zero() -> None:
    report = graded(answers={})
    assert (report.score, failures(report)) == (0.0, set(NAMES))
    assert {each.seen for each in report.results} == {"not answered yet"}


ABOUT_PODS = {"held_gpus", "why_pending", "qos_class"}


def test_before_start_questions_about_its_pods_say_so_and_the_others_are_marked() -> None:
    report = graded(lambda things: [things.pop(each) for each in ("gpu-quiz", *STATUS)])
    assert failures(report) == ABOUT_PODS
    said = [each.next for each in report.results if each.name in ABOUT_PODS]
    assert all(each.startswith("run: gpulab start 04") for each in said)


MUTANTS: dict[str, tuple[Change, set[str]]] = {
    "inference gone": (lambda things: things.pop("inference"), {"held_gpus", "qos_class"}),
    "finetune gone": (lambda things: things.pop("finetune"), {"held_gpus"}),
    "finished gone": (lambda things: things.pop("finished"), {"held_gpus"}),
    "too-large gone": (lambda things: things.pop("too-large"), {"held_gpus", "why_pending"}),
    "too-large made smaller": (
        lambda things: limits(things["too-large"]).update({"nvidia.com/gpu": 1}),
        {"held_gpus", "why_pending"},
    ),
    "inference without GPUs": (
        lambda things: limits(things["inference"]).clear(),
        {"held_gpus", "qos_class"},
    ),
    "still running": (
        lambda things: things["finished"]["status"].update(phase="Running"),
        {"held_gpus"},
    ),
    "a node less": (lambda things: things.pop("h100-2"), {"total_gpus"}),
    "a broken GPU": (
        lambda things: things["h100-2"]["status"]["allocatable"].update({"nvidia.com/gpu": "7"}),
        {"total_gpus"},
    ),
    "no A100": (lambda things: things.pop("a100-1"), {"total_gpus", "largest_memory"}),
}


def limits(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["containers"][0]["resources"]["limits"]
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_a_change_of_the_cluster_fails_what_asks_about_it(name: str) -> None:
    change, expected = MUTANTS[name]
    assert failures(graded(change)) == expected


def test_pods_of_other_namespaces_do_not_count() -> None:
    def other(things: dict[str, dict[str, Any]]) -> None:
        pod = copy.deepcopy(things["inference"])
        pod["metadata"] = {"name": "other", "namespace": "default"}
        things["other"] = pod

    assert failures(graded(other)) == set()


def test_a_cluster_without_gpus_is_not_the_learners_fault() -> None:
    def bare(things: dict[str, dict[str, Any]]) -> None:
        for name in ("h100-1", "h100-2", "a100-1", "l40s-1"):
            things.pop(name)

    report = graded(bare)
    broken = {each.name for each in report.results if each.outcome is Outcome.BROKEN}
    assert broken == {"total_gpus", "largest_memory"}
    assert report.undecided == 2.0


def test_on_a_cluster_that_is_only_read_dry_runs_are_left_out_of_the_points() -> None:
    report = graded(provider="existing")
    assert (report.score, report.max_score, report.full_marks) == (18.0, 18.0, True)
    assert sum("not on this provider" in each for each in report.warnings) == 2


@pytest.mark.parametrize("folder", WRONG, ids=lambda path: path.name)
def test_a_wrong_answer_differs_from_the_solution_in_what_it_is_named_after(folder: Path) -> None:
    name, wrong = folder.name.split(".")[0], read_answers(folder / "answers.toml")
    assert {each for each in wrong if wrong[each] != ANSWERS.get(each)} == {name}
    if name not in ("refused_pod", "limit_alone"):
        assert failures(graded(answers=wrong)) == {name}


def test_every_question_has_a_wrong_answer() -> None:
    assert {folder.name.split(".")[0] for folder in WRONG} == set(NAMES)


def test_part_of_the_points_is_for_part_of_the_answer() -> None:
    report = graded(answers={**ANSWERS, "why_requests_too": ("b", "d")})
    assert (report.score, failures(report)) == (19.0, {"why_requests_too"})


@pytest.mark.parametrize("advice", ["sets no GPU aside", "prevents overcommitment", "may share"])
def test_the_false_premise_of_question_6_earns_nothing(advice: str) -> None:
    question = next(each for each in EXERCISE.questions if each.id == "why_requests_too")
    option = next(each.id for each in question.options if advice in each.text)
    assert option not in tuple(question.answer or ())
    assert graded(answers={**ANSWERS, "why_requests_too": option}).score == 17.0


def test_explanations_of_wrong_options_never_name_the_right_one() -> None:
    for question in EXERCISE.questions:
        right = question.answer if isinstance(question.answer, tuple) else (question.answer,)
        texts = [each.text.casefold() for each in question.options if each.id in right]
        for each in question.options:
            if each.id not in right and question.type != "order":
                assert not any(text in each.explanation.casefold() for text in texts)


def test_the_offered_file_has_every_question_and_can_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPULAB_WORK", str(tmp_path))
    file = workspace.offer_answers(EXERCISE)
    assert file is not None
    assert read_answers(file) == {}
    for name, answer in ANSWERS.items():
        save_answer(file, name, answer)
    assert read_answers(file) == ANSWERS
    left = [line for line in file.read_text().splitlines() if line.startswith("# ")]
    assert not any(f"{name} =" in line for name in ANSWERS for line in left)


def written(lab: Lab, folder: Path | None) -> None:
    file = lab.work / "exercises" / EXERCISE.id / "answers.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((folder / "answers.toml").read_bytes() if folder else b"")


def checked(lab: Lab) -> dict[str, Any]:
    done = lab.gpulab("check", "04", "--json")
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["score"] == found["max_score"] else 1)
    return found


@pytest.mark.live
def test_a_learners_whole_way(lab: Lab) -> None:
    written(lab, None)
    assert lab.gpulab("start", "04").returncode == 0
    assert checked(lab)["score"] == 0.0
    written(lab, FOLDER / "solution")
    report = checked(lab)
    assert (report["score"], report["max_score"]) == (20.0, 20.0)
    assert "not marked yet, of 6" in lab.gpulab("check", "04").stdout
    pods = lab.get("pods", "-n", "gpu-quiz")["items"]
    assert {each["metadata"]["name"] for each in pods} == set(STATUS)  # nothing was stored


@pytest.mark.live
def test_right_and_wrong_answers_on_a_real_api_server(lab: Lab) -> None:
    assert lab.gpulab("start", "04").returncode == 0
    with (
        connect(lab.kubeconfig, read_only=False) as learner,
        connect(lab.root / "grader.kubeconfig") as grader,
    ):

        def report(folder: Path) -> Report:
            file = folder / "answers.toml"
            questions, answers = EXERCISE.questions, read_answers(file)
            tried = dry_run.try_answers(learner, questions, EXERCISE.namespace, answers)
            return grade_live(EXERCISE, None, file, provider="embedded", api=grader, probes=tried)

        eventually(lambda: report(FOLDER / "solution").full_marks)
        for folder in GIVEN_ANSWERS:
            assert failures(report(folder)) == set(), folder.name
        for folder in WRONG:
            assert failures(report(folder)) == {folder.name.split(".")[0]}, folder.name


@pytest.mark.live
@pytest.mark.parametrize(
    ("manifest", "seen"),
    [
        ("apiVersion: v1\nkind: Nothing\n", "this cluster has no kind 'Nothing'"),
        ("metadata: {name: a}\n", "this cluster has no kind None"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", "but in its answer kind is"),
        ("apiVersion: v1\nkind: Pod\nspce: {}\n", 'unknown field "spce"'),
        ("apiVersion: v1\nkind: Pod\nmetadata: [1]\n", "refuses it (400)"),
    ],
)
def test_odd_manifests_get_the_api_servers_own_answer(lab: Lab, manifest: str, seen: str) -> None:
    question = [each for each in EXERCISE.questions if each.id == "limit_alone"]
    with connect(lab.kubeconfig, read_only=False) as api:
        tried = dry_run.try_answers(api, question, "default", {"limit_alone": manifest})
    phase = Phase("final", probes=tried)
    evidence = Evidence(EXERCISE.id, "", "embedded", {}, None, 1.0, "", (phase,))
    report = decide(EXERCISE, evidence, {"limit_alone": manifest})
    result = next(each for each in report.results if each.name == "limit_alone")
    assert result.outcome is Outcome.FAILED
    assert seen in result.seen
    assert lab.kubectl("get", "namespace", "x").returncode != 0
