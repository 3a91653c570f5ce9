"""Graders that need no more than a kubeconfig: read the cluster, decide, say why."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
# Imported when they are used: `gpulab --help` needs none but the errors.
_MODULES = {
    "Exercise": "load",
    "InputError": "errors",
    "Report": "model",
    "decide": "run",
    "find_exercise": "load",
    "gather": "grade",
    "grade_live": "grade",
    "load_exercise": "load",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
