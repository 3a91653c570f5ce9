"""`make bench`: measure what the project promises, beside a reference of the same run.

python -m tests.bench [start] [checkpoint] [healing] [reset] [operator] [mig] [pods] [grade]
                      [verdicts] [memory] [faults] [metrics] [scale] [verify] [kind] [class]
                      [--runs 7]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench import (
    checkpoint,
    classroom,
    faults,
    grade,
    healing,
    kind,
    memory,
    metrics,
    mig,
    operator,
    pods,
    reset,
    scale,
    start,
    verdicts,
)
from tests.bench.measure import Row, show

BENCHMARKS = {
    "start": start.measure,
    "checkpoint": checkpoint.measure,
    "healing": healing.measure,
    "reset": reset.measure,
    "operator": operator.measure,
    "mig": mig.measure,
    "pods": pods.measure,
    "grade": grade.measure,
    "verdicts": verdicts.measure,
    "memory": memory.measure,
}
LARGE = {
    "class": classroom.measure,
    "faults": faults.measure,
    "metrics": metrics.measure,
    "kind": kind.measure,
    "scale": scale.measure,
    "verify": verdicts.verify,
}  # minutes each: only when named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    everything = BENCHMARKS | LARGE
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(everything)}")
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - everything.keys():
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(everything)}")
    rows: list[Row] = []
    for name in chosen.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder:
            rows += everything[name](Path(folder), chosen.runs)
    show(rows, chosen.runs)


main()
