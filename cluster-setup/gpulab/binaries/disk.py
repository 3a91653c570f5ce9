"""Refuse early what a full disk would end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from autograders.errors import InputError


def check(folders: Iterable[Path], gib: int, what: str, variables: str) -> None:
    """Raise InputError if a folder has less than `gib` GiB free; `what` needs them."""
    for folder in folders:
        existing = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(existing).free / 2**30
        if free < gib:
            raise InputError(
                f"{existing} has {free:.1f} GiB free; {what} needs {gib} GiB",
                f"free some space, or point {variables} to a larger disk",
            )
