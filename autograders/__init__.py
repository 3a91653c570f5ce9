"""Graders that need no more than a kubeconfig: read the cluster, decide, say why."""

from autograders.errors import InputError
from autograders.grade import gather, grade_live
from autograders.load import Exercise, find_exercise, load_exercise
from autograders.model import Report
from autograders.run import decide

__all__ = [
    "Exercise",
    "InputError",
    "Report",
    "decide",
    "find_exercise",
    "gather",
    "grade_live",
    "load_exercise",
]
