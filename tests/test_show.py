"""A report reads the same everywhere, and nothing that was read can harm its reader."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from autograders import show
from autograders.model import ManualMark, Outcome, Report, Result

EVIL = "<script>alert(1)</script>\x1b[2J [bold]x[/bold]"
RESULTS = (
    Result("image_was_pulled", Outcome.PASSED, 1.0, 1.0, "An image is needed.", "", "simulated"),
    Result("asks_for_one", Outcome.FAILED, 0.0, 2.5, EVIL, "ask for one", "real", "repair"),
    Result("runs", Outcome.NOT_YET, 0.0, 1.0, "on its way", "check again", "real"),
    Result("logs", Outcome.BROKEN, 0.0, 1.0, "KeyError: 'x'", "report it", "real"),
)
HELD = Result("unchanged", Outcome.PASSED, 0.0, 0.0, "Why.", "", "real")
BYPASS = Result("no_bypass", Outcome.FAILED, 0.0, 0.0, "privileged", "take it out", "real")


def report(*guards: Result, speed: float = 1.0) -> Report:
    undecided, digest = 1.0, "d"
    return Report(
        "01-t", "T", 1.0, 5.5, undecided, RESULTS, guards, digest, "embedded", speed, (EVIL,)
    )


def printed(what: Report, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(show.text(what))
    return out.getvalue()


def test_json_holds_what_a_program_needs() -> None:
    found = json.loads(json.dumps(show.json(report(HELD))))
    keys = {"name", "outcome", "points", "max_points", "seen", "next", "fidelity", "cell"}
    assert {"exercise", "score", "max_score", "checks", "guards", "warnings"} <= set(found)
    assert set(found["checks"][0]) == keys
    assert [each["outcome"] for each in found["checks"]] == [
        "passed",
        "failed",
        "not-yet",
        "broken",
    ]


def test_text_has_a_word_beside_every_mark() -> None:
    for word in ("✓ passed", "✗ failed", "… not yet", "! broken"):
        assert word in printed(report())


def test_text_tells_what_was_seen_and_what_is_next() -> None:
    assert "seen: on its way" in printed(report())
    assert "next: check again" in printed(report())
    assert "asks_for_one  0/2.5  [real]" in printed(report())


def test_a_cause_of_several_failures_is_told_once() -> None:
    other = replace(RESULTS[2], name="ends")
    out = printed(replace(report(), results=(*RESULTS, other)))
    assert out.count("on its way") == 1
    assert "seen: as for runs" in out


def test_text_never_drives_the_terminal() -> None:
    assert "\x1b" not in printed(report())
    assert "[bold]x[/bold]" in printed(report())


@pytest.mark.parametrize("width", [40, 120])
def test_text_fits_its_width_and_loses_no_word(width: int) -> None:
    lines = printed(report(BYPASS), width).splitlines()
    assert max(map(len, lines)) <= width
    assert "alert(1)" in "".join(line.strip() for line in lines)


def test_the_score_line_says_what_the_score_must_not_be_read_without() -> None:
    line = show.score_line(report(BYPASS, speed=10.0))
    assert line == (
        "Score 1 of 5.5; a guard failed, which takes all points; points not decided: 1;"
        " simulation at 10 times the speed"
    )


def test_a_guard_that_holds_is_silent() -> None:
    assert "unchanged" not in printed(report(HELD))
    assert "no_bypass (guard)" in printed(report(BYPASS))


class Tags(HTMLParser):
    """Collects the tags and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes_whatever_was_read() -> None:
    page = Tags()
    page.feed(show.html(report()))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_html_is_self_contained_and_takes_the_notebooks_colours() -> None:
    fragment = show.html(report())
    assert "http" not in fragment
    assert "background" not in fragment
    assert fragment.count("<li") == len(RESULTS)


@pytest.mark.parametrize(
    ("points", "own", "line", "head"),
    [
        (None, False, "6 points more are for a person to give", "not marked yet, of 6"),
        (4.0, True, "self-marked 4 of 6, not in the score", "you gave yourself 4/6"),
        (4.0, False, "a person gave 4 of 6", "a person gave 4/6"),
    ],
)
def test_what_a_person_marks_stands_apart_from_the_score(
    points: float | None, own: bool, line: str, head: str
) -> None:
    mark = ManualMark("advice", 6.0, "answered in 3 words", ("a cause (2)",), points)
    given = replace(
        report(), manual=(mark,), manual_max=6.0, manual_score=points or 0.0, self_marked=own
    )
    assert show.score_line(given).startswith("Score 1 of 5.5; ")
    assert line in show.score_line(given)
    for out in (printed(given), show.html(given)):
        assert f"advice  {head}" in out
        assert "- a cause (2)" in out
    assert json.loads(json.dumps(show.json(given)))["manual"][0]["points"] == points
