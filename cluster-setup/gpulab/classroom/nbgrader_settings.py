"""nbgrader on a class's folder; its own steps that would run a submission are replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def configure(config: Any, root: str, name: str) -> None:
    """Fill nbgrader's settings, for its commands and for formgrader alike."""
    from nbgrader import preprocessors as steps

    from autograders.nbgrader import SaveVerdict
    from gpulab.classroom.folder import existing

    room = existing(Path(root))
    config.CourseDirectory.root = root
    config.CourseDirectory.course_id = name
    config.CourseDirectory.db_url = room.db_url
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__"]
    config.GenerateAssignment.preprocessors = [
        steps.LockCells,
        steps.ClearOutput,
        steps.CheckCellMetadata,
        steps.ComputeChecksums,
        steps.SaveCells,
        steps.CheckCellMetadata,
    ]
    config.Autograde.sanitize_preprocessors = [
        steps.ClearOutput,
        steps.DeduplicateIds,
        steps.OverwriteKernelspec,
        steps.OverwriteCells,
        steps.CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [SaveVerdict, steps.CheckCellMetadata]
    config.SaveVerdict.verdicts = str(room.verdicts)
    config.ExportPlugin.to = str(room.root / "grades.csv")
