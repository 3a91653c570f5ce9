"""Which images exist and how long their pull takes: cluster-setup/images/*.yaml.

Repositories in the catalogue are strict: a tag that is not listed does not exist. Every other
image is pulled, with one event that says that nobody checked whether it exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograders.errors import InputError
from gpulab.sim import image_messages

MIB_PER_SECOND = 150.0  # our reading: a registry nearby; a devel image takes tens of seconds
UNKNOWN_MIB = 150  # size of an image of which we have none


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One repository; `tags` are those known to exist."""

    repository: str  # with its registry, as in docker.io/nvidia/cuda
    sources: tuple[str, ...]
    tags: tuple[str, ...] = ()
    exists: bool = True  # false: the registry knows no such repository
    size_mib: dict[str, float] = {}  # compressed size by tag, where a source gives it
    has: tuple[str, ...] = ()  # commands in the image


@dataclass(frozen=True)
class Pull:
    """How a pull ends: `failure` is the registry's answer, None if the image arrives."""

    failure: str | None
    seconds: float = 0.0
    size: int = 0  # bytes
    verified: bool = True


class Images:
    """The catalogue."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self._repositories = repositories

    @classmethod
    def load(cls, folder: Path) -> Images:
        """Read every file; InputError names the file and the key that is wrong."""
        found = [_read(path) for path in sorted(folder.glob("*.yaml"))]
        return cls({entry.repository: entry for entry in found})

    def pull(self, image: str) -> Pull:
        known = self._repositories.get(repository(image))
        if known is None:
            return _arrives(UNKNOWN_MIB, verified=False)
        if not known.exists:
            return Pull(image_messages.repository_not_found(image))
        tag = image_messages.reference(image).rpartition(":")[2]
        if "@" not in image and tag not in known.tags:
            return Pull(image_messages.tag_not_found(image))
        return _arrives(known.size_mib.get(tag, UNKNOWN_MIB), verified=True)


def _arrives(size_mib: float, *, verified: bool) -> Pull:
    return Pull(None, size_mib / MIB_PER_SECOND, int(size_mib * 2**20), verified)


def repository(image: str) -> str:
    """The repository of an image, with its registry and without tag and digest.

    >>> repository("nvidia/cuda:12.4.1-base-ubuntu22.04")
    'docker.io/nvidia/cuda'
    """
    name = image_messages.reference(image).partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def _read(path: Path) -> Repository:
    try:
        entry = msgspec.yaml.decode(path.read_bytes(), type=Repository)
        if entry.exists != bool(entry.tags):
            raise msgspec.ValidationError("tags: a repository that exists has some - at `$.tags`")
        return entry
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: {text}", "correct that key") from None
