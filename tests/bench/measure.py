"""Timings in seconds, interleaved with their reference, shown as one table."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

GPULAB = str(Path(sys.executable).with_name("gpulab"))


@dataclass(frozen=True)
class Row:
    """One promise: what was measured, against which limit."""

    name: str
    median: float
    worst: float
    limit: float
    unit: str
    reference: str = ""


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleave(
    works: Mapping[str, Callable[[], object]],
    runs: int,
    after: Mapping[str, Callable[[], object]],
) -> dict[str, list[float]]:
    """Run the works in turn, `runs` times; `after` undoes each, untimed."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            times[name].append(timed(work))
            after[name]()
    return times


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def command(
    arguments: Sequence[str],
    env: Mapping[str, str],
    ok: Sequence[int] = (0,),
    seconds: float = 300,
) -> str:
    done = subprocess.run(
        arguments, env=dict(env), capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode not in ok:
        raise RuntimeError(f"{arguments} exited with {done.returncode}: {done.stderr}")
    return done.stdout


def surroundings(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("GPULAB_NAME", "KUBECONFIG")}
    return kept | {"GPULAB_HOME": str(folder / "home"), "GPULAB_WORK": str(folder / "work")}


def versus(name: str, ours: list[float], theirs: list[float], extra: float) -> Row:
    """Ours may take the reference's median plus `extra` seconds."""
    base = statistics.median(theirs)
    return Row(
        name,
        statistics.median(ours),
        max(ours),
        base + extra,
        "s",
        f"reference {base:.2f} s, ratio {statistics.median(ours) / base:.2f}",
    )


def show(rows: Sequence[Row], runs: int) -> None:
    console = Console(width=130)
    table = Table("measured", "median", "worst", "limit", "", "reference", box=None)
    for row in rows:
        verdict = "ok" if row.median <= row.limit else "[red]OVER[/]"
        figures = (f"{value:.3f} {row.unit}" for value in (row.median, row.worst, row.limit))
        table.add_row(row.name, *figures, verdict, row.reference)
    console.print(table)
    cores, load = os.cpu_count(), os.getloadavg()[0]
    console.print(f"{runs} runs; {platform.system()} {platform.machine()}, {cores} cores", end="")
    console.print(f", load {load:.1f}, Python {platform.python_version()}")
