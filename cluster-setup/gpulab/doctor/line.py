"""One line of `gpulab doctor`."""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True):
    """What was looked at, what was found, and what to do about it."""

    name: str
    ok: bool
    needed: bool
    """Whether the lab or the course cannot do without."""
    use: str
    """What it is for."""
    found: str
    do: str
    """What to do if it is not ok; also said to a program, so never empty."""
