"""`gpulab check 01` in a warm process and as a command; `gpulab --help`."""

from __future__ import annotations

import statistics
from pathlib import Path

from autograders.connect import connect
from autograders.grade import grade_live
from autograders.load import load_exercise
from gpulab import binaries
from gpulab.paths import ROOT
from tests.bench.measure import GPULAB, Row, command, percentile, surroundings, timed

EXERCISE = ROOT / "exercises" / "01-deploy-gpu-pod"
WARM = 100  # gradings in one process


def measure(folder: Path, runs: int) -> list[Row]:
    """Grade a solved exercise 1 on the default fleet."""
    env = surroundings(folder)
    command([GPULAB, "up"], env)
    try:
        _solve(folder, env)
        warm = _warm(folder)
        # without its answers the command exits with 1: graded, not full marks
        whole = [timed(lambda: command([GPULAB, "check", "01"], env, (0, 1))) for _ in range(runs)]
        help_ = [timed(lambda: command([GPULAB, "--help"], env)) for _ in range(runs)]
    finally:
        command([GPULAB, "down", "--delete"], env)
    tail = percentile(warm, 0.95)
    return [
        Row(f"check 01, warm, p50 of {WARM}", statistics.median(warm), max(warm), 0.1, "s"),
        Row(f"check 01, warm, p95 of {WARM}", tail, max(warm), 0.2, "s"),
        Row("gpulab check 01, whole command", statistics.median(whole), max(whole), 1.0, "s"),
        Row("gpulab --help", statistics.median(help_), max(help_), 0.3, "s"),
    ]


def _solve(folder: Path, env: dict[str, str]) -> None:
    command([GPULAB, "start", "01"], env)
    config = folder / "home" / "labs" / "lab" / "kubeconfig"
    kubectl = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(config), "-n", "gpu-basics"]
    command([*kubectl, "apply", "-f", str(EXERCISE / "solution" / "pod.yaml")], env)
    done = "--for=jsonpath={.status.phase}=Succeeded"
    command([*kubectl, "wait", "pod/gpu-test", done, "--timeout=60s"], env)


def _warm(folder: Path) -> list[float]:
    exercise = load_exercise(EXERCISE)
    config = folder / "home" / "labs" / "lab" / "grader.kubeconfig"
    answers = EXERCISE / "solution" / "answers.toml"
    with connect(config) as api:

        def once() -> None:
            report = grade_live(exercise, None, answers, provider="embedded", api=api)
            assert report.full_marks, report

        once()
        return [timed(once) for _ in range(WARM)]
