"""Waiting with a deadline, and saying what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from autograders.errors import InputError

REST = 2  # pauses per look: a look at 1,000 nodes keeps the API server from their controllers


def eventually(
    missing: Callable[[], str | None], within: float, do: str, *, rest: float = REST
) -> None:
    """Call `missing` until it returns None; after `within` seconds raise InputError.

    `missing` returns what is not there yet, in words; `do` says what a person can do then.
    Between two looks it rests for `rest` times as long as a look takes.
    """
    began, pause = time.monotonic(), 0.01
    deadline = began + within
    while (seen := missing()) is not None:
        now = time.monotonic()
        if now > deadline:
            raise InputError(f"after {within:.0f} s still {seen}", do)
        time.sleep(max(pause, rest * (now - began)))
        pause, began = min(pause * 1.5, 0.1), time.monotonic()
