"""`gpulab reset`: an exercise from the start."""

from __future__ import annotations

from gpulab.cli.lab import err, out


def reset(text: str, name: str, *, answers: bool) -> None:
    """Delete what was made, give the starting state again; keep the answers unless told."""
    from gpulab import lab, own_nodes, probing, workspace
    from gpulab import reset as again
    from gpulab.cli.exercises import exercise_of

    exercise = exercise_of(text)
    paths, record = lab.existing(name)
    probing.mend(paths)
    own_nodes.expect(record, exercise)
    with err.status(f"Emptying namespace {exercise.namespace}"):
        said = again.reset(paths, exercise)
    out.print(said, highlight=False, markup=False)
    file = workspace.answers_file(exercise.id)
    if answers:
        file.unlink(missing_ok=True)
    kept = file.exists()
    workspace.offer_answers(exercise)
    out.print(f"{exercise.title} is as it was at the start.", highlight=False)
    if kept:
        out.print(f"Your answers stay in {file}; --answers deletes them, too.", highlight=False)
