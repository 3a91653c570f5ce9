"""`gpulab check --replay`: a submission, applied to a clean second lab and graded there.

Nothing of the learner's is run: kubectl applies the files, as a user who has only the rights that
the exercise names. The lab is removed at the end, however that comes.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from autograders.collect import Waiting
from autograders.connect import connect
from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Report
from autograders.run import decide
from gpulab import given, kubeconfig, kubectl, lab, lifecycle, own_nodes, pki, trial
from gpulab.grants import Grant, granted
from gpulab.lab import Record, Wanted
from gpulab.paths import LabPaths, lab_paths
from gpulab.ports import LOOPBACK
from gpulab.reserved import reserve
from gpulab.submission import Submission, read
from gpulab.trial import Bench
from gpulab.workspace import answers_file

USER = "gpulab-replay"
SPEED = 20.0
"""Of the second lab; the report shows it."""
SECONDS = 300.0
"""For all of the submission's lines together."""


def replay(exercise: Exercise, name: str, seed: str | None, waiting: Waiting) -> Report:
    """Grade the learner's files; a line that the cluster refuses is told, and the next one runs."""
    with tempfile.TemporaryDirectory(prefix="gpulab-") as made:
        submission = read(exercise, answers_file(exercise.id).parent, Path(made))
        waiting("a clean lab")
        with second_lab(name, own_nodes.fleet_of(exercise)) as (paths, record):
            waiting("your files to be applied")
            return graded(paths, record, exercise, seed, submission, Path(made))


def graded(
    paths: LabPaths,
    record: Record,
    exercise: Exercise,
    seed: str | None,
    submission: Submission,
    folder: Path,
) -> Report:
    """Give what every learner is given, apply, try, collect, decide."""
    with (
        connect(paths.grader_kubeconfig) as api,
        connect(paths.admin_kubeconfig, read_only=False) as admin,
    ):
        given.begin(paths, exercise)
        reserve(admin, USER)
        with granted(admin, [Grant(USER, exercise.settings.allow, exercise.namespace)]):
            refused = tuple(applied(paths, record, submission, folder))
        bench = Bench(paths, record, exercise, api, admin, seed)
        evidence = trial.evidence_of(bench, submission.answers)
    report = decide(exercise, evidence, submission.answers)
    return replace(report, warnings=(*report.warnings, *refused))


def applied(paths: LabPaths, record: Record, submission: Submission, folder: Path) -> Iterator[str]:
    """Run the lines; what did not work, in kubectl's words."""
    identity, deadline = identified(paths, record), time.monotonic() + SECONDS
    for line in submission.steps:
        if time.monotonic() > deadline:
            yield f"replay: after {SECONDS:.0f} s the lines from kubectl {' '.join(line)} are left"
            return
        if said := failure(identity, line, folder):
            yield f"replay: kubectl {' '.join(line)}: {said}"


def failure(identity: Path, line: Sequence[str], folder: Path) -> str:
    """Empty when the line was done; no file, program or setting of this user has a part in it."""
    env = {"HOME": str(folder), "PATH": "", "KUBERC": "off"}
    try:
        done = kubectl.run(identity, *line, folder=folder, env=env)
    except InputError as error:
        return error.what
    return kubectl.last_line(done) if done.returncode else ""


def identified(paths: LabPaths, record: Record) -> Path:
    """A kubeconfig of the user whose rights are the exercise's rules."""
    pair = pki.make_client(paths.cluster_pki, paths.pki, USER)
    path = paths.root / "replay.kubeconfig"
    server = f"https://{LOOPBACK}:{record.ports['kube-apiserver']}"
    ca = paths.cluster_pki / "ca.crt"
    kubeconfig.write(path, lab=paths.name, user=USER, server=server, ca=ca, pair=pair)
    return path


@contextmanager
def second_lab(first: str, fleet: str) -> Iterator[tuple[LabPaths, Record]]:
    """A lab for one replay, named after the learner's; removed at the end."""
    stem = f"{first[:24].strip('-')}-replay"
    sweep(stem)
    paths = lab_paths(f"{stem}-{os.getpid()}")
    try:
        yield paths, lifecycle.up(paths, Wanted(fleet, SPEED), lasting=False)
    finally:
        remove(paths)


def sweep(stem: str) -> None:
    """Remove what replays that were killed have left."""
    for name in lab.names():
        found = re.fullmatch(rf"{re.escape(stem)}-(\d+)", name)
        if found and not psutil.pid_exists(int(found[1])):
            remove(lab_paths(name))


def remove(paths: LabPaths) -> None:
    """Remove a lab; an impatient second Ctrl-C does not leave half of it running."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [(each, signal.signal(each, signal.SIG_IGN)) for each in signals]
    try:
        lifecycle.down(paths, delete=True)
    finally:
        for each, handler in before:
            signal.signal(each, handler)
