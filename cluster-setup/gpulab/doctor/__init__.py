"""What the lab, the course and the tests need of a machine, and whether it is there.

Nothing is changed and nothing is made: `gpulab doctor` may run before everything else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpulab.doctor import desk, kernel, programs, python, room
from gpulab.doctor.line import Line
from gpulab.versions import versions

THEMES = (python, programs, room, kernel, desk)


def examine(root: Path = Path("/")) -> list[Line]:
    """All lines, in a fixed order. `root` is where /proc and /sys are."""
    versions()  # msgspec crashes where two threads are the first to use a type
    with ThreadPoolExecutor() as pool:  # some ask programs that take a second to answer
        return [line for lines in pool.map(lambda each: each.lines(root), THEMES) for line in lines]
