"""Exercise 1 judged offline: the objects are cut down from a run on Kubernetes 1.36.3."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograders.load import load_exercise
from autograders.model import Evidence, Outcome, Phase, Report
from autograders.quiz import read_answers
from autograders.run import decide

FOLDER = Path(__file__).parent.parent / "exercises" / "01-deploy-gpu-pod"
EXERCISE = load_exercise(FOLDER)
ANSWERS = read_answers(FOLDER / "solution" / "answers.toml")
UUID = "GPU-6cb5f7f4-1d0c-5b0c-8d6a-0f3a1c5c2d11"
LOG = """
| NVIDIA-SMI 595.91.07              Driver Version: 595.91.07      CUDA Version: 13.2     |
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:53:00.0 Off |                    0 |
| N/A   30C    P0             68W /  700W |       0MiB /  81559MiB |      0%      Default |
"""
NAMESPACE = {"kind": "Namespace", "metadata": {"name": "gpu-basics"}}
NODE = {
    "kind": "Node",
    "metadata": {
        "name": "h100-1",
        "labels": {
            "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
            "nvidia.com/gpu.memory": "81559",
            "nvidia.com/cuda.runtime-version.full": "13.2",
        },
    },
    "status": {"capacity": {"nvidia.com/gpu": "8"}, "nodeInfo": {"kubeletVersion": "v1.36.3"}},
}
CPU_NODE = {"kind": "Node", "metadata": {"name": "cpu-1"}, "status": {}}
POD = {
    "kind": "Pod",
    "metadata": {
        "name": "gpu-test",
        "namespace": "gpu-basics",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}}}}],
    },
    "spec": {
        "nodeName": "h100-1",
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "cuda-test",
                "image": "nvidia/cuda:12.4.1-base-ubuntu22.04",
                "command": ["nvidia-smi"],
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
            }
        ],
    },
    "status": {
        "phase": "Succeeded",
        "containerStatuses": [
            {
                "name": "cuda-test",
                "imageID": "docker.io/nvidia/cuda@sha256:0",
                "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
                "allocatedResourcesStatus": [
                    {"name": "nvidia.com/gpu", "resources": [{"resourceID": UUID}]}
                ],
            }
        ],
    },
}
Change = Callable[[dict[str, Any], dict[str, Any]], object]


def graded(change: Change = lambda pod, state: None, log: str = LOG, **given: Any) -> Report:
    """Judge the right solution after a change to its Pod or to the rest of the state."""
    state: dict[str, Any] = {
        "objects": [copy.deepcopy(each) for each in (NAMESPACE, NODE, CPU_NODE, POD)],
        "logs": {"gpu-basics/gpu-test/cuda-test": log},
    }
    change(state["objects"][-1], state)
    resources = ("namespaces", "nodes", "pods", "pods/log")
    phase = Phase("final", resources, tuple(state["objects"]), logs=state["logs"])
    evidence = Evidence(EXERCISE.id, EXERCISE.digest, "embedded", {}, None, 1.0, "", (phase,))
    return decide(EXERCISE, evidence, given.get("answers", ANSWERS))


def failures(report: Report) -> set[str]:
    assert all(each.outcome is not Outcome.BROKEN for each in (*report.results, *report.guards))
    every = (*report.results, *report.guards)
    return {each.name for each in every if each.outcome is not Outcome.PASSED}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["containers"][0]
    return found


def status(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["status"]["containerStatuses"][0]
    return found


def waits(pod: dict[str, Any], reason: str, message: str) -> None:
    pod["status"]["phase"] = "Pending"
    status(pod).pop("imageID")
    status(pod)["state"] = {"waiting": {"reason": reason, "message": message}}


def test_the_solution_gets_full_marks() -> None:
    report = graded()
    assert failures(report) == set()
    assert (report.score, report.max_score, report.full_marks) == (10.0, 10.0, True)


@pytest.mark.parametrize("objects", [[], [NAMESPACE], [NAMESPACE, NODE, CPU_NODE]])
def test_the_shipped_state_scores_exactly_zero(objects: list[dict[str, Any]]) -> None:
    report = graded(lambda pod, state: state.update(objects=objects, logs={}), answers={})
    assert report.score == 0.0
    assert all(each.next for each in report.results)


def test_before_start_the_next_step_is_to_start() -> None:
    report = graded(lambda pod, state: state.update(objects=[], logs={}))
    assert {each.next for each in report.results} == {"run: gpulab start 01"}


def test_the_seeds_manifest_scores_exactly_zero_and_teaches_tags() -> None:
    message = 'Back-off pulling image "nvidia/cuda:12.1-devel-ubuntu22.04": not found'

    def shipped(pod: dict[str, Any], state: dict[str, Any]) -> None:
        container(pod)["image"] = "nvidia/cuda:12.1-devel-ubuntu22.04"
        waits(pod, "ImagePullBackOff", message)
        state["logs"] = {}

    report = graded(shipped)  # even with right answers: there is no log to have them from
    assert report.score == 0.0
    assert message in report.results[0].seen
    assert report.results[0].next.startswith("tags of nvidia/cuda have three numbers")


EVERYTHING = {each.name for each in EXERCISE.checks} | {q.id for q in EXERCISE.questions}
LOG_AND_QUIZ = {"log_names_its_gpu", "gpu_name", "gpu_memory_mib", "cuda_version"}
MUTANTS: dict[str, tuple[Change, set[str]]] = {
    "another name": (
        lambda pod, state: pod["metadata"].update(name="gpu-test-2"),
        EVERYTHING,
    ),
    "another namespace": (
        lambda pod, state: pod["metadata"].update(namespace="default"),
        EVERYTHING,
    ),
    "no GPU limit": (
        lambda pod, state: container(pod).pop("resources"),
        {"is_given_exactly_one_gpu"},
    ),
    "two GPUs": (
        lambda pod, state: container(pod)["resources"]["limits"].update({"nvidia.com/gpu": "2"}),
        {"is_given_exactly_one_gpu"},
    ),
    "no device": (
        lambda pod, state: status(pod).pop("allocatedResourcesStatus"),
        {"is_given_exactly_one_gpu"},
    ),
    "on a node without GPUs": (
        lambda pod, state: pod["spec"].update(nodeName="cpu-1"),
        {"runs_on_a_gpu_node", *LOG_AND_QUIZ},
    ),
    "ended badly": (
        lambda pod, state: pod["status"].update(phase="Failed"),
        {"succeeds", "log_names_its_gpu"},
    ),
    "still running": (
        lambda pod, state: pod["status"].update(phase="Running"),
        {"succeeds", "log_names_its_gpu"},
    ),
    "no log": (lambda pod, state: state["logs"].clear(), {"log_names_its_gpu"}),
    "node relabelled": (
        lambda pod, state: state["objects"][1]["metadata"]["labels"].update(
            {"nvidia.com/gpu.product": "NVIDIA-H200"}
        ),
        {"log_names_its_gpu", "gpu_name"},
    ),
    "node named by hand": (
        lambda pod, state: pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"].update(
            {"f:nodeName": {}}
        ),
        {"is_placed_by_the_scheduler"},
    ),
    "privileged": (
        lambda pod, state: container(pod).update(securityContext={"privileged": True}),
        {"bypasses_nothing"},
    ),
    "all devices by variable": (
        lambda pod, state: container(pod).update(
            env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
        ),
        {"bypasses_nothing"},
    ),
    "devices of the host": (
        lambda pod, state: pod["spec"].update(volumes=[{"hostPath": {"path": "/dev"}}]),
        {"bypasses_nothing"},
    ),
    "a container beside it": (
        lambda pod, state: pod["spec"].update(initContainers=[{"name": "x", "command": ["echo"]}]),
        {"runs_only_nvidia_smi"},
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_what_it_breaks_and_nothing_else(name: str) -> None:
    change, expected = MUTANTS[name]
    report = graded(change)
    assert failures(report) == expected
    assert not report.full_marks


def test_a_bypass_takes_all_points() -> None:
    assert graded(MUTANTS["privileged"][0]).score == 0.0


@pytest.mark.parametrize(
    ("uuid", "failed"), [(UUID, set()), (UUID.replace("6", "7"), {"log_names_its_gpu"})]
)
def test_a_log_that_lists_devices_must_list_the_pods_own(uuid: str, failed: set[str]) -> None:
    assert failures(graded(log=f"{LOG}\nGPU 0: NVIDIA H100 80GB HBM3 (UUID: {uuid})")) == failed


def test_an_older_kubelet_need_not_report_devices() -> None:
    def older(pod: dict[str, Any], state: dict[str, Any]) -> None:
        state["objects"][1]["status"]["nodeInfo"]["kubeletVersion"] = "v1.35.4"
        status(pod).pop("allocatedResourcesStatus")

    assert failures(graded(older)) == set()


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/nvidia-smi", "-L"],
        ["sh", "-c", "nvidia-smi"],
        ["bash", "-c", "nvidia-smi -L && nvidia-smi --query-gpu=name --format=csv,noheader;"],
    ],
)
def test_calls_of_nvidia_smi_are_accepted(command: list[str]) -> None:
    assert failures(graded(lambda pod, state: container(pod).update(command=command))) == set()


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["echo", "NVIDIA H100 80GB HBM3"],
        ["/tmp/nvidia-smi"],
        ["sh", "-c", "echo NVIDIA H100 80GB HBM3"],
        ["sh", "-c", "nvidia-smi; echo NVIDIA H100 80GB HBM3"],
        ["sh", "-c", "nvidia-smi $(echo x)"],
        ["sh", "-c", "nvidia-smi || cat /etc/passwd"],
        ["sh", "-c", "nvidia-smi & cat x"],
        ["sh", "-c", ""],
        ["python", "nvidia-smi"],
    ],
)
def test_other_commands_prove_nothing(command: list[str]) -> None:
    report = graded(lambda pod, state: container(pod).update(command=command))
    assert (failures(report), report.score) == ({"runs_only_nvidia_smi"}, 0.0)


@pytest.mark.parametrize(
    ("answers", "failed"),
    [
        ({"gpu_name": "h100 80gb hbm3"}, set()),
        ({"gpu_name": "H100"}, {"gpu_name"}),
        ({"gpu_memory_mib": "81559 MiB"}, set()),
        ({"gpu_memory_mib": 80000}, {"gpu_memory_mib"}),
        ({"cuda_version": 13.2}, set()),
        ({"cuda_version": "12.4.1"}, {"cuda_version"}),
    ],
)
def test_answers_are_compared_with_the_node(answers: dict[str, Any], failed: set[str]) -> None:
    assert failures(graded(answers={**ANSWERS, **answers})) == failed


def test_a_node_without_labels_is_not_the_learners_fault() -> None:
    report = graded(lambda pod, state: state["objects"][1]["metadata"].pop("labels"))
    broken = {each.name for each in report.results if each.outcome is Outcome.BROKEN}
    assert (broken, report.score, report.undecided) == (LOG_AND_QUIZ, 5.0, 5.0)


def test_every_wrong_answer_is_named_after_a_check_guard_or_question() -> None:
    every = (*EXERCISE.checks, *EXERCISE.guards)
    names = {each.name for each in every} | {each.id for each in EXERCISE.questions}
    wrong = {folder.name.split(".")[0] for folder in (FOLDER / "wrong").iterdir()}
    assert wrong == names
