"""`make bench`: measure what the project promises, beside a reference of the same run.

python -m tests.bench [start] [grade] [memory] [--runs 7]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench import grade, memory, start
from tests.bench.measure import Row, show

BENCHMARKS = {"start": start.measure, "grade": grade.measure, "memory": memory.measure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in chosen.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder:
            rows += BENCHMARKS[name](Path(folder), chosen.runs)
    show(rows, chosen.runs)


main()
