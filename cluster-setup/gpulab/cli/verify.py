"""`gpulab verify`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from autograders.errors import InputError
from autograders.load import Exercise, exercise_names, find_exercise
from autograders.proof import Case, Kind, Proof
from gpulab.cli.lab import err
from gpulab.paths import ROOT
from gpulab.providers import EMBEDDED, EXISTING

EXERCISES = ROOT / "exercises"
OFFLINE = (Kind.MUTANT, Kind.EQUIVALENT, Kind.DELETED)


def verify(
    text: str | None,
    report: Path | None,
    *,
    offline: bool,
    seed: str,
    name: str | None,
    provider: str | None,
    json: bool,
) -> int:
    """Prove one exercise, or all; 0 only if everything is proven."""
    import msgspec

    from gpulab import proofs

    folders = [find_exercise(EXERCISES, text)] if text else every()
    found = list(recorded(folders) if offline else tried(folders, seed, name, provider))
    if report is not None:
        proofs.write(found, report)
    if json:
        print(msgspec.json.format(msgspec.json.encode(proofs.data(found))).decode())  # noqa: T201
    else:
        print(proofs.text(found))  # noqa: T201 (columns; Rich would wrap them)
    return 0 if all(proof.proven for proof in found) else 1


def every() -> list[Path]:
    return [EXERCISES / name for name in exercise_names(EXERCISES)]


def recorded(folders: list[Path]) -> Iterator[Proof]:
    from gpulab.verify import prove_recorded

    return (prove_recorded(folder, told) for folder in folders)


def tried(
    folders: list[Path], seed: str, name: str | None, provider: str | None
) -> Iterator[Proof]:
    """One lab for all exercises with the same fleet; SIGTERM, too, lets it be removed."""
    from gpulab.own_nodes import fleet_of
    from gpulab.verify import drawn, prove_all

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if provider == EXISTING:
        raise InputError("a proof needs nodes of its own", "leave --provider out, or name kind")
    fleets: dict[str, list[tuple[Exercise, str | None]]] = {}
    for exercise, number in (drawn(folder, seed) for folder in folders):
        fleets.setdefault(fleet_of(exercise), []).append((exercise, number))
    return prove_all(fleets, name, told, provider or EMBEDDED)


def told(exercise: Exercise, case: Case) -> None:
    """Say what takes its time, and whatever is wrong."""
    if case.fault or case.kind not in OFFLINE:
        mark = "[red]✗[/]" if case.fault else "✓"
        about = f"{exercise.short} {case.kind}: {case.name} ({case.seconds:.1f} s) {case.fault}"
        err.print(f"{mark} {escape(about)}", highlight=False)
