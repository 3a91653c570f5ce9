"""From collected files to marks in gradebook.db: `gpulab grade` beside nbgrader's own autograde.

As many learners as runs, on exercise 2, a third of them wrong. nbgrader is as it comes, in one and
in two warm processes; its notebooks make the same live checks, each process on a lab of its own
that is there already, or none at all.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from gpulab import binaries
from gpulab.classroom import folder as folders
from gpulab.classroom import release
from gpulab.classroom.folder import Classroom
from tests import hostile
from tests.bench.measure import GPULAB, Row, command, surroundings, timed
from tests.hostile import SECOND, Case

NBGRADER = str(Path(sys.executable).with_name("nbgrader"))
TIMES = 5
"""How many times faster than the better of one and two processes it must be."""
NO_CHECKS = "sum(range(10))"


@dataclass(frozen=True)
class Plain:
    """A course of nbgrader as it comes."""

    root: Path
    env: dict[str, str]

    def run(self, *words: str) -> None:
        done = subprocess.run(
            [NBGRADER, *words],
            env=self.env,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])


def measure(folder: Path, runs: int) -> list[Row]:
    """Marks must be the same on both sides."""
    learners = [f"learner{number:03}" for number in range(runs)]
    env = surroundings(folder) | {"GPULAB_CLASS": str(folder / "room")}
    env["PATH"] = f"{Path(GPULAB).parent}{os.pathsep}{os.environ['PATH']}"
    room = made(folder, learners, env)
    ours = timed(lambda: command([GPULAB, "grade"], env, seconds=1800))
    marks = {name: row["score"] for name, row in exported(env).items()}
    theirs = {count: plainly(folder, room, learners, env, count, marks) for count in (1, 2)}
    without = plainly(folder, room, learners, env, 2, None)
    best = min(theirs.values())
    said = ", ".join(f"{count} process: {each / runs:.2f}" for count, each in theirs.items())
    show_stages(room)
    return [
        row("class, per hand-in", ours / runs, best / TIMES / runs, f"{said}; {best / ours:.1f} x"),
        row("the same, nbgrader without live checks", ours / runs, without / runs, "2 processes"),
        row("of it, once the clusters stand", marginal(room), best / TIMES / runs, ""),
    ]


def row(name: str, value: float, limit: float, reference: str) -> Row:
    return Row(name, value, value, limit, "s", reference)


def marginal(room: Classroom) -> float:
    """Seconds of one cluster for one hand-in, halved: two work at a time."""
    return statistics.mean(sum(each.values()) - each["prepare"] for each in stages(room)) / 2


def stages(room: Classroom) -> list[dict[str, float]]:
    files = sorted(room.verdicts.glob("*/*.json"))
    return [json.loads(each.read_bytes())["verdict"]["seconds"] for each in files]


def show_stages(room: Classroom) -> None:
    total: dict[str, float] = defaultdict(float)
    for each in stages(room):
        for name, seconds in each.items():
            total[name] += seconds
    every = sum(total.values())
    shares = (f"{name} {seconds / every:.0%}" for name, seconds in total.items())
    print("class, where the time goes:", ", ".join(shares))


def made(folder: Path, learners: list[str], env: dict[str, str]) -> Classroom:
    """A class with everybody's zip collected."""
    command([GPULAB, "class", "init", "--name", "bench"], env)
    (folder / "roster.csv").write_text("id\n" + "\n".join(learners) + "\n")
    command([GPULAB, "roster", "import", str(folder / "roster.csv")], env)
    command([GPULAB, "release", "02"], env)
    room, zips = folders.existing(folder / "room"), folder / "zips"
    zips.mkdir()
    for number, name in enumerate(learners):
        hostile.hand_in(room, answer(number, name), name, zips)
    command([GPULAB, "collect", str(zips)], env)
    return room


def answer(number: int, learner: str) -> Case:
    wrong: dict[str, Any] = {} if number % 3 else {"container": {"resources": {}}}
    return Case("", "", values_of=learner, **wrong)


def exported(env: dict[str, str]) -> dict[str, dict[str, str]]:
    text = command([GPULAB, "export"], env)
    return {each["id"]: each for each in csv.DictReader(text.splitlines())}


