"""Runs what the grammar has read, as steps in time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator

from gpulab.sim.files import FileProblem
from gpulab.sim.program import Print, Stdin, Step, Stream
from gpulab.sim.shell.expand import Expander
from gpulab.sim.shell.process import Process, Steps, complain, raw, run, tap
from gpulab.sim.shell.syntax import (
    Command,
    For,
    Group,
    If,
    Loop,
    Pipeline,
    Redirect,
    Sequence,
    ShellError,
    Simple,
)

CAPTURED = 2**20  # bytes of output that a pipe or a substitution may hold
# built-in commands whose assignments stay (POSIX, 2.14)
SPECIAL = (":", ".", "eval", "exec", "export", "return", "set", "shift", "trap", "unset", "exit")
STREAMS: dict[str, Stream] = {"/dev/stdout": "stdout", "/dev/stderr": "stderr"}
Catalogue = dict[str, Callable[..., Steps]]


class Leave(Exception):
    """`exit`, `break` and `continue` on their way up."""

    def __init__(self, what: str, code: int = 0, levels: int = 1) -> None:
        super().__init__(what)
        self.what, self.code, self.levels = what, code, levels


class Interpreter:
    """One shell. `builtins` work on the shell itself, `commands` are programs of ours."""

    def __init__(self, process: Process, builtins: Catalogue, commands: Catalogue) -> None:
        self.process = process
        self.builtins, self.commands = builtins, commands
        self._expander = Expander(process, self._capture)
        self._substituted = 0  # exit code of the last `$(…)`

    def sequence(self, node: Sequence) -> Steps:
        process = self.process
        joints = [joint for joint, _ in node.items] + [";"]
        for (joint, pipeline), following in zip(node.items, joints[1:], strict=True):
            if (joint == "&&" and process.code) or (joint == "||" and not process.code):
                continue
            process.code = yield from self._pipeline(pipeline)
            strict = process.stop_on_error and following == ";" and not pipeline.negated
            if process.code and strict:
                raise Leave("exit", process.code)
        return process.code

    def _pipeline(self, node: Pipeline) -> Steps:
        given: bytes | None = None
        for command in node.commands[:-1]:
            given = yield from self._collect(self._child(given)._command(command))
        shell = self if len(node.commands) == 1 else self._child(given)
        last = shell._command(node.commands[-1])
        code = yield from (last if shell is self else shell._apart(last))
        return int(not code) if node.negated else code

    def _child(self, given: bytes | None = None) -> Interpreter:
        """A subshell: what it changes in its variables and folder ends with it."""
        process = dataclasses.replace(
            self.process,
            variables=dict(self.process.variables),
            exported=set(self.process.exported),
            stdin=self.process.stdin if given is None else Stdin(bytearray(given), True),
        )
        process.budget = self.process.budget
        return Interpreter(process, self.builtins, self.commands)

    def _collect(self, steps: Steps) -> Generator[Step, None, bytes]:
        """Run to the end and keep standard output."""
        kept = bytearray()

        def keep(step: Print) -> Iterator[Step] | None:
            if step.stream == "stderr":
                return None
            if len(kept) > CAPTURED:
                raise ShellError("the output is too long for gpulab")
            kept.extend(raw(step.text))
            return iter(())

        yield from tap(self._apart(steps), keep)
        return bytes(kept)

    def _apart(self, steps: Steps) -> Steps:
        """Run a subshell's steps: how it ends is its own affair."""
        try:
            return (yield from steps)
        except Leave as leave:
            return leave.code
        except ShellError as error:
            return (yield from complain(f"{self.process.name}: {error}", 2))

    def _capture(self, body: Sequence) -> Generator[Step, None, str]:
        child = self._child()

        def steps() -> Steps:
            self._substituted = yield from child._apart(child.sequence(body))
            return self._substituted

        data = yield from self._collect(steps())
        return data.decode("utf-8", "surrogateescape")

    # -- commands

    def _command(self, node: Command) -> Steps:
        yield from self.process.budget.spend()
        saved = self.process.stdin
        try:
            steps = yield from self._prepare(node)
            redirected = yield from self._redirect(steps, node.redirects)
            return (yield from redirected)
        except FileProblem as problem:
            return (yield from complain(f"{self.process.name}: {problem}"))
        finally:
            self.process.stdin = saved

    def _prepare(self, node: Command) -> Generator[Step, None, Steps]:
        """What a shell does before it opens the files of the redirections: it expands words."""
        if isinstance(node, Simple):
            words: list[str] = []
            for word in node.words:
                words += yield from self._expander.fields(word)
            return self._simple(node, words)
        kinds: dict[type, Callable[..., Steps]] = {
            Loop: self._loop,
            For: self._for,
            If: self._if,
            Group: self._group,
        }
        return kinds[type(node)](node)

    def _loop(self, node: Loop) -> Steps:
        code = 0
        while True:
            met = yield from self._condition(node.condition)
            if met is node.until:
                return code
            try:
                code = yield from self.sequence(node.body)
            except Leave as leave:
                if _ends_loop(leave):
                    return code

    def _for(self, node: For) -> Steps:
        code = 0
        for word in node.words:
            for value in (yield from self._expander.fields(word)):
                self.process.variables[node.name] = value
                try:
                    code = yield from self.sequence(node.body)
                except Leave as leave:
                    if _ends_loop(leave):
                        return code
        return code

    def _if(self, node: If) -> Steps:
        for condition, body in node.branches:
            if condition is None or (yield from self._condition(condition)):
                return (yield from self.sequence(body))
        return 0

    def _condition(self, node: Sequence) -> Generator[Step, None, bool]:
        """Whether it succeeds; `set -e` does not count here."""
        strict, self.process.stop_on_error = self.process.stop_on_error, False
        try:
            return (yield from self.sequence(node)) == 0
        finally:
            self.process.stop_on_error = strict

    def _group(self, node: Group) -> Steps:
        if not node.subshell:
            return (yield from self.sequence(node.body))
        child = self._child()
        return (yield from child._apart(child.sequence(node.body)))

    def _simple(self, node: Simple, words: list[str]) -> Steps:
        process = self.process
        values = {}
        for name, word in node.assignments:
            values[name] = yield from self._expander.one(word)
        if not words:
            process.variables |= values
            return self._substituted if _substitutes(node) else 0
        before = dict(process.variables), set(process.exported)
        process.variables |= values
        process.exported |= values.keys()
        try:
            return (yield from self.call(words))
        finally:
            if values and words[0] not in SPECIAL:
                process.variables, process.exported = before

    def knows(self, words: list[str]) -> bool:
        """Whether such a command would be found."""
        name = words[0].rpartition("/")[2]
        known = words[0] in self.builtins or name in self.commands
        return known or self.process.find(words, self.process) is not None

    def call(self, words: list[str]) -> Steps:
        """Run a command by name: built in, of the catalogue, of ours."""
        process = self.process
        if command := self.builtins.get(words[0]):
            return (yield from command(words, process, self))
        script = process.find(words, process)
        if script is not None:
            return (yield from run(script, process.clock))
        if command := self.commands.get(words[0].rpartition("/")[2]):
            return (yield from command(words, process))
        return (yield from complain(unknown(process, words[0]), 127))

    # -- redirections

    def _redirect(
        self, steps: Steps, redirects: tuple[Redirect, ...]
    ) -> Generator[Step, None, Steps]:
        """Open the files, then give the steps with their output led there."""
        process = self.process
        targets: dict[str, str] = {"stdout": "/dev/stdout", "stderr": "/dev/stderr"}
        for one in redirects:
            text = yield from self._expander.one(one.target)
            if one.operator == "<<":
                process.stdin = Stdin(bytearray(raw(text)), True)
            elif one.operator == "<":
                process.stdin = Stdin(bytearray(self._read(text)), True)
            elif one.operator == ">&":
                targets[_stream(one.fd)] = targets[_stream(int(text) if text.isdigit() else 1)]
            else:
                path = process.path(text)
                if path != "/dev/null":
                    yield from self._open(path, text, one.operator == ">>")
                for stream in ("stdout", "stderr") if one.fd < 0 else (_stream(one.fd),):
                    targets[stream] = path
        return (
            tap(steps, lambda step: self._lead(step, targets[step.stream])) if redirects else steps
        )

    def _lead(self, step: Print, target: str) -> Iterator[Step] | None:
        if target == "/dev/null":
            return iter(())
        if target in STREAMS:
            stream = STREAMS[target]
            return None if stream == step.stream else iter([Print(step.text, stream)])
        return self.process.write(target, raw(step.text), append=True)

    def _open(self, path: str, name: str, append: bool) -> Steps:
        if path in STREAMS:
            return 0
        try:
            return (yield from self.process.write(path, b"", append=append))
        except FileProblem as problem:
            raise FileProblem(f"can't create {name}: {_words(problem)}") from None

    def _read(self, name: str) -> bytes:
        if name == "/dev/null":
            return b""
        try:
            return self.process.files.read(self.process.path(name))
        except FileProblem as problem:
            raise FileProblem(f"can't open {name}: {_words(problem)}") from None


def unknown(process: Process, word: str) -> str:
    """What a shell says of a command that is not there, and why it may be missing here."""
    if process.name == "bash":
        where = "bash" if process.interactive else "bash: line 1"
        return f"{where}: {word}: command not found (not simulated by gpulab; `help` lists what is)"
    return f"{process.name}: {word}: not found (not simulated by gpulab; `help` lists what is)"


def _words(problem: FileProblem) -> str:
    text = str(problem)
    return "nonexistent directory" if text == "No such file or directory" else text


def _stream(fd: int) -> Stream:
    return "stderr" if fd == 2 else "stdout"


def _substitutes(node: Simple) -> bool:
    from gpulab.sim.shell.syntax import Substitution

    parts = [part for _, word in node.assignments for part in word.parts]
    return any(isinstance(part, Substitution) for part in parts)


def _ends_loop(leave: Leave) -> bool:
    """Whether a loop ends with this; raises what is not about loops, or about an outer one."""
    if leave.what == "exit":
        raise leave
    if leave.levels > 1:
        raise Leave(leave.what, leave.code, leave.levels - 1)
    return leave.what == "break"
