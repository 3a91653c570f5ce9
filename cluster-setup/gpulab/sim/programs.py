"""The few programs that containers run here, as scripts. Workload files name them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence

from gpulab.sim import smi
from gpulab.sim.program import Clock, Exit, Print, Script, Sleep, Step, Surroundings

Argv = Sequence[str]
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def sleep(argv: Argv, here: Surroundings) -> Script:
    def script(clock: Clock) -> Iterator[Step]:
        matches = [re.fullmatch(r"(\d*\.?\d+|inf|infinity)([smhd]?)", arg) for arg in argv[1:]]
        if not matches or None in matches:
            wrong = next((a for a, m in zip(argv[1:], matches, strict=True) if not m), None)
            yield Print(f"sleep: {_complaint(wrong)}\n", "stderr")
            yield Exit(1)
        yield Sleep(sum(float(m[1]) * SECONDS[m[2]] for m in matches if m))

    return script


def _complaint(wrong: str | None) -> str:
    return "missing operand" if wrong is None else f"invalid time interval '{wrong}'"


def echo(argv: Argv, here: Surroundings) -> Script:
    words = list(argv[1:])
    end = "\n"
    if words[:1] == ["-n"]:
        words, end = words[1:], ""
    return lambda clock: iter([Print(" ".join(words) + end)])


def env(argv: Argv, here: Surroundings) -> Script:
    lines = [f"{name}={value}\n" for name, value in here.environment().items()]
    return lambda clock: iter([Print("".join(lines))])


def hostname(argv: Argv, here: Surroundings) -> Script:
    return lambda clock: iter([Print(here.environment()["HOSTNAME"] + "\n")])


def true(argv: Argv, here: Surroundings) -> Script:
    return lambda clock: iter([])


def false(argv: Argv, here: Surroundings) -> Script:
    return lambda clock: iter([Exit(1)])


def date(argv: Argv, here: Surroundings) -> Script:
    def script(clock: Clock) -> Iterator[Step]:
        yield Print(f"{clock.now.astimezone(dt.UTC):%a %b %e %H:%M:%S UTC %Y}\n")

    return script


def pause(argv: Argv, here: Surroundings) -> Script:
    return lambda clock: iter([Sleep(math.inf)])


def nvidia_smi(argv: Argv, here: Surroundings) -> Script:
    def script(clock: Clock) -> Iterator[Step]:
        text, code = smi.run(
            argv,
            here.gpus,
            here.driver,
            clock.now,
            lost=here.lost,
            slices=here.slices,
            loads=here.loads,
            hot=here.hot,
            blind=here.blind,
        )
        if text:
            yield Print(text if text.endswith("\n") else f"{text}\n")
        yield Exit(code)

    return script


PROGRAMS: dict[str, Callable[[Argv, Surroundings], Script]] = {
    "sleep": sleep,
    "echo": echo,
    "env": env,
    "hostname": hostname,
    "true": true,
    "false": false,
    "date": date,
    "pause": pause,
    "nvidia-smi": nvidia_smi,
}
