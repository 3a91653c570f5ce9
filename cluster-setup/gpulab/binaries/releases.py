"""What a project publishes of a group of programs: which files, where, with which SHA-256."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from gpulab.versions import Group

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Go calls them


@dataclass(frozen=True)
class Asset:
    """One published file: a program itself, or an archive with all of the group's."""

    group: str
    """Name and version, for messages and for the file's name on this machine."""
    url: str
    checksums: str
    """Where the project names its SHA-256."""
    sha256: str | None
    """What is known of it already."""
    programs: tuple[str, ...]
    """Which it holds: one if it is the program itself."""

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


def here() -> str:
    """The platform that runs, as in linux-amd64."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"


def assets(name: str, group: Group, on: str) -> list[Asset]:
    """The files that hold the group's programs; none where not all of them are published."""
    release = group.release
    if release is None or on not in release.files:
        return []
    system, _, machine = on.partition("-")
    known = {"version": group.version, "system": system, "machine": machine}
    folder = release.folder.format(**known)
    files: dict[str, list[str]] = {}
    for program in group.programs:
        file = release.files[on].format(program=program, **known)
        files.setdefault(file, []).append(program)
    return [
        Asset(
            group=f"{name} {group.version}",
            url=f"{folder}/{file}",
            checksums=release.checksums.format(folder=folder, file=file, **known),
            sha256=release.sha256.get(f"{on}/{file}"),
            programs=tuple(programs),
        )
        for file, programs in files.items()
    ]


def published(text: str, file: str) -> str | None:
    """The SHA-256 of `file` in a bare sum, in lines of `sum  name`, or in GitHub's JSON."""
    if text.lstrip().startswith("{"):
        return _of_github(text, file)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        return _sum(lines[0][0])
    found = (words[0] for words in lines if len(words) == 2 and words[1].lstrip("*") == file)
    return _sum(next(found, ""))


def _of_github(text: str, file: str) -> str | None:
    try:
        listed = msgspec.json.decode(text, type=dict[str, Any]).get("assets")
    except msgspec.MsgspecError:
        return None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("name") == file:
            return _sum(str(each.get("digest")).removeprefix("sha256:"))
    return None


def _sum(text: str) -> str | None:
    return text.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", text) else None
