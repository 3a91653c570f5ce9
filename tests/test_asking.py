"""Steps of a trial that only ask: their files, their requests, and who may send them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autograders.errors import InputError
from autograders.load import load_exercise
from autograders.rights import Rule
from autograders.trials import DryRun
from gpulab import asking
from gpulab.discovery import Resource
from gpulab.recording import inputs

FIFTH = Path(__file__).parent / "fifth" / "05-share-gpus"
PODS = Resource("v1", "pods", "Pod", True, frozenset({"list", "create", "delete"}))


def test_a_role_allows_only_the_kinds_that_are_tried() -> None:
    exercise = load_exercise(FIFTH)
    found = set(asking.rules(exercise, exercise.settings.probe, [PODS]))
    assert found == {Rule(("",), ("pods",), ("create",))}


def test_a_step_without_its_file_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(FIFTH, tmp_path / FIFTH.name)
    (folder / "two-gpus.yaml").unlink()
    with pytest.raises(InputError, match=r"there is no two-gpus\.yaml"):
        load_exercise(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "a", "{", "metadata: x", "a: &a [1]\nb: *a\nmetadata: {}", "a: 1\na: 2"]
)
def test_a_file_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    folder = shutil.copytree(FIFTH, tmp_path / FIFTH.name)
    (folder / "two-gpus.yaml").write_text(text)
    step = DryRun("two-gpus", "two-gpus.yaml")
    with pytest.raises(InputError, match=r"two-gpus\.yaml"):
        asking.manifest(load_exercise(folder), step)


def test_a_recording_is_out_of_date_once_such_a_file_changes(tmp_path: Path) -> None:
    folder = shutil.copytree(FIFTH, tmp_path / FIFTH.name)
    before = inputs(load_exercise(folder))
    (folder / "three-gpus.yaml").write_text("metadata: {}\n")
    assert inputs(load_exercise(folder)) != before
