"""The one module that knows nbgrader: verdicts become rows of its gradebook.

`nbgrader_config.py` names it. A submission is never executed and its cells are never asked for a
mark: nbgrader itself gives full points to a cell that printed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from autograders import cells, verdicts


class SaveVerdict(NbGraderPreprocessor):
    """Stands in `autograde` in place of Execute and SaveAutoGrades."""

    verdicts = Unicode(help="The folder of the verdicts.").tag(config=True)

    def preprocess(self, nb: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Write a mark for every row, whatever cells the submission still has."""
        names = resources["nbgrader"]
        exercise, learner = names["assignment"], names["student"]
        report = verdicts.read(Path(self.verdicts), exercise, learner)
        points = cells.marks(report) if report else {}
        with Gradebook(names["db_url"]) as gradebook:
            found = gradebook.find_submission_notebook(names["notebook"], exercise, learner)
            for grade in found.grades:
                fill(grade, points)
            gradebook.db.commit()
        return nb, resources


def fill(grade: Any, points: Mapping[str, float | None]) -> None:
    """Without points a person must look; one who has marked it before is asked again."""
    earned = points.get(grade.name)
    if earned is not None and earned > grade.max_score:
        what = f"the verdict has {earned} points for {grade.name}, of {grade.max_score}"
        raise ValueError(f"{what}: run generate_assignment again, then grade again")
    grade.auto_score = earned
    grade.needs_manual_grade = earned is None or grade.manual_score is not None
