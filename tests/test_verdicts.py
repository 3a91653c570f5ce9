"""Verdicts of a class as files: read back as they were, or named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autograders import verdicts
from autograders.errors import InputError
from tests.recordings import RECORDED, graded

NAME = RECORDED[0]


def test_a_verdict_is_read_back_as_it_was(tmp_path: Path) -> None:
    report = graded(NAME)
    path = verdicts.save(tmp_path / "verdicts", "ada", report)
    assert verdicts.read(tmp_path / "verdicts", NAME, "ada") == report
    assert [each.name for each in path.parent.iterdir()] == ["ada.json"]
    assert path.parent.stat().st_mode & 0o77 == 0


def test_there_is_none_before_somebody_has_judged(tmp_path: Path) -> None:
    assert verdicts.read(tmp_path, NAME, "ada") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"exercise": 5}', b'{"exercise":' + b"[" * 9999],
    ids=["empty", "cut off", "not text", "list", "other keys", "deep"],
)
def test_a_damaged_verdict_is_named_and_is_no_mark(tmp_path: Path, content: bytes) -> None:
    path = verdicts.save(tmp_path, "ada", graded(NAME))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"ada\.json is not a verdict") as error:
        verdicts.read(tmp_path, NAME, "ada")
    assert error.value.do == "grade that submission again"


def test_a_verdict_on_another_exercise_is_refused(tmp_path: Path) -> None:
    path = verdicts.save(tmp_path, "ada", replace(graded(NAME), exercise="another"))
    path.parent.rename(tmp_path / NAME)
    with pytest.raises(InputError, match="is a verdict on another"):
        verdicts.read(tmp_path, NAME, "ada")


@pytest.mark.parametrize("learner", ["", ".", "..", "../ada", "a/b", "a\\b", "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, learner: str) -> None:
    with pytest.raises(InputError, match="cannot name a learner"):
        verdicts.save(tmp_path / "verdicts", learner, graded(NAME))
    assert list(tmp_path.iterdir()) == []
