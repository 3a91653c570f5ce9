"""What kubectl says of Pods in every state: each line of `kubectl/cases.yaml`, tried once."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.golden.kind.scenario import HERE

Answer = dict[str, str | int | None]
GENERATED = [
    (re.compile(r"\bdebugger-[a-z0-9]{5}\b"), "debugger-<ID>"),
    (re.compile(r"\bnode-debugger-\S+-[a-z0-9]{5}\b"), "node-debugger-<NODE>-<ID>"),
    (re.compile(r"(?m)^[EIW]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ "), "<LOG> "),
]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"seconds": "for"}):
    """One command line."""

    args: str
    stdin: str | None = None
    seconds: float | None = None  # stop it then
    unordered: bool = False  # kubectl asks for the containers in any order


def cases(node: str = "$NODE") -> list[Case]:
    text = (HERE / "kubectl/cases.yaml").read_text(encoding="utf-8")
    return msgspec.yaml.decode(text.replace("$NODE", node), type=list[Case])


def titles() -> list[str]:
    """A name for each case: its arguments, numbered where they come again."""
    lines = [case.args for case in cases()]
    return [
        f"{line} #{lines[: index + 1].count(line)}" if line in lines[:index] else line
        for index, line in enumerate(lines)
    ]


def ask(command: list[str], node: str, plain: Callable[[str], str]) -> dict[str, Answer]:
    """Try all cases in order; `command` is kubectl with its cluster and namespace."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "note.txt").write_text("a note\n", encoding="utf-8")
        return {
            title: _ask(case, command, Path(folder), plain)
            for title, case in zip(titles(), cases(node), strict=True)
        }


def _ask(case: Case, command: list[str], folder: Path, plain: Callable[[str], str]) -> Answer:
    """Exit code (None: it was stopped) and what it wrote."""
    words = [*command, *shlex.split(case.args)]
    process = subprocess.Popen(
        words,
        cwd=folder,
        text=True,
        stdin=subprocess.PIPE if case.stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    code: int | None
    try:
        out, err = process.communicate(case.stdin, timeout=case.seconds or 30)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        (out, err), code = process.communicate(), None

    def clean(text: str) -> str:
        for pattern, placeholder in GENERATED:
            text = pattern.sub(placeholder, text)
        return plain(text)

    if case.unordered:
        out = "".join(sorted(out.splitlines(keepends=True)))
    return {"exit": code, "out": clean(out), "err": clean(err)}
