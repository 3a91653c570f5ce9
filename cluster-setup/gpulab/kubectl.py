"""kubectl as learners use it, so that what gpulab applies looks like what they apply."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from autograders.errors import InputError
from gpulab import binaries

Done = subprocess.CompletedProcess[str]
SECONDS = 90.0
SHELL = frozenset("|&;<>$`\n")


def run(
    kubeconfig: Path,
    *arguments: str,
    given: str | None = None,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run one kubectl command; the caller looks at the exit code."""
    command = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(kubeconfig), *arguments]
    try:
        return subprocess.run(
            command,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        what = f"`kubectl {shlex.join(arguments)}` did not end within {SECONDS:.0f} s"
        raise InputError(what, "is the lab up? gpulab status") from None


def last_line(done: Done) -> str:
    return (done.stderr.strip().splitlines() or ["kubectl said nothing"])[-1]


def commands(text: str, where: str) -> list[list[str]]:
    r"""Read commands.sh: kubectl lines only, for nothing else of it is ever run.

    >>> commands("# first\nkubectl delete pod a --now\n", "commands.sh")
    [['delete', 'pod', 'a', '--now']]
    """
    lines = [line.strip() for line in text.splitlines()]
    return [arguments(line, where) for line in lines if line and not line.startswith("#")]


def arguments(line: str, where: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"{where}: {line!r}: {error}", "close the quotes") from error
    if words[0] != "kubectl" or SHELL & set(line):
        do = "write kubectl commands, one in a line, without pipes, variables and redirections"
        raise InputError(f"{where}: {line!r} is more than kubectl", do)
    return words[1:]
