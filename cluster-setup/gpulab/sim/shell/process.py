"""What a command of the shell works with, and how it speaks to whoever runs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from gpulab.sim.files import FileProblem, Files, resolve
from gpulab.sim.program import (
    Clock,
    Exit,
    Print,
    Read,
    Script,
    Sleep,
    Stdin,
    Step,
    Surroundings,
)
from gpulab.sim.program import Write as Wrote

Argv = Sequence[str]
Steps = Generator[Step, None, int]  # its value is the exit code
Find = Callable[[Argv, "Process"], Script | None]
BURST, PER_SECOND = 1000, 100  # commands that cost no time: a loop without pause must not stop all
PAUSE = 0.05


@dataclass
class Budget:
    """Counts commands, so that a script without pauses still takes time."""

    clock: Clock
    began: dt.datetime = field(init=False)
    used: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock.now

    def spend(self) -> Iterator[Step]:
        self.used += 1
        elapsed = (self.clock.now - self.began).total_seconds()
        if self.used > BURST + PER_SECOND * elapsed:
            yield Sleep(PAUSE)


@dataclass
class Process:
    """One process of a container: its surroundings, variables, files and standard input."""

    here: Surroundings
    clock: Clock
    files: Files
    variables: dict[str, str]
    stdin: Stdin
    find: Find  # programs that are not the shell's own
    name: str = "sh"  # as which the shell was called
    script: str = ""  # $0, if not that name
    arguments: list[str] = field(default_factory=list)
    exported: set[str] = field(default_factory=set)
    folder: str = "/"
    code: int = 0
    interactive: bool = False
    stop_on_error: bool = False
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.clock)

    def environment(self) -> dict[str, str]:
        """What a child process sees."""
        return {name: self.variables[name] for name in self.variables if name in self.exported}

    def path(self, name: str) -> str:
        return resolve(self.folder, name)

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> Steps:
        """Change a file; the step tells whoever keeps the container's files."""
        self.files.write(path, data, append=append, mode=mode)
        yield Wrote(path, data, append)
        return 0

    def allocate(self, path: str, size: int) -> Steps:
        """Make a file of zeros."""
        self.files.allocate(path, size)
        yield Wrote(path, b"", zeros=size)
        return 0

    def read_all(self) -> Generator[Step, None, bytes]:
        """Standard input up to its end."""
        while not self.stdin.closed:
            yield Read()
        data = bytes(self.stdin.buffer)
        self.stdin.buffer.clear()
        self._reopen()
        return data

    def read_line(self) -> Generator[Step, None, bytes]:
        """The next line with its end; empty at the end of the input."""
        while b"\n" not in self.stdin.buffer and not self.stdin.closed:
            yield Read()
        line, newline, rest = bytes(self.stdin.buffer).partition(b"\n")
        self.stdin.buffer[:] = rest
        if not line + newline:
            self._reopen()
        return line + newline

    def _reopen(self) -> None:
        """Ctrl-D ends a terminal's input for one reader only."""
        self.stdin.closed = self.stdin.closed and not self.stdin.terminal


Command = Callable[[Argv, Process], Steps]


def say(data: bytes | str) -> Print:
    """Output; bytes that are no text pass unchanged (surrogate escapes)."""
    return Print(data if isinstance(data, str) else data.decode("utf-8", "surrogateescape"))


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def complain(text: str, code: int = 1) -> Steps:
    yield Print(f"{text}\n", "stderr")
    return code


def run(script: Script, clock: Clock) -> Steps:
    """A program of the catalogue: its Exit becomes the value."""
    for step in script(clock):
        if isinstance(step, Exit):
            return step.code
        yield step
    return 0


def tap(steps: Steps, take: Callable[[Print], Iterator[Step] | None]) -> Steps:
    """Pass steps on; what `take` wants of the output is replaced by what it returns."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return int(end.value or 0)
        taken = take(step) if isinstance(step, Print) else None
        if taken is None:
            yield step
        else:
            yield from taken


def each_file(name: str, argv: Argv, process: Process) -> Generator[Step, None, list[bytes | None]]:
    """Contents of the files in `argv`, or standard input without any; None where that failed."""
    found: list[bytes | None] = []
    for path in argv or ["-"]:
        if path == "-":
            found.append((yield from process.read_all()))
            continue
        try:
            found.append(process.files.read(process.path(path)))
        except FileProblem as problem:
            yield Print(f"{name}: {path}: {problem}\n", "stderr")
            found.append(None)
    return found
