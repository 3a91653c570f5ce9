"""`gpulab quiz`: asked in a terminal, saved at once, left and taken up again."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from autograders.load import load_exercise
from autograders.quiz import read_answers
from gpulab.paths import ROOT
from tests.conftest import GPULAB, Lab, said

EXERCISE = load_exercise(ROOT / "exercises" / "04-assessment")
SOLUTION = read_answers(EXERCISE.folder / "solution" / "answers.toml")
ORDER = [each.id for each in EXERCISE.questions]
END = "\x04"  # Ctrl-D


def typed(lab: Lab, text: str, *options: str) -> str:
    """Run the command at a terminal, type the text, return what was printed."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [GPULAB, "quiz", "04", *options],
            env=lab.env,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.write(ours, text.encode())
            out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out


def file(lab: Lab) -> Path:
    return lab.work / "exercises" / EXERCISE.id / "answers.toml"


def lines(name: str) -> str:
    """What a person types for the solution's answer."""
    answer = SOLUTION[name]
    if isinstance(answer, tuple):
        return " ".join(map(str, answer)) + "\n"
    several = isinstance(answer, str) and "\n" in answer
    return f"{answer}.\n" if several else f"{answer}\n"


def test_all_questions_can_be_answered_by_keyboard_alone(no_lab: Lab) -> None:
    out = ""
    for start in range(0, len(ORDER), 4):  # a terminal takes 4096 characters at once
        out = typed(no_lab, "".join(map(lines, ORDER[start : start + 4])) + END)
    assert read_answers(file(no_lab)) == SOLUTION
    assert "16 of 16 answered" in out


def test_it_is_left_and_taken_up_where_it_was(no_lab: Lab) -> None:
    out = typed(no_lab, "b\n\nd\n:q\n")
    assert read_answers(file(no_lab)) == {"operator_purpose": "b", "request_differs": "d"}
    assert "2 of 16 answered" in out
    out = typed(no_lab, "c\n" + END)
    assert read_answers(file(no_lab))["placing_component"] == "c"
    assert "primary purpose" not in out
    assert "2 of 16: Which component" in out


def test_what_cannot_be_meant_is_asked_again(no_lab: Lab) -> None:
    out = typed(no_lab, "x\na b\nb\n" + END)
    assert "'x' is none of the options; choose from a, b, c, d" in out
    assert "choose one of a, b, c, d" in out
    assert read_answers(file(no_lab)) == {"operator_purpose": "b"}


def test_again_shows_the_saved_answer_and_enter_keeps_it(no_lab: Lab) -> None:
    typed(no_lab, "b\na\n:q\n")
    out = typed(no_lab, "\nc\n:q\n", "--again")
    assert "saved: b" in out
    assert read_answers(file(no_lab)) == {"operator_purpose": "b", "placing_component": "c"}


def test_a_manifest_is_taken_from_a_file(no_lab: Lab, tmp_path: Path) -> None:
    pod = tmp_path / "pod.yaml"
    pod.write_text("kind: Pod\n")
    typed(no_lab, f"\n\n\n@{tmp_path}/none.yaml\n@{pod}\n:q\n")
    assert read_answers(file(no_lab)) == {"refused_pod": "kind: Pod\n"}


def test_own_marks_are_asked_per_line_of_the_rubric(no_lab: Lab) -> None:
    file(no_lab).parent.mkdir(parents=True)
    file(no_lab).write_text('insufficient_advice = "wait"\n')
    out = typed(no_lab, "3\n2\n1\n\n", "--mark")
    assert "You wrote: wait" in out
    assert "write a number from 0 to 2" in out
    kept = json.loads((no_lab.work / ".gpulab/progress/04-assessment.json").read_text())
    assert kept["self_marks"]["insufficient_advice"]["points"] == [2, 1, 0]


def test_the_list_shows_questions_and_answers_and_no_keys(no_lab: Lab) -> None:
    file(no_lab).parent.mkdir(parents=True)
    file(no_lab).write_text("total_gpus = 28\n")
    done = no_lab.gpulab("quiz", "04", "--list")
    assert done.returncode == 0
    assert done.stdout.count("not answered yet") == 15
    assert "saved: 28" in done.stdout
    for question in EXERCISE.questions:
        assert question.text in done.stdout
        assert question.explanation not in done.stdout
        assert not any(each.explanation in done.stdout for each in question.options)


def test_without_a_terminal_it_says_what_to_do_instead(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("quiz", "04", stdin=subprocess.DEVNULL))
    assert what == "nobody is there to answer"
    assert "answers.toml" in do


@pytest.mark.parametrize(("data", "named"), [(b"a = \n", "line 1"), (b"a = '\xff'", "UTF-8")])
def test_a_malformed_answer_file_is_named_and_kept(no_lab: Lab, data: bytes, named: str) -> None:
    file(no_lab).parent.mkdir(parents=True)
    file(no_lab).write_bytes(data)
    what, _ = said(no_lab.gpulab("quiz", "04", "--list"))
    assert named in what
    assert file(no_lab).read_bytes() == data


def test_an_exercise_without_questions_says_so(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("quiz", "02"))
    assert "no questions" in what
    assert do == "gpulab check 02"
