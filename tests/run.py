"""`make test`: lints first, then pytest, whose closing line is the last. Arguments go to pytest.

Two files of tests run at a time, since most tests wait for a lab; `-n 0` runs one after another.
On a busy machine a test of processes and deadlines may fail for no fault of the code, so a few that
failed beside others are run once more, alone, and named: what fails twice has failed.
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
FEW = 8  # more failures than these are no accident
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
    return tests(sys.argv[1:]) or int(not clean)


def tests(arguments: list[str]) -> int:
    """Run pytest; its exit code, or that of a second run of the few tests that failed."""
    failed: list[str] = []
    kind = Kind()
    two = ["-n", "2", "--dist", "loadfile"]
    plugins = [Failures(failed), kind]
    code = int(pytest.main(["-p", "tests.sampling", *two, *arguments], plugins=plugins))
    if kind.lacking():
        return code or 1
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= FEW:
        return code
    sys.stdout.write("\nFailed beside others; once more, alone:\n")
    sys.stdout.writelines(f"  {each}\n" for each in failed)
    sys.stdout.flush()
    again = [sys.executable, "-m", "pytest", "-p", "tests.sampling", *failed]
    again += ["--all"] * ("--all" in arguments)
    return subprocess.run(again, stdin=subprocess.DEVNULL, check=False).returncode


class Failures:
    """A pytest plugin that notes which tests failed."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self._found:
            self._found.append(report.nodeid)


class Kind:
    """A pytest plugin that counts the tests on a real kind cluster; CI insists on some."""

    def __init__(self) -> None:
        self.ran = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call" and not report.skipped and "kind" in report.keywords

    def lacking(self) -> bool:
        """Say how many there were; True where there had to be one."""
        sys.stdout.write(f"Tests on a kind cluster that ran: {self.ran}\n")
        sys.stdout.flush()
        return os.environ.get("GPULAB_KIND") == "required" and not self.ran


if __name__ == "__main__":
    sys.exit(main())
