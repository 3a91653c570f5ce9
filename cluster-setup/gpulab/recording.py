"""The solution as the grader saw it on a cluster, kept for proofs that need none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from autograders.errors import InputError
from autograders.load import Exercise, load_exercise
from autograders.model import Evidence
from gpulab.paths import home, private_dir
from gpulab.private import write_private


class Recording(msgspec.Struct, frozen=True):
    """The solution as the grader saw it; the offline part works on it."""

    inputs: str
    """SHA-256 of everything that made this state; checks may have changed since."""
    answers: dict[str, Any]
    """The solution's answers."""
    evidence: Evidence
    """What was collected."""


def inputs(exercise: Exercise) -> str:
    """SHA-256 over what makes the solution's state; not over what judges it."""
    made = [
        exercise.folder / name
        for name in ("exercise.toml", "setup.yaml", "variant.toml", "fleet.yaml")
    ]
    tried = {step.manifest for each in exercise.settings.probe for step in each.manifests}
    made += [exercise.folder / name for name in sorted(tried)]
    made += sorted((exercise.folder / "solution").iterdir())
    sum_ = hashlib.sha256()
    for path in (path for path in made if path.is_file()):
        sum_.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return sum_.hexdigest()


def recording_file(exercise: str) -> Path:
    return home() / "verify" / f"{exercise}.json"


def save(exercise: str, recording: Recording) -> None:
    private_dir(recording_file(exercise).parent)
    write_private(recording_file(exercise), msgspec.json.encode(recording))


def recorded(folder: Path) -> Recording:
    """What the last proof on a cluster recorded, unless the solution has changed since."""
    do = f"record it on a cluster: gpulab verify {folder.name}"
    try:
        found = msgspec.json.decode(recording_file(folder.name).read_bytes(), type=Recording)
    except FileNotFoundError:
        raise InputError(f"nothing is recorded of {folder.name}", do) from None
    except msgspec.MsgspecError as error:
        raise InputError(f"the recording of {folder.name} is damaged: {error}", do) from None
    if found.inputs != inputs(load_exercise(folder)):
        raise InputError(f"{folder.name} has another solution or setup than was recorded", do)
    return found
