"""Which tests a plain `make test` runs: all but most of those marked `sample`.

`sample` marks tests that are many of a kind or take long; on a whole file, its live ones. Of those,
one in five runs, by a hash of commit and test, so that a commit always has the same ones and the
next one has others. Those in changed files all run, and so do those that name a changed exercise or
lesson, and those that are about what has changed: `sample("cluster-setup/gpulab/sim/shell")` names
a folder or file, or the beginning of one. `--all` runs everything, and so does naming tests with -k
or -m.

Hypothesis draws the same examples every time, so that a merge never hangs on luck; with `--all` it
draws new ones.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
ONE_IN = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run every test, none left to chance")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("same", derandomize=True)
    if not config.getoption("all"):
        settings.load_profile("same")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any(config.getoption(name) for name in ("all", "keyword", "markexpr")):
        return
    sampled = [item for item in items if is_sampled(item)]
    commit = git("rev-parse", "HEAD")
    if not sampled or not commit:
        return
    changes = changed()
    left = {item for item in sampled if not runs(item.nodeid, subjects(item), commit[0], changes)}
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]


def is_sampled(item: pytest.Item) -> bool:
    """Marked itself, or live and in a file that is marked as a whole."""
    mark = item.get_closest_marker("sample")
    return mark is not None and (mark in item.own_markers or bool(item.get_closest_marker("live")))


def subjects(item: pytest.Item) -> tuple[str, ...]:
    """Beginnings of the paths that a test is about."""
    return tuple(path for mark in item.iter_markers("sample") for path in mark.args)


def runs(nodeid: str, about: tuple[str, ...], commit: str, changes: set[str]) -> bool:
    """Whether a test marked `sample` is one of those to run."""
    file = nodeid.partition("::")[0]
    taught = {path.split("/")[1] for path in changes if path.startswith(("exercises/", "course/"))}
    if file in changes or any(each.removesuffix(".ipynb") in nodeid for each in taught):
        return True
    if any(path.startswith(about) for path in changes):
        return True
    digest = hashlib.sha256(f"{commit}\0{nodeid}".encode()).digest()
    return int.from_bytes(digest) % ONE_IN == 0


def changed() -> set[str]:
    """Files that differ from where this branch left main; on main itself, from the last commit."""
    here = git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        base = git("merge-base", "HEAD", main)
        if base and base != here:
            break
    else:
        base = ["HEAD~1"]
    untracked = git("ls-files", "--others", "--exclude-standard")
    return {*git("diff", "--name-only", *base), *untracked}


def git(*arguments: str) -> list[str]:
    """Lines that git prints; none if it fails, as outside a clone."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return []
    return [] if done.returncode else done.stdout.splitlines()
