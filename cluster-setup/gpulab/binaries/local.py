"""Fills the cache from a folder of this machine: no network, no Go."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from autograders.errors import InputError
from gpulab.binaries.cache import Cache
from gpulab.versions import Group

ASK = {"kubectl": ("version", "--client"), "etcdctl": ("version",), "etcdutl": ("version",)}
SECONDS = 20.0  # a cold disk


def fill(cache: Cache, missing: Mapping[str, Group], folder: Path) -> None:
    """Copy what is missing; InputError if it is not there, or has another version."""
    for name, group in missing.items():
        cache.fill(name, group, partial(_copy, folder))


def _copy(folder: Path, name: str, group: Group, target: Path) -> None:
    for program in group.programs:
        found = next(_candidates(folder, program), None)
        if found is None:
            raise InputError(
                f"{folder} holds no {program}",
                f"put {', '.join(group.programs)} of {name} {group.version} there, or in folders "
                "there, and make them executable",
            )
        _expect(found, program, group.version)
        shutil.copyfile(found, target / program)
        (target / program).chmod(0o700)


def _candidates(folder: Path, program: str) -> Iterator[Path]:
    """Where it may lie: in the folder, or one below, as in the cache of another machine."""
    paths = [folder / program, *sorted(folder.glob(f"*/{program}"))]
    return (path for path in paths if path.is_file() and os.access(path, os.X_OK))


def _expect(path: Path, program: str, version: str) -> None:
    do = f"take the one of version {version} for this machine"
    command = [str(path), *ASK.get(program, ("--version",))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path} cannot be run: {error}", do) from None
    if version not in done.stdout:
        said = (done.stdout or done.stderr).strip().partition("\n")[0]
        raise InputError(f"{path} says {said[:80]!r}, not version {version}", do)
