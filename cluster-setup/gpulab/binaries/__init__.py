"""The control plane's programs: from the cache, else from a source that can make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gpulab.binaries import build
from gpulab.binaries.cache import Cache
from gpulab.versions import Group, versions

# A source puts one group's programs into an empty folder or raises InputError. Release downloads
# will be a second one, tried before the build.
Source = Callable[[str, Group, Path], None]


def ensure() -> Mapping[str, Path]:
    """Program name → path, all present; what the cache lacks is made first.

    Raises InputError when something that a person can mend (Go, disk, network) is in the way.
    """
    cache = Cache.open()
    missing = {n: g for n, g in versions().groups.items() if not cache.has(n, g)}
    if missing:
        build.prepare(missing, cache.root)
        with cache.locked():
            for name, group in missing.items():
                if not cache.has(name, group):  # another process may have made it meanwhile
                    cache.fill(name, group, build.build)
        build.say_done()
    return cache.programs()
