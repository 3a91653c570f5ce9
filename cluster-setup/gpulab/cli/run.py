"""Errors of the command line: one line of what is wrong, one of what to do, exit code 2."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from autograders.errors import InputError
from gpulab.cli.app import app

INTERRUPTED = 130  # 128 + SIGINT


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. `--debug`, anywhere, shows the traceback of an error."""
    os.umask(0o077)  # whatever a command makes is the user's alone
    _print_anything()
    debug = "--debug" in arguments or bool(os.environ.get("GPULAB_DEBUG"))
    command = typer.main.get_command(app)
    try:
        plain = [argument for argument in arguments if argument != "--debug"]
        result = command.main(plain, prog_name="gpulab", standalone_mode=False)
        if result == INTERRUPTED:  # Typer's word for Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except InputError as error:
        return _say(error.what, error.do, debug)
    except typer.TyperException as error:  # a wrong option or argument
        if not error.format_message():  # no command at all: Typer has shown the help
            return 0
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "gpulab"
        return _say(error.format_message(), f"see {path} --help", debug)
    except (KeyboardInterrupt, typer.Abort):
        print("\nStopped.", file=sys.stderr)  # noqa: T201 (no console yet, or a broken one)
        return INTERRUPTED
    except OSError as error:
        return _say(*_of_the_system(error), debug)


def _print_anything() -> None:
    """Let a letter that the locale has not become a question mark instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _of_the_system(error: OSError) -> tuple[str, str]:
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}"
    if isinstance(error, PermissionError):
        return what, "set GPULAB_HOME to a folder of yours, or mend its permissions"
    return what, "free space or mend that path, then try again; --debug shows where it happened"


def _say(what: str, do: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    one_line = " ".join(what.split())
    print(f"gpulab: {one_line}\n{' '.join(do.split())}", file=sys.stderr)  # noqa: T201
    return 2
