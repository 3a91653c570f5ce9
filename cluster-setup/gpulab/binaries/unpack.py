"""Programs out of what a project publishes: the program itself, a .tar.gz or a .zip."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO


def unpack(file: Path, programs: Sequence[str], folder: Path) -> None:
    """Put those of the programs that `file` holds into `folder`; nothing else is written."""
    if file.name.endswith((".tar.gz", ".zip")):
        with _archive(file) as members:
            for path, content in members:
                name = PurePosixPath(path).name
                if name in programs:
                    with content, (folder / name).open("wb") as out:
                        shutil.copyfileobj(content, out)
    else:
        shutil.move(file, folder / programs[0])
    for made in folder.iterdir():
        made.chmod(0o700)


Members = Iterator[tuple[str, IO[bytes]]]


@contextmanager
def _archive(file: Path) -> Iterator[Members]:
    """Path and content of each plain file."""
    if file.name.endswith(".zip"):
        with zipfile.ZipFile(file) as packed:
            yield ((i.filename, packed.open(i)) for i in packed.infolist() if not i.is_dir())
    else:
        with tarfile.open(file, "r:gz") as archive:
            plain = (member for member in archive if member.isfile())
            yield ((member.name, _content(archive, member)) for member in plain)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # it is a plain file
    return content
