"""From a command line to a program: who runs it, and whether all of it is modelled."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from gpulab.sim.files import Files
from gpulab.sim.program import Clock, Exit, Print, Program, Script, Step, Surroundings
from gpulab.sim.shell import image
from gpulab.sim.shell.builtins import BUILTINS
from gpulab.sim.shell.commands import COMMANDS
from gpulab.sim.shell.grammar import parse
from gpulab.sim.shell.interpret import Interpreter, Leave
from gpulab.sim.shell.process import Argv, Process, Steps, complain
from gpulab.sim.shell.session import converse
from gpulab.sim.shell.syntax import For, Group, If, Loop, Sequence, ShellError, Simple

Find = Callable[[Argv], Script | None]
Volumes = Callable[[], Mapping[str, Files]]


class Starter:
    """Makes programs for one container; `find` knows the workload catalogue."""

    def __init__(self, here: Surroundings, find: Find, volumes: Volumes) -> None:
        self._here, self._find, self._volumes = here, find, volumes

    def program(self, argv: Argv) -> Program | None:
        """A program that runs `argv` itself or as a shell would; None if it is not modelled."""
        name = posixpath.basename(argv[0])
        if name in image.SHELLS:
            return self._shell(argv, name)
        if name in COMMANDS or name in BUILTINS:
            return Program(
                self._script(lambda shell: shell.call([name, *argv[1:]])), ignores_term=True
            )
        return None

    def _shell(self, argv: Argv, name: str) -> Program | None:
        letters, rest = _options(argv)
        if "c" not in letters:
            return Program(
                self._script(lambda shell: _converse(shell, rest), name), ignores_term=True
            )
        text = rest[0] if rest else ""
        try:
            tree = parse(text)
        except ShellError as error:
            wrong = str(error)
            return self._refused(name, wrong) if self._beside or "gpulab" not in wrong else None
        if not self._beside and not self._models(tree):
            return None

        def start(shell: Interpreter) -> Steps:
            shell.process.script = rest[1] if len(rest) > 1 else ""
            shell.process.arguments = list(rest[2:])
            shell.process.stop_on_error = "e" in letters
            return shell.sequence(tree)

        code = _trap(tree)
        return Program(self._script(start, name), ignores_term=code is None, term_code=code or 0)

    @property
    def _beside(self) -> bool:
        """Whether this runs beside the main process, and may thus find out as it goes."""
        return self._here.files is not None

    def _script(self, start: Callable[[Interpreter], Steps], name: str = "sh") -> Script:
        def script(clock: Clock) -> Iterator[Step]:
            yield Exit((yield from _guarded(start, self._interpreter(clock, name))))

        return script

    def _interpreter(self, clock: Clock, name: str) -> Interpreter:
        here = self._here
        variables = here.environment() | ({"TERM": "xterm"} if here.stdin.terminal else {})
        process = Process(
            here=here,
            clock=clock,
            files=here.files or image.files(here, self._volumes()),
            variables=variables,
            stdin=here.stdin,
            find=self._child,
            name=name,
            exported=set(variables),
            interactive=here.stdin.terminal,
            folder=here.container.get("workingDir") or "/",
        )
        if not process.files.is_dir(process.folder):
            process.files.add(process.folder)
        variables["PWD"] = process.folder
        return Interpreter(process, BUILTINS, COMMANDS)

    def _child(self, words: Argv, process: Process) -> Script | None:
        """A command within a shell: of the catalogue, or another shell."""
        name = posixpath.basename(words[0])
        if name not in image.SHELLS:
            return self._find(words)
        if not image.has_shell(self._here.container["image"], name):
            return None

        def script(clock: Clock) -> Iterator[Step]:
            inner = self._interpreter(clock, name)
            inner.process.files, inner.process.stdin = process.files, process.stdin
            inner.process.variables = process.environment()
            inner.process.folder, inner.process.budget = process.folder, process.budget
            inner.process.interactive = process.interactive
            yield Exit((yield from _guarded(lambda shell: _nested(shell, words), inner)))

        return script

    def _models(self, tree: Sequence) -> bool:
        """Whether every command of a script has a meaning, so that it can be a main process."""
        return all(self._means(command) for command in _commands(tree))

    def _means(self, command: Simple) -> bool:
        if not command.words:
            return True
        name = command.words[0].literal
        if name is None:
            return False
        if name in BUILTINS or posixpath.basename(name) in COMMANDS:
            return True
        words = [word.literal or "0" for word in command.words]
        if posixpath.basename(name) in image.SHELLS:
            return self._shell(words, posixpath.basename(name)) is not None
        return self._find(words) is not None

    def _refused(self, name: str, wrong: str) -> Program:
        return Program(lambda clock: iter([Print(f"{name}: 1: {wrong}\n", "stderr"), Exit(2)]))


def _guarded(start: Callable[[Interpreter], Steps], shell: Interpreter) -> Steps:
    try:
        return (yield from start(shell))
    except Leave as leave:
        return leave.code
    except ShellError as error:
        return (yield from complain(f"{shell.process.name}: {error}", 2))
    except RecursionError:
        return (yield from complain(f"{shell.process.name}: nested too deeply for gpulab", 2))


def _converse(shell: Interpreter, rest: list[str]) -> Steps:
    """A shell without -c: a script file, or what comes in."""
    if rest:
        shell.process.arguments = rest[1:]
        return BUILTINS["source"](["source", rest[0]], shell.process, shell)
    return converse(shell)


def _nested(shell: Interpreter, words: Argv) -> Steps:
    letters, rest = _options(words)
    if "c" in letters:
        shell.process.script = rest[1] if len(rest) > 1 else ""
        shell.process.arguments = rest[2:]
        return shell.sequence(parse(rest[0] if rest else ""))
    return _converse(shell, rest)


def _options(argv: Argv) -> tuple[str, list[str]]:
    letters, rest = "", list(argv[1:])
    while rest and re.fullmatch(r"-\w+|--\w*", rest[0]):
        word = rest.pop(0)
        letters += word.lstrip("-") if not word.startswith("--") else ""
    return letters, rest


def _commands(tree: Sequence) -> Iterator[Simple]:
    """All simple commands of a script, outside substitutions."""
    for _, pipeline in tree.items:
        for command in pipeline.commands:
            if isinstance(command, Simple):
                yield command
            elif isinstance(command, If):
                for condition, body in command.branches:
                    yield from _commands(condition or Sequence())
                    yield from _commands(body)
            elif isinstance(command, Loop):
                yield from _commands(command.condition)
                yield from _commands(command.body)
            elif isinstance(command, For | Group):
                yield from _commands(command.body)


def _trap(tree: Sequence) -> int | None:
    """Exit code after a SIGTERM that the script catches and exits on; None if it does not.

    A shell that waits for a child as pid 1 gets no default handler for SIGTERM either.
    """
    for command in _commands(tree):
        words = [word.literal or "" for word in command.words]
        if words[:1] == ["trap"] and {"TERM", "SIGTERM", "15"} & set(words[2:]):
            found = re.search(r"\bexit\b\s*(\d*)", words[1])
            return None if found is None else int(found[1] or 0)
    return None
