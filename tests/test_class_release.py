"""What a release holds and what it leaves out, as nbgrader itself makes it."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from autograders.load import Question, load_exercise
from gpulab.classroom import folder, release, roster, stripping
from gpulab.classroom.folder import EXERCISES, Classroom
from tests.conftest import Lab, said
from tests.hostile import SECOND

THIRD, FOURTH = "03-plan-ten-jobs", "04-assessment"
RELEASED = (SECOND, THIRD, FOURTH)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """A class of two, with three exercises released by nbgrader."""
    place = tmp_path_factory.mktemp("class")
    made = folder.init(place / "room", "k8s-101", ["02=2026-12-01T23:59+01:00"], 10)
    (place / "roster.csv").write_text("id\nada\neve\n")
    roster.add(made, place / "roster.csv")
    assert dict(release.release(made, RELEASED)) == dict.fromkeys(RELEASED, 2)
    return made


def everything(room: Classroom) -> dict[str, str]:
    """Every file that learners are given, zips unpacked."""
    found = {str(p): p.read_text() for p in room.release.rglob("*") if p.is_file()}
    for path in room.handouts.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                found[f"{path.name}:{name}"] = archive.read(name).decode()
    return found


def secrets_of(name: str) -> list[str]:
    """Lines that only an author knows: of solutions and wrong answers, keys, explanations."""
    place, exercise = EXERCISES / name, load_exercise(EXERCISES / name)
    texts = [text for each in exercise.questions for text in explained(each)]
    texts += [f"def {each.function.__name__}(" for each in exercise.keys]
    texts += list(tomllib.loads((place / "mutants.toml").read_text()).get("right", {}))
    for kind in ("solution", "alternatives", "wrong"):
        for path in filter(Path.is_file, (place / kind).rglob("*.*")):
            if path.name != "commands.sh":  # its line is in the task's own words
                texts.append(path.read_text().strip())
    return [each for each in texts if each]


def explained(question: Question) -> list[str]:
    options = [each.explanation for each in question.options]
    return [question.explanation, question.hint, *options, *(e.text for e in question.rubric)]


@pytest.mark.parametrize("name", RELEASED)
def test_a_release_holds_nothing_that_only_an_author_knows(released: Classroom, name: str) -> None:
    given = everything(released)
    assert any(name in each for each in given)
    for secret in secrets_of(name):
        holds = [each for each, text in given.items() if secret in text]
        assert not holds, f"{secret!r} is in {holds}"


def test_no_secret_seed_or_formula_is_in_a_release(released: Classroom) -> None:
    text = "\n".join(everything(released).values())
    assert released.secret().decode() not in text
    assert "[derived]" not in text
    assert "[[probe]]" not in text
    assert not {"quiz.toml", "mutants.toml", "checks_hidden.py", "wrong", "solution"} & {
        path.name for path in released.release.rglob("*")
    }


def test_a_release_has_everybodys_values_and_a_zip_only_its_learners(released: Classroom) -> None:
    rows = json.loads((released.release / SECOND / "variants.json").read_text())
    assert rows == {each: release.drawn_for(released, SECOND, each) for each in ("ada", "eve")}
    with zipfile.ZipFile(released.handouts / SECOND / "ada.zip") as archive:
        own = tomllib.loads(archive.read(f"exercises/{SECOND}/variant.toml").decode())
        names = {Path(each).name for each in archive.namelist()}
    assert own == rows["ada"]
    assert "variants.json" not in names


@pytest.mark.parametrize("name", RELEASED)
def test_what_is_released_loads_with_the_checks_that_are_left(
    released: Classroom, name: str
) -> None:
    values = release.drawn_for(released, name, "ada")
    found, whole = load_exercise(released.release / name, values), load_exercise(EXERCISES / name)
    assert found.task == load_exercise(EXERCISES / name, values).task
    assert {each.name for each in found.checks} == {e.name for e in whole.checks if not e.phases}
    assert [each.name for each in found.guards] == [each.name for each in whole.guards]
    assert not found.keys


def test_a_fetched_release_gives_a_learner_own_values(released: Classroom, no_lab: Lab) -> None:
    place = released.release / SECOND
    done = no_lab.gpulab("receive", str(place), "--learner", "ada")
    assert done.returncode == 0, done.stderr
    values = json.loads((place / "variants.json").read_text())["ada"]
    assert values["pod"] in no_lab.gpulab("task", "02").stdout
    kept = (no_lab.work / "exercises" / SECOND / "variant.toml").read_text()
    assert tomllib.loads(kept) == values
    what, _ = said(no_lab.gpulab("receive", str(place), "--learner", "mallory"))
    assert "has no values for 'mallory'" in what
    what, _ = said(no_lab.gpulab("receive", str(place.parent), "--learner", "ada"))
    assert "is no released exercise" in what


def test_hidden_checks_count_and_are_not_released(clone: Path, tmp_path: Path) -> None:
    place = clone / "exercises" / SECOND
    before = load_exercise(place)
    hidden = "from autograders.checks import check\n\n@check(points=1)\ndef hidden(cluster): ...\n"
    (place / "checks_hidden.py").write_text(hidden)
    after = load_exercise(place)
    assert [each.name for each in after.checks] == [*(e.name for e in before.checks), "hidden"]
    release.lay_out(place, tmp_path / "out", {})
    assert not [each for each in (tmp_path / "out").iterdir() if "hidden" in each.read_text()]


def test_a_key_goes_with_what_only_it_uses() -> None:
    text = (
        "from a import answer_key, check, only\nX = only()\nY = 1\n"
        "@answer_key('q')\ndef key(c):\n    return helper(X)\n"
        "def helper(x):\n    return x\n@check(points=1)\ndef fact(c):\n    return Y\n"
    )
    left = stripping.checks(text)
    assert "fact" in left
    assert "Y = 1" in left
    assert not [each for each in ("key", "helper", "only", "X") if each in left]
