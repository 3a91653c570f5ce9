"""Every exercise is proven on a real cluster: `gpulab verify`, one exercise at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograders.load import exercise_names, load_exercise
from gpulab.paths import ROOT
from tests.conftest import Lab

EXERCISES = ROOT / "exercises"
NAMES = exercise_names(EXERCISES)
DRAWN = [name for name in NAMES if (EXERCISES / name / "variant.toml").is_file()]
LIMIT = 600  # seconds; a minute is usual, several where many tests run at once


def proof(lab: Lab, exercise: str, *more: str) -> dict[str, object]:
    """Prove it in the shared lab if its nodes are right, else in one that is made for it."""
    fleet = load_exercise(EXERCISES / exercise).settings.fleet
    shared = ("--name", lab.name) if fleet == lab.status()["fleet"] else ()
    done = lab.gpulab("verify", exercise, "--json", *shared, *more, seconds=LIMIT)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert (found["proven"], done.returncode) == (True, 0), done.stderr
    return found


@pytest.mark.live
@pytest.mark.sample("autograders/")
@pytest.mark.timeout(LIMIT + 20)
@pytest.mark.parametrize("exercise", NAMES)
def test_an_exercise_is_proven(lab: Lab, exercise: str, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    found = proof(lab, exercise, "--report", str(report))
    assert found["false_passes"][-1]["wrong"] == 0  # type: ignore[index]
    assert found["false_fails"][-1]["wrong"] == 0  # type: ignore[index]
    assert "All 1 exercises are proven" in report.read_text()


@pytest.mark.live
@pytest.mark.sample
@pytest.mark.timeout(LIMIT + 20)
@pytest.mark.parametrize("exercise", DRAWN)
@pytest.mark.parametrize("seed", ["ada", "grace"])
def test_another_variant_is_proven_too(lab: Lab, exercise: str, seed: str) -> None:
    proof(lab, exercise, "--seed", seed)
