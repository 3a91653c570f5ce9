"""The command line itself: help, wrong calls, exit codes, and what it does not load."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import INTERRUPTIBLE, Lab, eventually, run, said, waits_for_lock

COMMANDS = ("up", "down", "status", "kubeconfig", "lab", "start", "check", "quiz", "hint", "reset")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(no_lab: Lab, option: str) -> None:
    done = no_lab.gpulab(option)
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(no_lab: Lab, command: str) -> None:
    done = no_lab.gpulab(command, "--help")
    assert done.returncode == 0
    assert f"gpulab {command}" in done.stdout


def test_help_loads_nothing_that_takes_long(no_lab: Lab) -> None:
    """What it does load decides how long a learner waits for `gpulab --help`."""
    code = (
        "import sys; from gpulab.cli.run import run; code = run(['--help']); "
        "print(*sys.modules, sep='\\n'); sys.exit(code)"
    )
    done = run([sys.executable, "-c", code], no_lab.env, 60)
    loaded = set(done.stdout.splitlines())
    assert "typer" in loaded
    assert not loaded & {"aiohttp", "lightkube", "httpx2", "cryptography", "jupyterlab", "yaml"}


def test_help_and_wrong_calls_write_nothing_to_disk(no_lab: Lab, tmp_path: Path) -> None:
    for arguments in (["--help"], ["status"], ["nonesuch"], ["up", "--name", "A"]):
        no_lab.gpulab(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nonesuch"], "nonesuch"),
        (["up", "--nonesuch"], "--nonesuch"),
        (["up", "surplus"], "surplus"),
        (["check"], "exercise"),
        (["lab", "--port", "80"], "--port"),
        (["lab", "--port", "http"], "--port"),
        (["--nonesuch"], "--nonesuch"),
        (["up", "--name"], "--name"),
    ],
)
def test_a_wrong_call_is_answered_in_two_lines(
    no_lab: Lab, arguments: list[str], what: str
) -> None:
    wrong, do = said(no_lab.gpulab(*arguments))
    assert what.lower() in wrong.lower()
    assert "--help" in do


def test_without_a_command_there_is_help(no_lab: Lab) -> None:
    done = no_lab.gpulab()
    assert "Traceback" not in done.stderr
    assert "check" in done.stdout + done.stderr


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_the_traceback_wherever_it_stands(no_lab: Lab, place: int) -> None:
    arguments = ["status", "--name", "nonesuch"]
    arguments.insert(place, "--debug")
    done = no_lab.gpulab(*arguments)
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-2].startswith("gpulab: there is no lab called 'nonesuch'")


def test_the_environment_can_ask_for_the_traceback_too(no_lab: Lab) -> None:
    done = run(
        [sys.executable, "-c", "from gpulab.cli import main; main()", "status"],
        no_lab.env | {"GPULAB_DEBUG": "1"},
        60,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, True)


def test_ctrl_c_ends_it_with_130_and_without_a_traceback(no_lab: Lab) -> None:
    """It waits for a lock that this test holds, so that it cannot be done first."""
    code = "import fcntl, time; f = open({0!r}, 'w'); fcntl.flock(f, 2); print(1, flush=True); "
    no_lab.root.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", code.format(str(no_lab.root / "lock")) + "time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder, no_lab.begin("down") as waiting:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        eventually(lambda: waits_for_lock(waiting.pid))
        waiting.send_signal(signal.SIGINT)
        _, stderr = waiting.communicate(timeout=20)
        holder.kill()
    assert waiting.returncode == 130
    assert stderr.strip() == "Stopped."


def test_the_helper_of_these_tests_leaves_sigint_as_a_terminal_does() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = run([*INTERRUPTIBLE, sys.executable, "-c", code], {}, 20)
    assert done.stdout == "True\n"
