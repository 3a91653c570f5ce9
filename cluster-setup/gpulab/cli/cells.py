"""`gpulab cells`: what an author runs after changing checks, points or questions."""

from __future__ import annotations

from autograders import cells
from autograders.load import exercise_names, find_exercise, load_exercise
from gpulab.cli.lab import out
from gpulab.paths import ROOT


def write(text: str | None) -> None:
    """Put notebooks in step with checks and quiz, and say which changed."""
    root = ROOT / "exercises"
    folders = (
        [find_exercise(root, text)] if text else [root / each for each in exercise_names(root)]
    )
    for folder in folders:
        changed = cells.write(load_exercise(folder))
        said = "written" if changed else "in step"
        out.print(f"{folder.name}/{cells.NOTEBOOK}: {said}", highlight=False)
