"""The pins of cluster-setup/versions.toml as typed values."""

from __future__ import annotations

from functools import cache

import msgspec

from gpulab.paths import DATA


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a project publishes its programs; texts with {names} for gpulab.binaries.releases."""

    folder: str
    checksums: str  # a file that names the SHA-256 of what is in the folder
    files: dict[str, str]  # platform, as linux-amd64 → file
    sha256: dict[str, str] = {}  # platform/file → what is known of it


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Programs that are released and built together, from controlplane/<group>/go.mod."""

    version: str  # without the leading v
    programs: tuple[str, ...]
    module: str  # the Go module whose version this is
    release: Release | None = None


class Kind(Group, frozen=True, forbid_unknown_fields=True):
    """kind itself, which only its provider needs."""

    node_image: str = ""  # what its containers are made of, with its digest


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that is found, not made."""

    version: str


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in versions.toml."""

    kubernetes: Group
    etcd: Group
    kwok: Group
    kind: Kind
    go: Pin
    python: Pin

    @property
    def groups(self) -> dict[str, Group]:
        """The groups in the order in which they are built: the slowest first."""
        return {"kubernetes": self.kubernetes, "kwok": self.kwok, "etcd": self.etcd}

    @property
    def extras(self) -> dict[str, Group]:
        """Groups that not every lab needs."""
        return {"kind": self.kind}


@cache
def versions() -> Versions:
    """Read versions.toml once per process."""
    return msgspec.toml.decode((DATA / "versions.toml").read_bytes(), type=Versions)
