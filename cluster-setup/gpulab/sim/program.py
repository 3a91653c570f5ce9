"""What a container's process does, as steps in time.

A script is a pure generator of steps over a clock that only its sleeps and its waiting for facts
move. So the same script gives a container's exit, its log at any moment, and its log again after
the simulator was restarted; nothing of it has to be stored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from gpulab.sim.facts import Facts
from gpulab.sim.gpus import Driver, Gpu

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Print:
    """Text with its line ends."""

    text: str
    stream: Stream = "stdout"


@dataclass(frozen=True)
class Sleep:
    """Nothing happens for so many seconds; infinity is allowed."""

    seconds: float


@dataclass(frozen=True)
class Exit:
    """The process ends; steps after it do not happen."""

    code: int


@dataclass(frozen=True)
class Await:
    """The process waits until a fact of its node holds, or no longer holds."""

    fact: str
    present: bool = True


@dataclass(frozen=True)
class Provide:
    """From here on, until the container ends, a fact holds on its node."""

    fact: str


@dataclass(frozen=True)
class Memory:
    """From here on the process uses so much memory; over its limit it is killed."""

    mib: float


Step = Print | Sleep | Exit | Await | Provide | Memory


@dataclass
class Clock:
    """The script's own time."""

    now: dt.datetime


@dataclass(frozen=True)
class Surroundings:
    """What a process can see: its Pod, its container, its node's name and its devices."""

    pod: dict[str, Any]
    container: dict[str, Any]
    node: str
    ip: str
    driver: Driver
    gpus: tuple[Gpu, ...] = ()

    def environment(self) -> dict[str, str]:
        """The process's environment variables.

        With CDI, the GPU Operator's default since 25.10, a container with GPUs finds
        NVIDIA_VISIBLE_DEVICES=void: the devices were injected by the runtime, not listed there.
        """
        given = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME": self.pod["spec"].get("hostname") or self.pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": "10.0.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "HOME": "/root",
        }
        if self.gpus:
            given["NVIDIA_VISIBLE_DEVICES"] = "void"
        return given | dict(self._declared())

    def _declared(self) -> Iterator[tuple[str, str]]:
        for variable in self.container.get("env") or []:
            if "valueFrom" not in variable:
                yield variable["name"], variable.get("value", "")
            elif path := variable["valueFrom"].get("fieldRef", {}).get("fieldPath"):
                yield variable["name"], self._field(path)

    def _field(self, path: str) -> str:
        if path == "status.podIP":
            return self.ip
        if path == "spec.nodeName":
            return self.node
        value: Any = self.pod
        for key in path.split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        return str(value)


Script = Callable[[Clock], Iterator[Step]]


@dataclass(frozen=True)
class Program:
    """A script and how its process takes SIGTERM."""

    script: Script
    modelled: bool = True
    ignores_term: bool = False  # as any process with pid 1 that installed no handler
    term_code: int = 143  # its exit code after a SIGTERM that it heeds
    ports: frozenset[int] = frozenset()  # on which it answers


@dataclass(frozen=True)
class CannotStart:
    """The runtime refuses: the executable is not in the image."""

    executable: str


@dataclass(frozen=True)
class Line:
    """A piece of output and when it was written."""

    at: dt.datetime
    text: str
    stream: Stream


@dataclass
class Run:
    """One run of a script from `started`; iterate to get its output, then read `code`."""

    script: Script
    started: dt.datetime
    code: int | None = field(default=None, init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.started)

    def __iter__(self) -> Iterator[Line | Sleep | Await | Provide | Memory]:
        """Yield what happens; whoever iterates waits, and calls `waited` after an Await."""
        for step in self.script(self.clock):
            if isinstance(step, Exit):
                self.code = step.code
                return
            if isinstance(step, Print):
                yield Line(self.clock.now, step.text, step.stream)
                continue
            yield step
            if isinstance(step, Sleep):
                self.clock.now = later(self.clock.now, step.seconds)
        self.code = 0

    def waited(self, until: dt.datetime) -> None:
        """An awaited fact has held since `until`; the clock never goes back."""
        self.clock.now = max(self.clock.now, until)


FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def later(moment: dt.datetime, seconds: float) -> dt.datetime:
    try:
        return moment + dt.timedelta(seconds=seconds)
    except OverflowError:
        return FOREVER


def output(
    script: Script, started: dt.datetime, until: dt.datetime, facts: Facts
) -> Iterator[Line]:
    """What a process that started then has written up to `until`."""
    run = Run(script, started)
    for event in run:
        if run.clock.now > until:
            return
        if isinstance(event, Line):
            yield event
        elif isinstance(event, Sleep) and later(run.clock.now, event.seconds) > until:
            return
        elif isinstance(event, Await):
            since = facts.since(event.fact, event.present)
            if since is None or since > until:
                return
            run.waited(since)
