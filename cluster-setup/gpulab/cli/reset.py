"""`gpulab reset`: an exercise from the start, or the lab's usual nodes."""

from __future__ import annotations

from autograders.errors import InputError
from gpulab.cli.lab import err, out

DEFAULT = "default"


def reset(text: str | None, name: str, *, answers: bool, lab: bool, yes: bool) -> None:
    """One of the two; what to do when neither or both are named."""
    if lab == bool(text):
        raise InputError("name an exercise, or --lab", "gpulab reset 01, or gpulab reset --lab")
    if text:
        return exercise(text, name, answers=answers)
    nodes(name, yes=yes)


def nodes(name: str, *, yes: bool) -> None:
    """Take away the nodes that an exercise brought along."""
    from gpulab import lab
    from gpulab.cli.nodes import replace

    paths, record = lab.existing(name)
    if record.fleet == DEFAULT:
        return out.print("The lab has its usual nodes.")
    replace(paths, record, DEFAULT, "reset --lab", yes=yes)
    out.print("The lab has its usual nodes again; start an exercise anew to go on with it.")


def exercise(text: str, name: str, *, answers: bool) -> None:
    """Delete what was made, give the starting state again; keep the answers unless told."""
    from gpulab import lab, own_nodes, probing, workspace
    from gpulab import reset as again
    from gpulab.cli.exercises import exercise_of

    one = exercise_of(text)
    paths, record = lab.existing(name)
    probing.mend(paths)
    own_nodes.expect(record, one)
    with err.status(f"Emptying namespace {one.namespace}"):
        again.reset(paths, one)
    file = workspace.answers_file(one.id)
    if answers:
        file.unlink(missing_ok=True)
    kept = file.exists()
    workspace.offer_answers(one)
    out.print(f"{one.title} is as it was at the start.", highlight=False)
    if kept:
        out.print(f"Your answers stay in {file}; --answers deletes them, too.", highlight=False)
