"""A class from release to marks, as docs/instructors.md has it: nbgrader and real clusters."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbgrader.apps.api import NbGraderAPI
from traitlets.config import Config

from gpulab.classroom import folder
from gpulab.classroom.folder import Classroom
from gpulab.classroom.gradebook import path_with_alembic
from gpulab.classroom.nbgrader_settings import configure
from tests import hostile
from tests.conftest import Lab, environment, run
from tests.hostile import SECOND, Case

pytestmark = [pytest.mark.live, pytest.mark.sample("cluster-setup/gpulab/classroom/")]
ROSTER = "id,first_name,last_name,email\nada,Ada,L,ada@example.org\nbob,Bob,B,\neve,Eve,M,\n"
DUE = "02=2020-01-01T00:00+00:00"
"""Long ago, so that everything is late."""


@dataclass(frozen=True)
class Class:
    """A class whose hand-ins were graded once."""

    lab: Lab
    room: Classroom
    zips: Path
    graded: str
    """What `gpulab grade` said."""

    def marks(self) -> dict[str, dict[str, str]]:
        done = self.lab.gpulab("export")
        assert done.returncode == 0, done.stderr
        return {row["id"]: row for row in csv.DictReader(io.StringIO(done.stdout))}

    def verdict(self, learner: str) -> dict[str, Any]:
        text = (self.room.verdicts / SECOND / f"{learner}.json").read_text()
        return json.loads(text)["verdict"]  # type: ignore[no-any-return]

    def sql(self, text: str) -> None:
        with closing(sqlite3.connect(self.room.root / "gradebook.db")) as book, book:
            book.execute(text)


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Class:
    """Ada is right, Bob is not, and of Eve's zip nothing can be read."""
    place = tmp_path_factory.mktemp("flow")
    lab = Lab("lab", environment(place, "lab") | {"GPULAB_CLASS": str(place / "room")})
    ok(lab, "class", "init", "--name", "k8s-101", "--due", DUE, "--late-percent", "0.001")
    (place / "roster.csv").write_text(ROSTER)
    ok(lab, "roster", "import", str(place / "roster.csv"))
    ok(lab, "release", "02")
    room, zips = folder.existing(place / "room"), place / "zips"
    zips.mkdir()
    hostile.hand_in(room, Case("", "", values_of="ada"), "ada", zips)
    hostile.hand_in(room, Case("", "", values_of="bob", container={"resources": {}}), "bob", zips)
    hostile.hand_in(room, Case("", "", raw="no zip"), "eve", zips)
    assert lab.gpulab("collect", str(zips)).returncode == 1
    done = lab.gpulab("grade", seconds=280)
    assert done.returncode == 1, done.stderr  # Eve's is not graded
    assert [each for each in lab.processes() if each.is_running()] == []
    assert not list(Path(lab.env["GPULAB_HOME"]).glob("labs/*"))
    return Class(lab, room, zips, done.stdout)


