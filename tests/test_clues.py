"""What `gpulab why` makes of a Pod that has its node and is not well there."""

from __future__ import annotations

import pytest

from autograders.cluster import Pod
from autograders.cluster.clues import Evidence, clues, messages
from autograders.model import KubeObject


def waiting(reason: str, message: str = "", last: KubeObject | None = None) -> Pod:
    status = {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}
    spec = {"nodeName": "n1", "containers": [{"name": "main"}]}
    status |= {"lastState": last or {}}
    return Pod({"metadata": {"name": "p"}, "spec": spec, "status": {"containerStatuses": [status]}})


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("RuntimeError: The NVIDIA driver on your system is too old (found", "driver of its node"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "more memory than the GPU"),
        ("DataLoader worker (pid 27) is killed by signal: Bus error.", "/dev/shm is too small"),
        ("Failed to initialize NVML: Unknown Error", "lost the devices"),
    ],
)
def test_words_of_a_log_are_known(said: str, meaning: str) -> None:
    (clue,) = clues(waiting("CrashLoopBackOff"), Evidence(logs={"main": f"line\n{said} …\n"}))
    assert meaning in clue.seen
    assert clue.do


def test_a_log_that_says_nothing_known_gives_no_clue() -> None:
    assert not list(clues(waiting("CrashLoopBackOff"), Evidence(logs={"main": "bye\n"})))


def test_the_last_warning_counts_and_what_it_means() -> None:
    event = {"type": "Warning", "message": 'no runtime for "nvidia" is configured'}
    early = {"type": "Warning", "message": "old", "lastTimestamp": "2026-01-01T00:00:00Z"}
    late = event | {"lastTimestamp": "2026-01-01T00:01:00Z"}
    normal = {"type": "Normal", "message": "x", "lastTimestamp": "2026-01-01T00:02:00Z"}
    found = Evidence(messages([late, normal, early]))
    assert found.warnings == ("old", event["message"])
    meaning, warning = clues(waiting("ContainerCreating"), found)
    assert "does not know the handler" in meaning.seen
    assert "n1" in meaning.do
    assert str(event["message"]) in warning.seen


def test_out_of_memory_names_the_limit() -> None:
    last: KubeObject = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    pod = waiting("CrashLoopBackOff", last=last)
    pod.spec["containers"][0]["resources"] = {"limits": {"memory": "512Mi"}}
    (clue,) = clues(pod, Evidence())
    assert "OOMKilled): its limit is 512Mi" in clue.seen
