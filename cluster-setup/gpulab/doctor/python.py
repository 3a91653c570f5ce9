"""Python and its packages."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from gpulab.doctor.line import Line
from gpulab.paths import ROOT
from gpulab.versions import versions

LOCK = ROOT / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+))? \\$", re.MULTILINE)


def lines(root: Path) -> list[Line]:
    return [interpreter(sys.version_info[:2]), packages(LOCK)]


def interpreter(version: tuple[int, ...]) -> Line:
    wanted = versions().python.version
    return Line(
        name="Python",
        ok=version >= tuple(map(int, wanted.split("."))),
        needed=True,
        use="everything",
        found=f"{'.'.join(map(str, version))} ({platform.python_implementation()}, {sys.prefix})",
        do=f"install Python {wanted} or newer, then: make PYTHON=python{wanted} lab",
    )


def packages(lock: Path) -> Line:
    """Those without a condition; one with it may belong to another platform."""
    wrong = list(_wrong(lock.read_text(encoding="utf-8")))
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Line(
        name="Python packages",
        ok=not wrong,
        needed=True,
        use="everything",
        found=", ".join(wrong[:3]) + more if wrong else f"as in {lock.name}",
        do="install them: rm -f .venv/lab-ready && make lab; with conda: pip install -r "
        "requirements.lock",
    )


def _wrong(lock: str) -> Iterator[str]:
    for name, version, condition in PIN.findall(lock):
        if condition:
            continue
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"no {name}"
        else:
            if found != version:
                yield f"{name} {found}, not {version}"
