"""An exercise is found by what a person types, and refused with the file and key that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograders.errors import InputError
from autograders.load import find_exercise, load_exercise

TOML = """
title = "T"
seed_section = "9"
namespace = "lab"
objectives = ["o"]
hints = ["h"]
[[collect]]
api = "v1"
resource = "pods"
"""
QUIZ = """
[[question]]
id = "q"
type = "text"
points = 2
text = "t"
explanation = "e"
proof = "kubectl get pods"
"""
CHECKS = """
from autograders.checks import answer_key, check, guard

@check(points=3, cell="repair")
def second_by_name(cluster):
    "Why."

@check(points=1.5)
def a_first_by_name(cluster): ...

@guard
def unchanged(cluster): ...

@answer_key("q")
def key(cluster): return "a"
"""


def write(root: Path, name: str = "01-deploy-pod", **files: str) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    given = {"exercise.toml": TOML, "quiz.toml": QUIZ, "checks.py": CHECKS}
    for file, text in {**given, **{k.replace("_", "."): v for k, v in files.items()}}.items():
        (folder / file).write_text(text)
    return folder


def test_checks_stand_in_the_order_of_their_file(tmp_path: Path) -> None:
    exercise = load_exercise(write(tmp_path))
    assert [each.name for each in exercise.checks] == ["second_by_name", "a_first_by_name"]
    assert [each.name for each in exercise.guards] == ["unchanged"]
    assert (exercise.checks[0].cell, exercise.checks[0].doc) == ("repair", "Why.")


def test_points_of_checks_and_questions_add_up(tmp_path: Path) -> None:
    exercise = load_exercise(write(tmp_path))
    assert (exercise.max_score, type(exercise.max_score)) == (6.5, float)


def test_loading_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = write(tmp_path)
    load_exercise(folder)
    assert sorted(each.name for each in folder.iterdir()) == [
        "checks.py",
        "exercise.toml",
        "quiz.toml",
    ]


def test_the_digest_changes_with_any_file_and_not_with_caches(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = load_exercise(folder).digest
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")
    assert load_exercise(folder).digest == before
    (folder / "setup.yaml").write_text("x")
    assert load_exercise(folder).digest != before


@pytest.mark.parametrize("text", ["01", "01-deploy-pod", "01-d", "deploy", "pod"])
def test_an_exercise_is_found_by_any_part_that_only_it_has(tmp_path: Path, text: str) -> None:
    write(tmp_path), write(tmp_path, "02-fix"), write(tmp_path, "lesson-01-gpus")
    assert find_exercise(tmp_path, text).name == "01-deploy-pod"


def test_an_ambiguous_part_names_its_candidates(tmp_path: Path) -> None:
    write(tmp_path, "01-deploy"), write(tmp_path, "02-destroy")
    with pytest.raises(InputError, match="more than one exercise: 01-deploy, 02-destroy"):
        find_exercise(tmp_path, "0")


@pytest.mark.parametrize("text", ["3", "", "../01-deploy"])
def test_an_unknown_exercise_is_answered_with_those_there_are(tmp_path: Path, text: str) -> None:
    write(tmp_path, "01-deploy")
    with pytest.raises(InputError, match="there is no exercise") as refused:
        find_exercise(tmp_path, text)
    assert refused.value.do == "choose one of: 01-deploy"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        find_exercise(tmp_path / "none", "01")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"exercise_toml": TOML.replace('"T"', "1")}, r"exercise\.toml: .*\$\.title"),
        ({"exercise_toml": TOML + "colour = 1"}, r"exercise\.toml: .*colour"),
        ({"exercise_toml": "title =\nx = 1"}, r"exercise\.toml: .*line 1"),
        ({"exercise_toml": "settle_seconds = 0\n" + TOML}, "settle_seconds"),
        ({"exercise_toml": TOML.replace("pods", "secrets")}, "secrets of v1 is not in"),
        ({"quiz_toml": QUIZ.replace("points = 2", "points = 0")}, r"quiz\.toml: .*points"),
        ({"quiz_toml": QUIZ + 'answer = "a"'}, "'q' needs one key"),
        ({"quiz_toml": QUIZ.replace('"q"', '"r"')}, "'r' needs one key"),
        ({"quiz_toml": QUIZ + QUIZ}, "'q' is used twice"),
        ({"checks_py": CHECKS.replace('"q"', '"r"')}, "'q' needs one key"),
        ({"checks_py": "def"}, r"checks\.py cannot be loaded"),
        ({"checks_py": "import nowhere_to_be_found"}, r"checks\.py cannot be loaded"),
        ({"checks_py": "check(points=1)"}, r"checks\.py cannot be loaded"),
    ],
)
def test_a_faulty_exercise_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_exercise(write(tmp_path, **files))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / "checks.py").unlink()
    with pytest.raises(InputError, match=r"checks\.py cannot be read"):
        load_exercise(tmp_path / "01-deploy-pod")
