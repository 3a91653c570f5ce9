"""Solutions as `gpulab verify` recorded them on Kubernetes 1.36.3, for tests without a cluster."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from autograders.load import Exercise, load_exercise
from autograders.model import Evidence, Report
from autograders.run import decide
from gpulab.paths import ROOT
from gpulab.recording import Recording

FOLDER = Path(__file__).parent / "evidence"
RECORDED = tuple(sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.json*")))


def recording(exercise: str) -> Recording:
    """To record anew: run `gpulab verify`, then copy its file from $GPULAB_HOME/verify/.

    One that is large lies there as `gzip --best --no-name` packs it.
    """
    plain, packed = FOLDER / f"{exercise}.json", FOLDER / f"{exercise}.json.gz"
    data = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
    return msgspec.json.decode(data, type=Recording)


def recorded(exercise: str) -> tuple[Exercise, Evidence, Mapping[str, Any]]:
    """The exercise as it is now, with the values, evidence and answers of its recording."""
    found = recording(exercise)
    values = dict(found.evidence.variant)
    return load_exercise(ROOT / "exercises" / exercise, values), found.evidence, found.answers


def failures(report: Report) -> set[str]:
    every = (*report.guards, *report.results)
    return {each.name for each in every if each.outcome.value != "passed"}


def graded(exercise: str) -> Report:
    found, evidence, answers = recorded(exercise)
    return decide(found, evidence, answers)
