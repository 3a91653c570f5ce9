"""Every command, in the order of `gpulab --help`. What one does is imported when it runs."""

from __future__ import annotations

from gpulab.cli import lab_commands  # isort: skip
from gpulab.cli import exercise_commands  # isort: skip
from gpulab.cli import classroom_commands  # isort: skip
from gpulab.cli.root import app

__all__ = ["app", "classroom_commands", "exercise_commands", "lab_commands"]
