"""Waiting with a deadline, and saying what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from autograders.errors import InputError


def eventually(missing: Callable[[], str | None], within: float, do: str) -> None:
    """Call `missing` until it returns None; after `within` seconds raise InputError.

    `missing` returns what is not there yet, in words; `do` says what a person can do then.
    """
    deadline, pause = time.monotonic() + within, 0.01
    while (seen := missing()) is not None:
        if time.monotonic() > deadline:
            raise InputError(f"after {within:.0f} s still {seen}", do)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
