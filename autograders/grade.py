"""The whole way in one call: connect, collect, decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from autograders.collect import Waiting, collect_settled
from autograders.connect import Api, connect
from autograders.load import Exercise
from autograders.model import Evidence, Phase, Probe, Report
from autograders.observe import observe
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
    before: tuple[Phase, ...] = (),
    probes: Mapping[str, Probe] | None = None,
) -> Report:
    """Grade what the cluster shows now; pass an `api` to keep its connections between calls."""
    answers = read_answers(answers_file)
    known = (exercise, provider, versions or {}, speed, seed, waiting, before, probes)
    if api is None:
        with connect(kubeconfig) as own:
            evidence = gather(own, *known)
    else:
        evidence = gather(api, *known)
    return decide(exercise, evidence, answers)


def gather(
    api: Api,
    exercise: Exercise,
    provider: str,
    versions: Mapping[str, str],
    speed: float = 1.0,
    seed: str | None = None,
    waiting: Waiting | None = None,
    before: tuple[Phase, ...] = (),
    probes: Mapping[str, Probe] | None = None,
) -> Evidence:
    """Collect an Evidence that can be saved, and decided here or elsewhere.

    `before` are phases that were collected earlier, such as `as-found`; `probes` is what was tried
    just before, by somebody who may do more than read.
    """
    phase = observe(api, exercise, collect_settled(api, exercise, waiting=waiting))
    phase = replace(phase, probes=dict(probes or {}))
    return Evidence(
        exercise=exercise.id,
        exercise_digest=exercise.digest,
        provider=provider,
        versions=dict(versions),
        seed=seed,
        speed=float(speed),
        collected_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        phases=(*before, phase),
        variant=dict(exercise.variant),
    )
