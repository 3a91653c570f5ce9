"""Answers are read with care, and compared as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from autograders.load import Question
from autograders.model import Answer, CheckFailed
from autograders.quiz import judge, parse_answers, read_answers


def question(type: Any = "text", **more: Any) -> Question:
    return Question("q", type, 1, "What?", "Because.", "kubectl version", **more)


def is_right(asked: Question, answer: Answer, key: Any) -> bool:
    try:
        judge(asked, {"q": answer}, lambda: key)
    except CheckFailed:
        return False
    return True


@pytest.mark.parametrize("answer", ["NVIDIA H100", "nvidia-h100", "  NVIDIA   H100 "])
def test_text_ignores_case_blanks_and_dashes(answer: str) -> None:
    assert is_right(question(), answer, ("other", "NVIDIA-H100"))


@pytest.mark.parametrize("answer", ["H100", "NVIDIA H1000", ".*", 100])
def test_other_text_is_wrong(answer: Answer) -> None:
    assert not is_right(question(), answer, "NVIDIA-H100")


@pytest.mark.parametrize("answer", [81559, 81559.0, "81559", "81,559", "81559 MiB", "81559mib"])
def test_numbers_are_read_as_people_write_them(answer: Answer) -> None:
    assert is_right(question("number", unit="MiB"), answer, 81559)


@pytest.mark.parametrize(
    "answer", [80000, "80 GB", "81559 GiB", True, float("nan"), float("inf"), "", (81559,)]
)
def test_other_numbers_are_wrong(answer: Answer) -> None:
    assert not is_right(question("number", unit="MiB"), answer, 81559)


@given(st.integers(-1000, 1000))
def test_tolerance_is_how_far_off_is_still_right(off: int) -> None:
    assert is_right(question("number", tolerance=10), 500 + off, 500) is (abs(off) <= 10)


def test_a_missing_answer_is_told_with_the_question_and_needs_no_key() -> None:
    with pytest.raises(CheckFailed) as failed:
        judge(question(), {}, lambda: 1 / 0)
    assert (failed.value.seen, failed.value.next) == (
        "not answered yet",
        'What? Write q = "…" in answers.toml.',
    )


def test_a_wrong_answer_is_told_with_the_hint_and_never_with_the_key() -> None:
    with pytest.raises(CheckFailed) as failed:
        judge(question(hint="look up"), {"q": "no"}, lambda: "secret")
    assert (failed.value.seen, failed.value.next) == ("your answer 'no' is not right", "look up")


def test_a_right_answer_is_explained() -> None:
    assert judge(question(), {"q": "yes"}, lambda: "yes") == "'yes': Because."


def test_no_file_means_no_answers(tmp_path: Path) -> None:
    assert read_answers(tmp_path / "answers.toml") == {}


def test_answers_are_texts_numbers_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text('a = "x"\nb = 2\nc = ["y", "z"]\n')
    assert read_answers(path) == {"a": "x", "b": 2, "c": ("y", "z")}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = 1\nb = \n", "line 2"),
        (b"a = 1\na = 2\n", "is not TOML"),
        (b"a = 1\nb = '\xff'\n", r"not UTF-8 \(line 2\)"),
        (b"[a]\nb = 1\n", "a is a dict"),
        (b"a = 2026-01-01\n", "a is a date"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
    ],
)
def test_a_malformed_file_is_named_with_its_fault(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        parse_answers(Path("answers.toml"), data)
    assert "answers.toml" in refused.value.what


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_answers(path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        read_answers(tmp_path)
