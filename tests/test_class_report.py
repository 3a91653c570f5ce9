"""The report on a class: what it counts, what it shows, and that it obeys nobody's text."""

from __future__ import annotations

import csv
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograders.model import Outcome, Report
from gpulab.classroom import folder, report, roster, statistics, store
from gpulab.classroom.folder import Classroom
from gpulab.classroom.store import Ending, Verdict
from tests.hostile import SECOND
from tests.recordings import graded

HOSTILE = "<script>alert(1)</script>"


def failed(right: Report, *names: str) -> Report:
    """The recorded report of the solution, as if these checks had failed."""
    results = tuple(
        replace(each, outcome=Outcome.FAILED, points=0.0, seen=HOSTILE)
        if each.name in names
        else each
        for each in right.results
    )
    return replace(right, results=results, score=sum(each.points for each in results))


def verdict(learner: str, found: Report | None, ending: Ending, why: str = "") -> Verdict:
    at = "2026-01-01T00:00:00+00:00"
    seconds = {"apply": 1.5}
    return Verdict(learner, SECOND, ending, why, found, "0", "0", at, at, "", seconds)


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    """Four learners: two right, one wrong in two checks, one unreadable."""
    made = folder.init(tmp_path / "room", "k8s-101", [], 0)
    (tmp_path / "r.csv").write_text("id,first_name\nada,Ada\nbob,<b>Bob</b>\neve,\nmay,\nzoe,\n")
    roster.add(made, tmp_path / "r.csv")
    right = graded(SECOND)
    wrong = failed(right, "asks_for_the_gpus", "prints_true")
    for learner, found in (("ada", right), ("may", right), ("bob", wrong)):
        store.save(made, verdict(learner, found, Ending.GRADED), None)
    store.save(made, verdict("eve", None, Ending.UNREADABLE, HOSTILE), None)
    return made


class Texts(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(room: Classroom) -> Texts:
    found = Texts()
    found.feed(report.write(room).read_text())
    return found


def test_the_page_obeys_no_text_of_a_learner(room: Classroom) -> None:
    page = read(room)
    assert not {"script", "b"} & set(page.tags)
    assert page.texts.count(HOSTILE) == 1  # why Eve's is unreadable
    assert f"{HOSTILE} (1 times)" in page.texts


def test_the_page_names_marks_and_who_needs_a_person(room: Classroom) -> None:
    texts = read(room).texts
    assert {"10 of 10", "5 of 10", "not handed in"} <= set(texts)
    assert texts.count("unreadable") == 2  # in the class's table, and among those not graded


def test_difficulty_and_discrimination_are_those_of_the_class(room: Classroom) -> None:
    found = {each.name: each for each in statistics.items(list(store.all_of(room)))}
    hard, easy = found["asks_for_the_gpus"], found["is_given_its_gpus"]
    assert (hard.answered, round(hard.difficulty, 3), hard.discrimination) == (3, 0.667, 1.0)
    assert (easy.difficulty, easy.discrimination, easy.commonest) == (1.0, None, "")


def test_the_csv_has_a_line_for_each_check(room: Classroom) -> None:
    report.write(room)
    with (room.root / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["points"]) for row in rows if row["id"] == "bob") == 5
    assert [row["ending"] for row in rows if row["id"] == "eve"] == ["unreadable"]


def test_copies_are_hinted_at_and_the_tasks_own_words_are_not() -> None:
    common = "kind pod spec containers name pytorch image pytorch command python print " * 3
    own = {n: f"{common} " + " ".join(f"{n}{c}x" for c in "abcdefghijklmnop") for n in "pqrst"}
    texts = {**own, "copy": own["p"].upper() + "\n# mine\n"}
    found = list(statistics.alike({"02": texts}))
    assert [(each.one, each.other) for each in found] == [("copy", "p")]
