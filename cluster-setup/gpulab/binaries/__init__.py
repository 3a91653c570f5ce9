"""The control plane's programs: from the cache, else from a source that can make them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograders.errors import InputError
from gpulab.binaries.cache import Cache
from gpulab.versions import Group

VARIABLE = "GPULAB_SOURCE"
DOWNLOAD, BUILD = "download", "build"


def ensure(source: str | None = None, extra: Sequence[str] = ()) -> Mapping[str, Path]:
    """Program name → path, all present; what the cache lacks comes from `source`.

    `extra` names groups of versions.toml beyond the control plane's.

    That is download, build, a folder, or (none named) $GPULAB_SOURCE, else download and, for what
    cannot be had so, build. Raises InputError when something that a person can mend (Go, disk,
    network) is in the way.
    """
    chosen = source or os.environ.get(VARIABLE) or None
    folder = _folder(chosen)
    cache = Cache.open()
    if cache.missing(extra):
        with cache.locked():
            if missing := cache.missing(extra):  # another process may have made it meanwhile
                _fill(cache, missing, chosen, folder)
    return cache.programs(extra)


def _folder(chosen: str | None) -> Path | None:
    if chosen in (None, DOWNLOAD, BUILD):
        return None
    folder = Path(chosen or "").expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"{chosen!r} is no source", f"name {DOWNLOAD}, {BUILD} or a folder")
    return folder


def _fill(
    cache: Cache, missing: Mapping[str, Group], chosen: str | None, folder: Path | None
) -> None:
    # each takes time to import, and a filled cache needs none
    if folder is not None:
        from gpulab.binaries import local

        return local.fill(cache, missing, folder)
    if chosen != BUILD:
        from gpulab.binaries import download

        refused = download.fill(cache, missing)
        if not refused:
            return
        why = "; ".join(f"{name} ({reason})" for name, reason in refused.items())
        if chosen == DOWNLOAD:
            raise InputError(
                f"not downloaded: {why}", f"try again, or build from source: --source {BUILD}"
            )
        download.console.print(f"Not downloaded, so it is built: {why}", soft_wrap=True)
    from gpulab.binaries import build

    build.fill(
        cache, {name: group for name, group in missing.items() if not cache.has(name, group)}
    )
