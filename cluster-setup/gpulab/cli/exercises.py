"""`gpulab start` and `gpulab check`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from autograders.errors import InputError
from autograders.grade import grade_live
from autograders.load import Exercise, find_exercise, load_exercise
from gpulab.cli.lab import err, out
from gpulab.paths import ROOT

EXERCISES = ROOT / "exercises"


@dataclass(frozen=True)
class Target:
    """The cluster that is graded."""

    kubeconfig: Path | None
    provider: str
    speed: float = 1.0


def start(text: str, name: str) -> None:
    """Apply setup.yaml and lay an empty answers.toml in the learner's folder."""
    from gpulab import binaries, lab, workspace

    exercise = _exercise(text)
    paths, _ = lab.existing(name)
    kubectl = str(binaries.ensure()["kubectl"])
    setup = exercise.folder / "setup.yaml"
    done = subprocess.run(
        [kubectl, "--kubeconfig", str(paths.kubeconfig), "apply", "-f", str(setup)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["kubectl said nothing"])[-1]
        raise InputError(f"the starting state was not applied: {last}", "is it up? gpulab status")
    out.print(done.stdout.strip(), highlight=False)
    workspace.update()
    if file := workspace.offer_answers(exercise):
        out.print(f"Your answers go into {file}", highlight=False)
    out.print(f"{exercise.title}: work in namespace {exercise.namespace}; ", end="")
    out.print(f"gpulab check {exercise.short} grades it.")


def check(text: str, name: str, kubeconfig: Path | None, *, json: bool) -> int:
    """Grade and show; 0 for full marks."""
    from autograders import show
    from gpulab.workspace import answers_file

    exercise = _exercise(text)
    target = _target(name, kubeconfig)
    report = grade_live(
        exercise,
        target.kubeconfig,
        answers_file(exercise.id),
        provider=target.provider,
        speed=target.speed,
        waiting=lambda reason: err.print(f"[dim]waiting: {reason}[/]") if not json else None,
    )
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(show.json(report))).decode())  # noqa: T201
    else:
        out.print(show.text(report))
    return 0 if report.full_marks else 1


def _exercise(text: str) -> Exercise:
    return load_exercise(find_exercise(EXERCISES, text))


def _target(name: str, kubeconfig: Path | None) -> Target:
    """--kubeconfig, else the lab, else $KUBECONFIG."""
    from gpulab import lab
    from gpulab.paths import lab_paths

    if kubeconfig is not None:
        return Target(kubeconfig, "existing")
    paths = lab_paths(name)
    record = lab.read_record(paths)
    if record is not None:
        return Target(paths.grader_kubeconfig, record.provider, record.speed)
    if "KUBECONFIG" in os.environ:
        return Target(None, "existing")
    lab.existing(name)  # raises: there is no such lab
    raise AssertionError
