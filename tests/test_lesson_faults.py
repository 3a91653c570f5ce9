"""Each lesson fails under the fault that it names: its asserts look at the cluster, not at air."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpulab import faults
from tests.conftest import Lab, Object, make_lab
from tests.test_notebooks import LESSONS, as_learner, name, play

WITHOUT = {"00-start-here", "kind-only"}
"""The first steps are no lesson, and the other one needs real nodes."""
TAUGHT = [path for path in LESSONS if path.stem not in WITHOUT]


def promise(lesson: Path) -> Object:
    """The fault, the node that it comes upon, and the assert that must fail."""
    found: Object = json.loads(lesson.read_text(encoding="utf-8"))["metadata"]["gpulab"]
    return found


def test_no_two_lessons_name_the_same_fault() -> None:
    named = [promise(each)["fault"] for each in TAUGHT]
    assert len(set(named)) == len(named) > 0


@pytest.mark.parametrize("lesson", TAUGHT, ids=name)
def test_the_fault_exists_and_so_does_the_assert(lesson: Path) -> None:
    said = promise(lesson)
    assert said["fault"] in faults.load()
    asserts = [each for each in lines(lesson) if each.startswith("assert ")]
    assert any(f'"{said["fails"]}"' in each for each in asserts)


def lines(lesson: Path) -> list[str]:
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    code = ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]
    return [line for cell in code for line in re.sub(r"\(\n\s+", "", cell).split("\n")]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab in which what was broken is whole again within seconds."""
    yield from make_lab(tmp_path_factory.mktemp("faulty"), "faulty", "--speed", "20")


@pytest.mark.live
@pytest.mark.sample
@pytest.mark.parametrize("lesson", TAUGHT, ids=name)
def test_a_lesson_fails_under_its_fault(fast: Lab, tmp_path: Path, lesson: Path) -> None:
    said, learner = promise(lesson), as_learner(fast, tmp_path / "work")
    broken = fast.gpulab("break", said["fault"], "--node", said["node"])
    assert broken.returncode == 0, broken.stderr
    try:
        done = play(learner, lesson, stop=True)
    finally:
        healed = fast.gpulab("reset", "--lab", "--yes", seconds=120)
    assert healed.returncode == 0, healed.stderr
    assert f"AssertionError: {said['fails']}" in plain(done.stdout), done.stdout


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
