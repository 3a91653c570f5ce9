"""`gpulab hint`: one hint at a time; how far you are is kept in your folder."""

from __future__ import annotations

from gpulab.cli.lab import out


def hint(text: str, *, more: bool) -> None:
    """Show the latest hint that was seen, or one more."""
    from gpulab import progress
    from gpulab.cli.exercises import exercise_of

    exercise = exercise_of(text)
    hints = exercise.settings.hints
    seen = progress.read(exercise.id).hints
    number = min(max(seen + 1 if more else seen, 1), len(hints))
    if number != seen:
        progress.keep_hints(exercise.id, number)
    last = number == len(hints)
    asked_too_often = more and seen >= len(hints)
    if asked_too_often:
        out.print("There are no more hints; the last one is nearly the answer:")
    out.print(f"Hint {number} of {len(hints)}: {hints[number - 1]}", markup=False, highlight=False)
    after = f"gpulab check {exercise.short}" if last else f"gpulab hint {exercise.short} --more"
    out.print(f"{'Then' if last else 'The next one'}: {after}", highlight=False)