def plainly(
    folder: Path,
    room: Classroom,
    learners: list[str],
    env: dict[str, str],
    processes: int,
    marks: dict[str, str] | None,
) -> float:
    """Seconds of `nbgrader autograde`; with marks, on live clusters, and the marks must agree."""
    root = folder / f"plain-{processes}-{marks is None}"
    course = Plain(root, env | {"GPULAB_HOME": str(folder / "plain-home")})
    source = root / "source" / SECOND
    source.mkdir(parents=True)
    (source / "exercise.ipynb").write_text(notebook("", CHECK if marks else NO_CHECKS))
    course.run("generate_assignment", SECOND)
    labs = [f"plain-{number}" for number in range(processes)] if marks else []
    for number, name in enumerate(learners):
        lab = labs[number % processes] if marks else ""
        hand_in(course, room, name, number, lab)
    try:
        for each in labs:
            command([GPULAB, "up", "--name", each, "--speed", "20"], course.env)
        seconds = timed(lambda: autograde(course, learners, processes))
    finally:
        for each in labs:
            command([GPULAB, "down", "--delete", "--name", each], course.env)
    if marks:
        expect_same(course, marks)
    return seconds


def autograde(course: Plain, learners: list[str], processes: int) -> None:
    """A process takes every second learner, as their labs are laid out."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS, SECOND, *part],
            cwd=course.root,
            env=course.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in (learners[number::processes] for number in range(processes))
    ]
    for each in running:
        _, said = each.communicate(timeout=1800)
        if each.returncode:
            raise RuntimeError(said[-2000:])


ONE_PROCESS = """
import sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
config = Config()
config.Execute.timeout = 300
api = NbGraderAPI(config=config)
for name in sys.argv[2:]:
    done = api.autograde(sys.argv[1], name)
    assert done["success"], done
"""
"""A warm process over its share: faster than a command for each."""


def hand_in(course: Plain, room: Classroom, learner: str, number: int, lab: str) -> None:
    """The learner's notebook, which does on the lab what gpulab replays."""
    place = course.root / "submitted" / learner / SECOND
    place.mkdir(parents=True)
    if not lab:
        (place / "exercise.ipynb").write_text(notebook("", NO_CHECKS))
        return
    work = course.root / "work" / learner / "exercises" / SECOND
    work.mkdir(parents=True)
    for name, data in hostile.contents(room, answer(number, learner), learner).items():
        (work / name).write_bytes(data)
    values = release.drawn_for(room, SECOND, learner)
    (work / "variant.toml").write_text(tomli_w.dumps(values or {}))
    (place / "exercise.ipynb").write_text(notebook(doing(course, work, lab), CHECK))


def doing(course: Plain, work: Path, lab: str) -> str:
    """What the learner's first cell does."""
    kubectl, home = binaries.ensure()["kubectl"], Path(course.env["GPULAB_HOME"])
    config = home / "labs" / lab / "kubeconfig"
    lines = (work / "commands.sh").read_text().splitlines()
    done = [each.replace("kubectl ", f"{kubectl} --kubeconfig {config} ", 1) for each in lines]
    return "\n".join(
        [
            "import json, os, subprocess",
            f"os.environ['GPULAB_WORK'] = {str(work.parents[1])!r}",
            f"os.environ['GPULAB_NAME'] = {lab!r}",
            f"subprocess.run([{GPULAB!r}, 'reset', '02'], check=True, capture_output=True)",
            *(
                f"subprocess.run({each!r}, shell=True, cwd={str(work)!r}, capture_output=True)"
                for each in done
            ),
        ]
    )


CHECK = (
    f"float(json.loads(subprocess.run([{GPULAB!r}, 'check', '02', '--json'],"
    " capture_output=True, text=True).stdout)['score'])"
)


def notebook(first: str, check: str) -> str:
    """Two cells: what the learner does, and one that is graded."""
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    grade = {"grade": True, "grade_id": "check", "locked": True, "points": 10, "task": False}
    grade |= {"solution": False, "schema_version": 3, "cell_type": "code"}
    cells = [
        {**code, "id": "a", "source": first, "metadata": {}},
        {**code, "id": "b", "source": check, "metadata": {"nbgrader": grade}},
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole)


def expect_same(course: Plain, marks: dict[str, str]) -> None:
    query = """select student_id, auto_score from grade join submitted_notebook on
        submitted_notebook.id = grade.notebook_id join submitted_assignment on
        submitted_assignment.id = submitted_notebook.assignment_id"""
    with closing(sqlite3.connect(course.root / "gradebook.db")) as book:
        found = {name: f"{score:g}" for name, score in book.execute(query)}
    if found != marks:
        raise RuntimeError(f"marks differ: {found} and {marks}")
