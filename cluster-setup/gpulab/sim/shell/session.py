"""A shell that reads commands from its standard input, with a prompt if that is a terminal."""

from __future__ import annotations

from collections.abc import Generator

from gpulab.sim.program import Step
from gpulab.sim.shell.grammar import parse
from gpulab.sim.shell.interpret import Interpreter, Leave
from gpulab.sim.shell.process import Process, Steps, complain, say
from gpulab.sim.shell.syntax import Incomplete, Sequence, ShellError


class Interrupt(Exception):
    """Ctrl-C."""


def converse(shell: Interpreter) -> Steps:
    """Read and run until the end of the input or `exit`."""
    process = shell.process
    try:
        text = yield from _read_all(shell)
    except Leave as leave:
        yield from _say_exit(process, "")
        return leave.code
    if text:
        return (yield from complain(f"{process.name}: syntax error: unexpected end of file", 2))
    yield from _say_exit(process, "\n")
    return process.code


def _say_exit(process: Process, otherwise: str) -> Steps:
    """What a terminal shows last."""
    text = "exit\n" if process.name == "bash" else otherwise
    if process.interactive and text:
        yield say(text)
    return 0


def _read_all(shell: Interpreter) -> Generator[Step, None, str]:
    """Run line after line; at the end of the input give back what was left incomplete."""
    process, text = shell.process, ""
    while True:
        try:
            if process.interactive:
                yield say("> " if text else prompt(shell))
            line = yield from process.read_line()
            if not line:
                return text
            text += line.decode("utf-8", "surrogateescape")
            process.code, text = yield from _read(shell, text)
        except Interrupt:
            text, process.code = "", 130
            yield say("\n")
        except Leave as leave:
            if leave.what == "exit":
                raise
            text = ""


def _read(shell: Interpreter, text: str) -> Generator[Step, None, tuple[int, str]]:
    """Run what is complete; give back the exit code and the text that waits for more."""
    try:
        tree = parse(text)
    except Incomplete as error:
        if str(error):
            return shell.process.code, text
        tree = Sequence()
    except ShellError as error:
        return (yield from complain(f"{shell.process.name}: {error}", 2)), ""
    try:
        return (yield from shell.sequence(tree)), ""
    except ShellError as error:
        return (yield from complain(f"{shell.process.name}: {error}", 2)), ""


def prompt(shell: Interpreter) -> str:
    """As bash of Debian images has it, or busybox's ash."""
    process = shell.process
    home = process.variables.get("HOME", "/root")
    if process.name == "bash":
        folder = process.folder
        if folder == home or folder.startswith(f"{home}/"):
            folder = "~" + folder.removeprefix(home)
        return f"root@{process.here.hostname}:{folder}# "
    from gpulab.sim.shell.image import kind

    if kind(process.here.container["image"]) == "debian":
        return "# "
    folder = "~" if process.folder == home else process.folder
    return f"{folder} # "
