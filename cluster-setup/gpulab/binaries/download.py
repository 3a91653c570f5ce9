"""Fills the cache from what the projects publish, all files at a time."""

from __future__ import annotations

import tarfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from gpulab.binaries import disk
from gpulab.binaries.cache import Cache
from gpulab.binaries.releases import Asset, assets, here
from gpulab.binaries.transfer import Failed, Stopped, address, fetch, session
from gpulab.binaries.unpack import unpack
from gpulab.versions import Group

NEEDED_GIB = 1  # what is published has 0.4, archives and what they hold lie side by side
PARTS = ".downloading"
console = Console(stderr=True)
Groups = Mapping[str, Group]


def fill(cache: Cache, missing: Groups) -> dict[str, str]:
    """Put what can be had into the cache; for each group that cannot, its name and why."""
    platform = here()
    wanted = {name: assets(name, group, platform) for name, group in missing.items()}
    refused = {
        f"{name} {missing[name].version}": f"not published for {platform}"
        for name, files in wanted.items()
        if not files
    }
    files = [each for group in wanted.values() for each in group]
    if files:
        disk.check({cache.root}, NEEDED_GIB, "downloading the control plane", "GPULAB_CACHE")
        parts = cache.root / PARTS
        parts.mkdir(mode=0o700, exist_ok=True)
        got, why = _fetch_all(files, parts)
        refused |= why
        for name, group in missing.items():
            if wanted[name] and f"{name} {group.version}" not in why:
                refused |= _put(cache, name, group, {each: got[each] for each in wanted[name]})
        if not any(parts.iterdir()):
            parts.rmdir()
    return refused


def _put(cache: Cache, name: str, group: Group, files: Mapping[Asset, Path]) -> dict[str, str]:
    """Move one group into the cache as a whole; if it is not all there, why."""

    def source(name: str, group: Group, folder: Path) -> None:
        for asset, file in files.items():
            unpack(file, asset.programs, folder)
            file.unlink(missing_ok=True)
            lacking = [each for each in asset.programs if not (folder / each).exists()]
            if lacking:
                raise Failed(f"{asset.file} holds no {', '.join(lacking)}")

    try:
        cache.fill(name, group, source)
        return {}
    except (Failed, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        return {f"{name} {group.version}": str(error)}


def _fetch_all(files: Sequence[Asset], parts: Path) -> tuple[dict[Asset, Path], dict[str, str]]:
    """What arrived, and why a group did not; without one of its files the others are no use."""
    names = ", ".join(program for each in files for program in each.programs)
    console.print(
        f"Downloading {names}, once. Ctrl-C stops it; the next try goes on where this one stopped.",
        soft_wrap=True,
    )
    stops = {each.group: threading.Event() for each in files}
    with _progress() as shown, session() as client, ThreadPoolExecutor(len(files)) as pool:
        try:
            running = {
                each: pool.submit(_fetch, each, parts, client, stops[each.group], shown)
                for each in files
            }
            failed = {each: _failure(future) for each, future in running.items()}
        finally:  # Ctrl-C, too
            for stop in stops.values():
                stop.set()
    why = {
        each.group: f"{address(each.url).split('/')[2]}: {error}"
        for each, error in failed.items()
        if error is not None and not isinstance(error, Stopped)
    }
    return {e: future.result() for e, future in running.items() if failed[e] is None}, why


def _fetch(
    each: Asset, parts: Path, client: httpx2.Client, stop: threading.Event, shown: Progress
) -> Path:
    task = shown.add_task(_label(each), total=None, visible=False)
    try:
        return fetch(each, parts, client, stop, partial(_advance, shown, task))
    except Failed:
        stop.set()
        raise


def _label(each: Asset) -> str:
    return each.programs[0] if len(each.programs) == 1 else each.group


def _advance(shown: Progress, task: object, there: int, whole: int | None) -> None:
    shown.update(task, completed=there, total=whole, visible=True)  # type: ignore[arg-type]


def _failure(future: Future[Path]) -> Failed | None:
    """Why a file did not arrive; whatever else went wrong is raised."""
    error = future.exception()
    if error is None or isinstance(error, Failed):
        return error
    raise error


def _progress() -> Progress:
    columns = (
        TextColumn("  {task.description:<23}"),
        BarColumn(16),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)
