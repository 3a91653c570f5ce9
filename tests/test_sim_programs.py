"""The programs: compared with the real ones of this machine wherever it has them."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.paths import DATA
from gpulab.sim.facts import Facts
from gpulab.sim.program import Program, Sleep
from gpulab.sim.replay import Run, output
from gpulab.sim.workloads import Catalogue
from tests.test_sim_program import here

CATALOGUE = Catalogue.load(DATA / "workloads")
BEGAN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
REAL = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell to compare with")


def program(*argv: str) -> Program:
    found = CATALOGUE.find(argv, here())
    assert isinstance(found, Program)
    return found


def simulated(*argv: str) -> tuple[str, int | None]:
    """What a process prints on stdout, and its exit code."""
    script = program(*argv).script
    far = BEGAN + dt.timedelta(days=9)
    lines = [line.text for line in output(script, BEGAN, far, Facts()) if line.stream == "stdout"]
    run = Run(script, BEGAN)
    for _ in run:
        pass
    return "".join(lines), run.code


def real(*argv: str) -> tuple[str, int]:
    done = subprocess.run(
        argv, env=REAL, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
    )
    return done.stdout, done.returncode


COMMANDS = [
    "echo a",
    "echo -n b",
    "echo 'c  d'",
    'echo "e;f"',
    "echo",
    "true",
    "false",
    "sleep 0",
    "exit",
    "exit 0",
    "exit 3",
]
lines = st.builds(
    lambda first, rest: first + "".join(joint + command for joint, command in rest),
    st.sampled_from(COMMANDS),
    st.lists(
        st.tuples(st.sampled_from(["; ", " && ", " || ", "\n"]), st.sampled_from(COMMANDS)),
        max_size=5,
    ),
)


@pytest.mark.parametrize("option", ["-c", "-ec"])
@settings(max_examples=150, deadline=None)
@given(line=lines)
def test_a_shell_line_does_what_a_real_shell_does(option: str, line: str) -> None:
    assert simulated("sh", option, line) == real("sh", option, line)


@pytest.mark.parametrize(
    "argv",
    [
        ("echo", "a", "b"),
        ("echo", "-n", "a"),
        ("echo",),
        ("true",),
        ("false",),
        ("/bin/true", "ignored"),
        ("sleep", "0.01"),
        ("sleep", "0"),
        ("sleep", "0.001s", "0"),
        ("sleep",),
        ("sleep", "soon"),
        ("sleep", "1x"),
        ("sleep", "-1"),
    ],
)
def test_a_program_does_what_the_real_one_does(argv: tuple[str, ...]) -> None:
    assert simulated(*argv) == real(*argv)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (["5"], 5),
        (["0.5"], 0.5),
        (["1m"], 60),
        (["1h"], 3600),
        (["2d"], 172800),
        (["1m", "30"], 90),
        (["infinity"], float("inf")),
        (["inf"], float("inf")),
    ],
)
def test_sleep_takes_the_time_that_it_is_told(words: list[str], seconds: float) -> None:
    events = list(Run(program("sleep", *words).script, BEGAN))
    assert events == [Sleep(seconds)]


@pytest.mark.parametrize(
    "line",
    [
        "make all",
        "echo a; python tune.py",
        "sleep 1 & echo a",
    ],
)
def test_what_the_shell_here_cannot_do_counts_as_unmodelled(line: str) -> None:
    """It says so instead of doing something else."""
    assert not program("sh", "-c", line).modelled


def test_a_shell_line_prints_as_it_goes() -> None:
    lines = output(
        program("sh", "-c", "echo a; sleep 2; echo b").script,
        BEGAN,
        BEGAN + dt.timedelta(seconds=9),
        Facts(),
    )
    assert [(line.text, line.at.second) for line in lines] == [("a\n", 5), ("b\n", 7)]


def test_env_prints_the_environment_one_variable_a_line() -> None:
    text, code = simulated("env")
    assert code == 0
    assert "HOSTNAME=p\n" in text
    assert all("=" in line for line in text.splitlines())


def test_hostname_and_date_say_what_the_pod_and_the_clock_say() -> None:
    assert simulated("hostname") == ("p\n", 0)
    assert simulated("date") == ("Fri Jan  2 03:04:05 UTC 2026\n", 0)


def test_pause_neither_prints_nor_ends() -> None:
    found = CATALOGUE.find([], here(container={"image": "registry.k8s.io/pause:3.10.1"}))
    assert isinstance(found, Program)
    assert found.modelled
    assert list(Run(found.script, BEGAN)) == [Sleep(float("inf"))]
