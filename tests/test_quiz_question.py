"""A question that does not explain or prove itself is refused, with file and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograders.errors import InputError
from autograders.load import load_exercise
from tests.test_load import CHECKS, write

NO_KEYS = "from autograders.checks import check\n"
HEAD = """
[[question]]
id = "q"
points = 2
text = "t"
explanation = "e"
proof = "kubectl get pods"
"""
OPTIONS = """
[[question.options]]
id = "a"
text = "A"
explanation = "Why A."
[[question.options]]
id = "b"
text = "B"
explanation = "Why B."
"""
RUBRIC = '[[question.rubric]]\ntext = "r"\npoints = 2\n'
RIGHT = {
    "choice": HEAD + 'type = "choice"\nanswer = "a"\n' + OPTIONS,
    "two accepted": HEAD + 'type = "choice"\nanswer = ["a", "b"]\n' + OPTIONS,
    "multiple": HEAD + 'type = "multiple"\nanswer = ["a"]\n' + OPTIONS,
    "order": HEAD + 'type = "order"\nanswer = ["b", "a"]\n' + OPTIONS,
    "number": HEAD + 'type = "number"\nanswer = 3\nunit = "GPUs"\ntolerance = 0.5\n',
    "text": HEAD + 'type = "text"\nanswer = ["x", "y"]\n',
    "yaml": HEAD + 'type = "yaml"\nanswer = "kind: Pod"\n',
    "free": HEAD + 'type = "free"\n' + RUBRIC,
    "source": HEAD.replace('proof = "kubectl get pods"', 'source = "See https://example.org"')
    + 'type = "text"\nanswer = "x"\n',
}


def load(folder: Path, quiz: str, checks: str = NO_KEYS) -> None:
    load_exercise(write(folder, quiz_toml=quiz, checks_py=checks))


@pytest.mark.parametrize("name", RIGHT)
def test_every_type_has_a_form_that_is_accepted(tmp_path: Path, name: str) -> None:
    load(tmp_path, RIGHT[name])


def less(name: str, *lines: str) -> str:
    return re.sub("|".join(f"(?m:^{re.escape(line)}.*\n)" for line in lines), "", RIGHT[name])


@pytest.mark.parametrize(
    ("quiz", "said"),
    [
        (less("choice", "explanation"), r"explanation.*\$\.question\[0\]"),
        (less("choice", 'explanation = "Why B."'), r"explanation.*options\[1\]"),
        (RIGHT["choice"].replace("Why B.", ""), r"options\[1\]\.explanation"),
        (less("choice", "proof"), "needs `proof`, the command that shows it, or `source`"),
        (RIGHT["text"].replace("kubectl get", "look at"), "a command of kubectl or gpulab"),
        (RIGHT["source"].replace("https:", "http:"), "needs an address"),
        (RIGHT["choice"].replace('answer = "a"', 'answer = "c"'), "none of its options: a, b"),
        (less("choice", "answer"), "'q' needs one key"),
        (RIGHT["choice"].replace('id = "b"', 'id = "a"'), "two options 'a'"),
        (RIGHT["choice"].replace('id = "b"', 'id = "B"'), r"options\[1\]\.id"),
        (HEAD + 'type = "choice"\nanswer = "a"\n', "at least two `options`"),
        (RIGHT["text"] + OPTIONS, "type text, which has no `options`"),
        (RIGHT["multiple"].replace('["a"]', '["a", "b"]'), "right and options that are not"),
        (RIGHT["multiple"].replace('["a"]', "[]"), "right and options that are not"),
        (RIGHT["order"].replace('["b", "a"]', '["a", "b"]'), "another order"),
        (RIGHT["order"].replace('["b", "a"]', '["b"]'), "every option once"),
        (RIGHT["number"].replace("answer = 3", 'answer = "3"'), "needs a number"),
        (RIGHT["number"].replace("0.5", "-1"), "tolerance"),
        (RIGHT["text"] + 'unit = "GPUs"\n', "`unit` or `tolerance`"),
        (RIGHT["yaml"].replace("kind: Pod", "- a"), "needs YAML as `answer`"),
        (less("free", "[[question.rubric]]", 'text = "r"', "points = 2"), "points"),
        (HEAD + 'type = "free"\n', "needs a `rubric`"),
        (RIGHT["text"] + RUBRIC, "needs a `rubric` if, and only if"),
        (RIGHT["free"].replace('"r"\npoints = 2', '"r"\npoints = 1'), "add up"),
        (RIGHT["free"].replace('type = "free"', 'type = "free"\nanswer = "x"'), "no key"),
        (RIGHT["text"].replace('"text"', '"essay"'), "essay"),
        (RIGHT["text"].replace("points = 2", "points = 0"), "points"),
        (RIGHT["text"] + "colour = 1\n", "colour"),
        ("question = 1", r"\$\.question"),
        ("[[question", r"quiz\.toml"),
        ("x = " + "[" * 50_000, r"quiz\.toml"),
    ],
)
def test_a_faulty_question_is_named_with_file_and_key(tmp_path: Path, quiz: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        load(tmp_path, quiz)
    assert "quiz.toml" in refused.value.what
    assert "\n" not in refused.value.what
    assert refused.value.do


def test_a_computed_key_needs_a_command_that_shows_it(tmp_path: Path) -> None:
    quiz = less("source", "answer")
    with pytest.raises(InputError, match="'q' needs `proof`"):
        load(tmp_path, quiz, CHECKS)


def test_free_texts_are_no_part_of_the_score(tmp_path: Path) -> None:
    quiz = RIGHT["text"] + RIGHT["free"].replace('"q"', '"f"')
    exercise = load_exercise(write(tmp_path, quiz_toml=quiz, checks_py=NO_KEYS))
    assert (exercise.max_score, exercise.manual_max) == (2.0, 2.0)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "quiz.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(InputError, match=r"quiz\.toml"):
        load_exercise(folder)
