"""`make test`: lints first, then pytest, whose closing line is the last. Arguments go to pytest.

Two files of tests run at a time, since most tests wait for a lab; `-n 0` runs one after another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpulab import binaries

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
NOTEBOOKS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("course/*.ipynb", "exercises/*/*.ipynb")
    for path in ROOT.glob(pattern)
)
LINTS = {
    "ruff check": ["ruff", "check", "--quiet"],
    "ruff format": ["ruff", "format", "--check", "--quiet"],
    "mypy": ["mypy", "-p", "autograders", "-p", "gpulab", "--no-error-summary"],
    "lint-imports": ["lint-imports", "--no-logo"],
    "nbstripout": ["nbstripout", "--verify", *NOTEBOOKS],
}


@dataclass(frozen=True)
class Outcome:
    """How one lint ended."""

    passed: bool
    seconds: float
    output: str


def lint(command: list[str]) -> Outcome:
    began = time.monotonic()
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(done.returncode == 0, time.monotonic() - began, done.stdout)


def lints() -> bool:
    """Run all lints side by side and show them in order; True if all passed."""
    with ThreadPoolExecutor() as pool:
        outcomes = list(zip(LINTS, pool.map(lint, LINTS.values()), strict=True))
    for name, outcome in outcomes:
        mark = "✓" if outcome.passed else "✗"
        sys.stdout.write(f"{mark} {name:<13}{outcome.seconds:5.1f} s\n")
        if not outcome.passed:
            sys.stdout.write(f"{outcome.output.rstrip()}\n")
    sys.stdout.flush()
    return all(outcome.passed for _, outcome in outcomes)


def main() -> int:
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)  # instead of tests/, where a file could hide a package of that name
    clean = lints()
    binaries.ensure()  # before the first test that needs them, whose deadline is shorter
    two = ["-n", "2", "--dist", "loadfile"]
    code = int(pytest.main(["-p", "tests.sampling", *two, *sys.argv[1:]]))
    return code or int(not clean)


if __name__ == "__main__":
    sys.exit(main())
