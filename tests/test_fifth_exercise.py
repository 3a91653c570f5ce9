"""A fifth exercise is one more folder: nothing else changes, and it is proven like the others.

The folder below tests/fifth/ was made by copying exercises/01-deploy-gpu-pod and following
CONTRIBUTING. Its checks rest on what only the API server can say: dry runs and access reviews.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Lab, run_clone

NAME = "05-share-gpus"
FOLDER = Path(__file__).parent / "fifth" / NAME


@pytest.fixture
def with_fifth(clone: Path) -> Path:
    """A clone with one folder more."""
    shutil.copytree(FOLDER, clone / "exercises" / NAME)
    return clone


def test_its_notebook_needs_no_change_of_points(with_fifth: Path, no_lab: Lab) -> None:
    notebook = with_fifth / "exercises" / NAME / "exercise.ipynb"
    before = notebook.read_bytes()
    done = run_clone(with_fifth, no_lab, "cells")
    assert done.returncode == 0, done.stderr
    assert notebook.read_bytes() == before


@pytest.mark.live
@pytest.mark.timeout(320)
def test_it_is_proven_with_no_code_changed_elsewhere(with_fifth: Path, lab: Lab) -> None:
    more = ("--json", "--name", lab.name)
    done = run_clone(with_fifth, lab, "verify", "05", *more, seconds=300)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    (proof,) = found["exercises"]
    kinds = {each["kind"] for each in proof["cases"]}
    assert {"wrong answer", "alternative", "mutant", "expect-line deleted"} <= kinds
    assert len(proof["cases"]) >= 25


@pytest.mark.live
@pytest.mark.timeout(200)
def test_weakened_it_is_refused(with_fifth: Path, lab: Lab) -> None:
    """Without the question whether the intern may delete, a Role for everything would pass."""
    checks = with_fifth / "exercises" / NAME / "checks.py"
    text = checks.read_text()
    (line,) = (each for each in text.splitlines(keepends=True) if "not asked.may(" in each)
    checks.write_text(text.replace(line, ""))
    done = run_clone(with_fifth, lab, "verify", "05", "--name", lab.name, seconds=180)
    assert done.returncode == 1
    assert "lets_the_intern_look.everything: full marks" in done.stdout
