"""`gpulab reset`: an exercise from the start, or the lab's usual nodes."""

from __future__ import annotations

from autograders.errors import InputError
from gpulab.cli.lab import err, out
from gpulab.lab import Record
from gpulab.paths import LabPaths
from gpulab.providers import EXISTING

DEFAULT = "default"


def reset(text: str | None, name: str, *, answers: bool, lab: bool, yes: bool) -> None:
    """One of the two; what to do when neither or both are named."""
    if lab == bool(text):
        raise InputError("name an exercise, or --lab", "gpulab reset 01, or gpulab reset --lab")
    if text:
        return exercise(text, name, answers=answers)
    nodes(name, yes=yes)


def nodes(name: str, *, yes: bool) -> None:
    """Say what would be lost, ask, and make the lab what it was when it was new."""
    from autograders.connect import connect
    from gpulab import baseline, faults, lab, lab_reset
    from gpulab.cli.checkpoint import agree

    paths, record = lab.existing(name)
    base = baseline.read(paths)
    if base is None:
        return only_nodes(paths, record, yes=yes)
    swaps = record.fleet != base.fleet
    lost = ["the nodes that an exercise brought, with every Pod on them"] * swaps
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        found = baseline.everything(api)
    lost += baseline.compared(found, base, nodes=not swaps).lines()
    lost += [f"fault {each.fault} on {each.where}" for each in faults.active(paths)]
    if not lost:
        return out.print("The lab has its usual nodes, and nothing but what it had at first.")
    if not yes:
        agree("This is undone:", lost, "gpulab reset --lab --yes", "Put the lab back?")
    with err.status("Putting the lab back"):
        faults.heal(paths, None, None)
        lab_reset.restore(paths, record, base)
    out.print(
        "The lab is as it was when it was made, with its usual nodes; start an exercise anew."
    )


def only_nodes(paths: LabPaths, record: Record, *, yes: bool) -> None:
    """Of a lab that an earlier version made, nobody knows what else it had."""
    from gpulab.cli.nodes import replace

    if record.fleet == DEFAULT or record.provider == EXISTING:
        return out.print("The lab has its usual nodes.")
    replace(paths, record, DEFAULT, "reset --lab", yes=yes)
    out.print("The lab has its usual nodes again; start an exercise anew to go on with it.")


def exercise(text: str, name: str, *, answers: bool) -> None:
    """Delete what was made, give the starting state again; keep the answers unless told."""
    from gpulab import lab, own_nodes, probing, workspace
    from gpulab import reset as again
    from gpulab.cli.exercises import Target, exercise_on

    paths, record = lab.existing(name)
    one = exercise_on(text, Target(paths.grader_kubeconfig, record.provider))
    if record.provider == EXISTING:
        again.refuse_beyond(one)
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
