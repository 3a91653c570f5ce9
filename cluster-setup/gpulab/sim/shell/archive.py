"""`tar` as `kubectl cp` calls it: `tar cf - PATH`, `tar -xmf - [-C FOLDER]`."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Generator

from gpulab.sim.files import ROOM, FileProblem
from gpulab.sim.program import Step
from gpulab.sim.program import Write as Wrote
from gpulab.sim.shell.process import Argv, Process, Steps, complain, say

CHUNK = 256 * 1024  # bytes of one piece of output


def tar(argv: Argv, process: Process) -> Steps:
    letters = argv[1].lstrip("-") if len(argv) > 1 else ""
    words = list(argv[2:])
    folder = process.folder
    if "-C" in words:
        at = words.index("-C")
        if at + 1 == len(words):
            return (yield from complain("tar: option requires an argument -- 'C'"))
        folder = process.path(words[at + 1])
        del words[at : at + 2]
    if "f" not in letters or words[:1] != ["-"]:
        return (yield from complain("tar: gpulab models archives on stdin and stdout only (f -)"))
    if not process.files.is_dir(folder):
        text = f"can't change directory to '{folder}': No such file or directory"
        return (yield from complain(f"tar: {text}"))
    if "x" in letters:
        return (yield from _extract(process, folder))
    if "t" in letters:
        return (yield from _list(process))
    return (yield from _create(process, folder, words[1:]))


def _create(process: Process, folder: str, names: list[str]) -> Steps:
    buffer, code = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            start = posixpath.normpath(posixpath.join(folder, name))
            if not process.files.exists(start):
                yield from complain(f"tar: {name}: No such file or directory")
                code = yield from complain("tar: error exit delayed from previous errors")
                continue
            if name.startswith("/"):
                yield from complain("tar: removing leading '/' from member names")
            for path in process.files.walk(start):
                inner = name.rstrip("/") + path.removeprefix(start)
                _add(process, archive, path, inner.lstrip("/") or ".")
    data = buffer.getvalue()
    for at in range(0, len(data), CHUNK):
        yield say(data[at : at + CHUNK])
    return code


def _add(process: Process, archive: tarfile.TarFile, path: str, name: str) -> None:
    file = process.files.get(path)
    assert file is not None
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = file.mode, int(file.changed)
    member.uname = member.gname = "root"
    if file.data is None:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
        return
    data = process.files.read(path)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _open(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:*")


def _extract(process: Process, folder: str) -> Steps:
    data = yield from process.read_all()
    code, some = 0, False
    try:
        with _open(data) as archive:
            for member in archive:
                some = True
                code = (yield from _write(process, archive, member, folder)) or code
    except tarfile.TarError:
        return (yield from complain("tar: short read" if some else "tar: invalid tar magic"))
    return code


def _write(
    process: Process, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: str
) -> Generator[Step, None, int]:
    path = posixpath.normpath(posixpath.join(folder, member.name.lstrip("/")))
    try:
        yield from _folders(process, path if member.isdir() else posixpath.dirname(path))
        if member.size > ROOM:
            raise FileProblem("No space left on device")
        content = archive.extractfile(member) if member.isfile() else None
        if content is not None:
            yield from process.write(path, content.read(), mode=member.mode)
    except FileProblem as problem:
        return (yield from complain(f"tar: can't open '{member.name}': {problem}"))
    return 0


def _folders(process: Process, path: str) -> Steps:
    if not process.files.is_dir(path):
        yield from _folders(process, posixpath.dirname(path))
        process.files.make_directory(path)
        yield Wrote(path, None)
    return 0


def _list(process: Process) -> Steps:
    data = yield from process.read_all()
    try:
        with _open(data) as archive:
            for member in archive:
                yield say(member.name + ("/" if member.isdir() else "") + "\n")
    except tarfile.TarError:
        return (yield from complain("tar: invalid tar magic"))
    return 0