def ok(lab: Lab, *words: str) -> str:
    done = lab.gpulab(*words, seconds=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_hand_in_ends_in_one_of_four_ways(graded: Class) -> None:
    assert {name: graded.verdict(name)["ending"] for name in ("ada", "bob", "eve")} == {
        "ada": "graded",
        "bob": "graded",
        "eve": "unreadable",
    }
    assert "2 graded, 1 unreadable; 0 of them unchanged" in graded.graded
    assert "no zip that can be read" in graded.verdict("eve")["why"]


def test_marks_are_in_nbgraders_gradebook(graded: Class) -> None:
    marks = graded.marks()
    assert (marks["ada"]["max_score"], marks["bob"]["score"]) == ("10", "0")
    assert 0 < float(marks["ada"]["late_penalty"]) < 1
    assert float(marks["ada"]["score"]) == 10 - float(marks["ada"]["late_penalty"])
    assert {name: row["needs_person"] for name, row in marks.items()} == {
        "ada": "",
        "bob": "",
        "eve": "yes",
    }


def test_nbgrader_makes_feedback_of_it_that_says_what_was_seen(graded: Class) -> None:
    program = Path(path_with_alembic().split(":")[0]) / "nbgrader"
    env = graded.lab.env | {"PATH": path_with_alembic()}
    command = [str(program), "generate_feedback", SECOND]
    done = run(command, env, 200, cwd=graded.room.root)
    assert done.returncode == 0, done.stderr
    page = (graded.room.root / "feedback" / "bob" / SECOND / "exercise.html").read_text()
    assert "asks_for_the_gpus" in page
    assert graded.room.secret().decode() not in page


def test_formgrader_has_them_as_autograded_and_asks_for_what_is_a_persons(graded: Class) -> None:
    config = Config()
    configure(config, str(graded.room.root), "k8s-101")
    found = {each["student"]: each for each in NbGraderAPI(config=config).get_submissions(SECOND)}
    asked = ("autograded", "needs_manual_grade")
    assert {name: tuple(each[key] for key in asked) for name, each in found.items()} == {
        "ada": (True, False),
        "bob": (True, False),
        "eve": (True, True),
    }


def test_what_is_graded_and_unchanged_is_not_graded_again(graded: Class) -> None:
    before = {each: graded.verdict(each) for each in ("ada", "bob", "eve")}
    done = graded.lab.gpulab("grade")
    assert "3 of them unchanged" in done.stdout
    assert {each: graded.verdict(each) for each in before} == before


def test_audit_sees_a_changed_mark_and_a_changed_verdict(graded: Class) -> None:
    assert graded.lab.gpulab("audit").returncode == 0
    path = graded.room.verdicts / SECOND / "bob.json"
    genuine = path.read_bytes()
    graded.sql("update grade set auto_score = 10")
    path.write_bytes(genuine.replace(b'"score":0.0', b'"score":9.0'))
    done = graded.lab.gpulab("audit")
    assert done.returncode == 1
    assert f"{SECOND}, bob: the verdict is not the grader's" in done.stdout
    assert f"{SECOND}, eve: check has 10.0 in the gradebook and None" in done.stdout
    path.write_bytes(genuine)
    assert graded.lab.gpulab("grade").returncode == 1  # which writes the rows again
    assert graded.lab.gpulab("audit").returncode == 0


def test_a_mark_that_a_person_gave_stays(graded: Class) -> None:
    graded.sql(
        "update grade set manual_score = 3, needs_manual_grade = 0 where notebook_id in (select"
        " submitted_notebook.id from submitted_notebook join submitted_assignment on"
        " submitted_assignment.id = submitted_notebook.assignment_id where student_id = 'eve')"
    )
    graded.lab.gpulab("grade")
    row = graded.marks()["eve"]
    assert (row["score"], row["needs_person"]) == ("3", "")


def test_a_locked_gradebook_loses_nothing(graded: Class) -> None:
    with closing(sqlite3.connect(graded.room.root / "gradebook.db")) as book:
        book.execute("begin exclusive")
        done = graded.lab.gpulab("grade")
        assert done.returncode == 2
        assert "gpulab: the gradebook cannot be written: database is locked" in done.stderr
        assert "Traceback" not in done.stderr
    assert graded.verdict("ada")["ending"] == "graded"


def test_a_regrade_keeps_the_old_mark_and_the_reason(graded: Class) -> None:
    hostile.hand_in(graded.room, Case("", "", values_of="bob"), "bob", graded.zips)
    (graded.zips / f"eve+{SECOND}.zip").unlink()
    ok(graded.lab, "collect", str(graded.zips))
    done = graded.lab.gpulab("grade", "--students", "bob", "--reason", "an appeal", seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = graded.verdict("bob")
    assert found["report"]["score"] == 10
    assert [(each["score"], each["reason"]) for each in found["earlier"]] == [(0.0, "an appeal")]
    assert float(graded.marks()["bob"]["score"]) > 9
