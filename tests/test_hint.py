"""Hints come one at a time, from a nudge to nearly the answer; no cluster is needed."""

from __future__ import annotations

import pytest

from autograders.load import exercise_names, load_exercise
from gpulab.paths import ROOT
from tests.conftest import Lab, said

HINTS = load_exercise(ROOT / "exercises" / "01-deploy-gpu-pod").settings.hints


def hinted(lab: Lab, *options: str) -> str:
    done = lab.gpulab("hint", "01", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_more_hint_each_time_it_is_asked_for(no_lab: Lab) -> None:
    for number, hint in enumerate(HINTS, 1):
        out = hinted(no_lab, *(["--more"] if number > 1 else []))
        assert f"Hint {number} of {len(HINTS)}: {hint}" in out
        assert sum(each in out for each in HINTS) == 1


def test_the_latest_hint_is_remembered(no_lab: Lab) -> None:
    hinted(no_lab)
    hinted(no_lab, "--more")
    assert HINTS[1] in hinted(no_lab)
    assert HINTS[1] in hinted(no_lab)


def test_the_first_more_shows_the_first_hint(no_lab: Lab) -> None:
    assert HINTS[0] in hinted(no_lab, "--more")


def test_after_the_last_there_is_no_more(no_lab: Lab) -> None:
    outs = [hinted(no_lab, "--more") for _ in range(len(HINTS) + 1)]
    assert HINTS[-1] in outs[-1]
    assert "no more hints" in outs[-1]
    assert "no more hints" not in outs[-2]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"hints": "x"}', b"\xff", b'{"hints": -7}'])
def test_progress_that_nobody_can_read_starts_over(no_lab: Lab, content: bytes) -> None:
    file = no_lab.work / ".gpulab" / "progress" / "01-deploy-gpu-pod.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert HINTS[0] in hinted(no_lab)


def test_an_unknown_exercise_is_refused(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("hint", "99"))
    assert "99" in what
    assert "01-deploy-gpu-pod" in do


def test_no_hint_is_said_twice_in_one_exercise() -> None:
    for name in exercise_names(ROOT / "exercises"):
        hints = load_exercise(ROOT / "exercises" / name).settings.hints
        assert len(set(hints)) == len(hints)
