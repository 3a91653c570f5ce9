"""The files of one container: a small tree in memory, and the volumes mounted into it."""

from __future__ import annotations

import fnmatch
import posixpath
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ROOM = 32 * 2**20  # bytes that all files of a container may have together


class FileProblem(Exception):
    """An operation that a real kernel would refuse, in its words."""


@dataclass
class File:
    """A file, or a directory if `data` is None."""

    data: bytearray | None
    mode: int = 0o644
    changed: float = field(default_factory=time.time)
    zeros: int = 0  # bytes after the data; a large file is only counted, not kept

    @property
    def size(self) -> int:
        return len(self.data or b"") + self.zeros


def directory(mode: int = 0o755) -> File:
    return File(None, mode)


class Files:
    """Absolute paths without a trailing slash, and other trees mounted at some of them."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self._tree: dict[str, File] = {"/": directory()}
        self._volumes: dict[str, Files] = {}
        for path, data in (contents or {}).items():
            self.add(path, data)

    def add(self, path: str, data: bytes | None = None) -> None:
        """Put a file there, or a directory, with the folders above it."""
        parent = posixpath.dirname(path)
        if parent != path:
            self.add(parent)
        if data is not None or path not in self._tree:
            self._tree[path] = directory() if data is None else File(bytearray(data))

    def mount(self, path: str, volume: Files) -> None:
        """Show another tree at a path."""
        self.add(path)
        self._volumes[path] = volume

    def get(self, path: str) -> File | None:
        tree, inner = self._at(path)
        return tree._tree.get(inner)

    def exists(self, path: str) -> bool:
        return self.get(path) is not None

    def is_file(self, path: str) -> bool:
        found = self.get(path)
        return found is not None and found.data is not None

    def is_dir(self, path: str) -> bool:
        found = self.get(path)
        return found is not None and found.data is None

    def read(self, path: str) -> bytes:
        found = self.get(path)
        if found is None:
            raise FileProblem("No such file or directory")
        if found.data is None:
            raise FileProblem("Is a directory")
        if found.zeros > ROOM:
            raise FileProblem("gpulab keeps no contents of a file that large")
        return bytes(found.data) + bytes(found.zeros)

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Make a file, or change it; its folder must exist."""
        tree, inner = self._writable(path)
        found = tree._tree.get(inner)
        if found is not None and found.data is None:
            raise FileProblem("Is a directory")
        if self.kept() + len(data) > ROOM:
            raise FileProblem("No space left on device")
        if found is None or found.data is None:
            tree._tree[inner] = File(bytearray(data), mode)
            return
        found.changed = time.time()
        if append:
            found.data += data
        else:
            found.data, found.zeros = bytearray(data), 0

    def allocate(self, path: str, size: int) -> None:
        """Make a file of so many bytes, all zero."""
        self.write(path, b"")
        if (found := self.get(path)) is not None:
            found.zeros = size

    def make_directory(self, path: str) -> None:
        tree, inner = self._writable(path)
        if inner in tree._tree:
            raise FileProblem("File exists")
        tree._tree[inner] = directory()

    def remove(self, path: str) -> None:
        """Remove a file or a directory with everything in it."""
        tree, inner = self._writable(path)
        if inner == "/":
            raise FileProblem("Device or resource busy")
        if inner not in tree._tree:
            raise FileProblem("No such file or directory")
        for each in [one for one in tree._tree if one == inner or one.startswith(f"{inner}/")]:
            del tree._tree[each]

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted."""
        tree, inner = self._at(path)
        start = inner.rstrip("/") + "/"
        below = (one.removeprefix(start) for one in tree._tree if one.startswith(start))
        return sorted({one for one in below if one and "/" not in one})

    def walk(self, path: str) -> Iterator[str]:
        """The path itself and everything below it."""
        yield path
        if self.is_dir(path):
            for name in self.names(path):
                yield from self.walk(posixpath.join(path, name))

    def matches(self, pattern: str) -> list[str]:
        """Paths that a shell's pattern with `*`, `?` and `[…]` means."""
        found = ["/"]
        for part in (part for part in pattern.split("/") if part):
            found = [
                posixpath.join(base, name)
                for base in found
                if self.is_dir(base)
                for name in self.names(base)
                if fnmatch.fnmatchcase(name, part) and (part[0] == "." or name[0] != ".")
            ]
        return found

    def take_missing(self, other: Files) -> None:
        """Add what another tree has and this one lacks."""
        for path, file in other._tree.items():
            self._tree.setdefault(path, file)

    def size(self) -> int:
        """Bytes of its own files; those in mounted trees are theirs."""
        return sum(file.size for file in self._tree.values())

    def kept(self) -> int:
        """Bytes in memory, mounted trees included."""
        own = sum(len(file.data or b"") for file in self._tree.values())
        return own + sum(volume.kept() for volume in self._volumes.values())

    def _at(self, path: str) -> tuple[Files, str]:
        """The tree that holds a path, and the path in it."""
        for mount, volume in self._volumes.items():
            if path == mount or path.startswith(f"{mount}/"):
                return volume._at(path[len(mount) :] or "/")
        return self, path

    def _writable(self, path: str) -> tuple[Files, str]:
        tree, inner = self._at(path)
        parent = tree._tree.get(posixpath.dirname(inner))
        if parent is None:
            raise FileProblem("No such file or directory")
        if parent.data is not None:
            raise FileProblem("Not a directory")
        return tree, inner


def resolve(folder: str, path: str) -> str:
    """Resolve a path from a working directory.

    >>> resolve("/tmp", "../etc/./hosts"), resolve("/", "//x/")
    ('/etc/hosts', '/x')
    """
    return "/" + posixpath.normpath(posixpath.join(folder, path)).lstrip("/")
