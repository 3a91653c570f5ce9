"""A cache in which a program is either whole or absent."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpulab import paths
from gpulab.versions import Group, versions


@dataclass(frozen=True)
class Cache:
    """<user cache>/bin/<group>-<version>-<system>-<machine>/<program>."""

    root: Path

    @classmethod
    def open(cls) -> Cache:
        return cls(paths.private_dir(paths.cache() / "bin", "GPULAB_CACHE"))

    def folder(self, name: str, group: Group) -> Path:
        return self.root / f"{name}-{group.version}-{_platform()}"

    def has(self, name: str, group: Group) -> bool:
        folder = self.folder(name, group)
        return all(os.access(folder / program, os.X_OK) for program in group.programs)

    def missing(self, extra: Sequence[str] = ()) -> dict[str, Group]:
        """The groups of which a program is not there."""
        return {n: g for n, g in _groups(extra).items() if not self.has(n, g)}

    def programs(self, extra: Sequence[str] = ()) -> Mapping[str, Path]:
        return {
            program: self.folder(name, group) / program
            for name, group in _groups(extra).items()
            for program in group.programs
        }

    def fill(self, name: str, group: Group, source: Callable[[str, Group, Path], None]) -> None:
        """Let `source` make the programs beside the cache, then move them in with one rename."""
        target = self.folder(name, group)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=self.root) as made:
            source(name, group, Path(made))
            missing = [p for p in group.programs if not os.access(Path(made) / p, os.X_OK)]
            if missing:
                raise RuntimeError(f"the source of {name} made no {', '.join(missing)}")
            shutil.rmtree(target, ignore_errors=True)
            whole = Path(made).rename(target)
            whole.chmod(0o700)
            Path(made).mkdir()  # TemporaryDirectory expects to remove it

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process fills the cache; the others wait and then find it filled."""
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """What an interrupted or killed process was making."""
        for leftover in self.root.glob(".making-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _groups(extra: Sequence[str]) -> dict[str, Group]:
    return versions().groups | {name: versions().extras[name] for name in extra}


def _platform() -> str:
    return f"{platform.system()}-{platform.machine()}".lower()
