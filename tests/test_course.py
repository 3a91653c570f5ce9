"""The course against its map: no section, no objective and no lesson is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gpulab.paths import ROOT

COURSE = ROOT / "course"
SECTIONS = (
    *("1", "2", "3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "5.1", "5.2", "5.3", "5.4"),
    *("6.1", "6.2", "6.3", "7.1", "7.2", "7.3", "8.1", "8.2", "9", "10.1", "10.2", "10.3"),
    *("10.4", "11", "12", "13", "14"),
)
"""Of the document that the course follows."""
LESSONS = {path.name[:2]: path for path in sorted(COURSE.glob("[0-9][0-9]-*.ipynb"))}
TAUGHT = {number: path for number, path in LESSONS.items() if number != "00"}
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
NOT_A_LESSON = {"9"}  # hands-on exercises: its rows lead to them, by way of 00


def rows() -> list[list[str]]:
    """The cells of the map, row by row."""
    text = (COURSE / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    assert {len(row) for row in found} == {4}
    return found


def cells(lesson: Path, kind: str) -> list[str]:
    found = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    return ["".join(each["source"]) for each in found if each["cell_type"] == kind]


def objectives(lesson: Path) -> set[str]:
    """The list under "You will" at the top of a lesson."""
    _, _, after = cells(lesson, "markdown")[0].partition("You will\n")
    found = re.findall(r"^- (.+(?:\n  .+)*)", after, re.MULTILINE)
    return {" ".join(each.split()).rstrip(",.") for each in found}


def test_every_section_of_the_document_has_a_row() -> None:
    """One after another; a section may have several rows, if several lessons are about it."""
    assert list(dict.fromkeys(row[0].split()[0] for row in rows())) == list(SECTIONS)


@pytest.mark.parametrize("number", TAUGHT)
def test_the_objectives_of_a_lesson_are_those_of_its_rows(number: str) -> None:
    written = [row[2] for row in rows() if row[1].startswith(f"[{number}]")]
    mapped = [each for cell in written for each in cell.split("<br>") if each]
    assert sorted(mapped) == sorted(objectives(TAUGHT[number])) != []


def test_a_row_names_a_lesson_that_exists_or_one_that_is_planned() -> None:
    for section, lesson, given, _ in rows():
        planned = re.fullmatch(r"planned: (\d\d)", lesson)
        if planned:
            assert planned[1] not in LESSONS, f"{section}: {planned[1]} is there; link it"
            continue
        assert LINK.fullmatch(lesson), section
        assert given or section.split()[0] in NOT_A_LESSON, section


def test_every_link_of_the_map_and_of_the_lessons_leads_somewhere() -> None:
    texts = {"README.md": (COURSE / "README.md").read_text(encoding="utf-8")}
    texts["glossary.md"] = (COURSE / "glossary.md").read_text(encoding="utf-8")
    texts |= {path.name: "\n".join(cells(path, "markdown")) for path in LESSONS.values()}
    links = [(name, target) for name, text in texts.items() for _, target in LINK.findall(text)]
    assert len(links) > len(SECTIONS)
    for name, target in links:
        if not target.startswith("https://"):
            assert (COURSE / target).exists(), f"{name}: {target}"


TERM = re.compile(r"^\*\*(.+?)\*\*: .+ \[\d\d\]\((\S+)\)$", re.MULTILINE)


def test_a_term_of_the_glossary_stands_in_the_lesson_that_it_names() -> None:
    text = (COURSE / "glossary.md").read_text(encoding="utf-8")
    terms = TERM.findall(text)
    assert len(terms) == text.count("\n**") > 20
    assert [term for term, _ in terms] == sorted((term for term, _ in terms), key=str.casefold)
    for term, lesson in terms:
        cell = "\n".join(cells(COURSE / lesson, "markdown") + cells(COURSE / lesson, "code"))
        assert term.casefold() in cell.casefold(), f"{term}: {lesson}"


@pytest.mark.parametrize("number", TAUGHT)
def test_a_lesson_has_the_shape_of_one(number: str) -> None:
    """What CONTRIBUTING promises of each: rounds, checks, pictures in words, questions."""
    text, code = "\n".join(cells(TAUGHT[number], "markdown")), cells(TAUGHT[number], "code")
    assert text.count("**Predict**") >= 6
    assert sum("assert " in each for each in code) >= 6
    pictures = text.count("```mermaid")
    assert text.count("accTitle:") == text.count("accDescr:") == pictures >= 2
    assert f'begin_lesson("{number}")' in code[0]
    assert f'quiz_form("lesson-{number}")' in code[-2]
    assert f"gpulab.dev/lesson={number}" in code[-1]
    assert list((ROOT / "exercises").glob(f"lesson-{number}-*/quiz.toml"))


@pytest.mark.parametrize("number", TAUGHT)
def test_a_cell_fits_on_the_screen(number: str) -> None:
    """8 lines at most; a manifest may be longer, for it is read as a whole."""
    for cell in cells(TAUGHT[number], "code"):
        lines = [line for line in cell.splitlines() if line.strip()]
        assert len(lines) <= (24 if lines[0].startswith("%%writefile") else 8), cell
