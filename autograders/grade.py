"""The whole way in one call: connect, collect, decide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from autograders.collect import Waiting, collect_settled
from autograders.connect import Api, connect
from autograders.load import Exercise
from autograders.model import Evidence, Report
from autograders.quiz import read_answers
from autograders.run import decide


def grade_live(
    exercise: Exercise,
    kubeconfig: Path | None,
    answers_file: Path,
    *,
    provider: str,
    versions: Mapping[str, str] | None = None,
    speed: float = 1.0,
    seed: str | None = None,
    api: Api | None = None,
    waiting: Waiting | None = None,
) -> Report:
    """Grade what the cluster shows now; pass an `api` to keep its connections between calls."""
    answers = read_answers(answers_file)
    if api is None:
        with connect(kubeconfig) as own:
            evidence = gather(own, exercise, provider, versions or {}, speed, seed, waiting)
    else:
        evidence = gather(api, exercise, provider, versions or {}, speed, seed, waiting)
    return decide(exercise, evidence, answers)


def gather(
    api: Api,
    exercise: Exercise,
    provider: str,
    versions: Mapping[str, str],
    speed: float = 1.0,
    seed: str | None = None,
    waiting: Waiting | None = None,
) -> Evidence:
    """Collect an Evidence that can be saved, and decided here or elsewhere."""
    phase = collect_settled(api, exercise, waiting=waiting)
    return Evidence(
        exercise=exercise.id,
        exercise_digest=exercise.digest,
        provider=provider,
        versions=dict(versions),
        seed=seed,
        speed=float(speed),
        collected_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        phases=(phase,),
    )
