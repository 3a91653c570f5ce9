"""Evidence as bytes: canonical JSON, so that equal Evidence has an equal SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from autograders.errors import InputError
from autograders.garbage import no_search
from autograders.model import Evidence

LARGEST = 512 * 1024 * 1024
"""Bytes; 1,000 nodes with 4,000 Pods need about 30 MiB."""


def to_json(evidence: Evidence) -> bytes:
    """Keys sorted, no blanks, UTF-8."""
    return msgspec.json.encode(evidence, order="sorted")


def from_json(data: bytes, name: str = "the evidence") -> Evidence:
    try:
        with no_search():
            return msgspec.json.decode(data, type=Evidence)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{name} is not an Evidence: {error}", "give a file that gpulab saved, unchanged"
        ) from error


def digest(evidence: Evidence) -> str:
    return hashlib.sha256(to_json(evidence)).hexdigest()


def save(evidence: Evidence, path: Path) -> None:
    """Whole or not at all: a reader never sees half a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(to_json(evidence))
    part.replace(path)


def load(path: Path) -> Evidence:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST} bytes", "give an Evidence file")
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", "give an Evidence file that exists"
        ) from error
