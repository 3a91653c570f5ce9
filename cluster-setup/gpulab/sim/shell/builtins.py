"""Commands that are the shell itself."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpulab.sim.files import FileProblem
from gpulab.sim.shell.conditions import BadTest, holds
from gpulab.sim.shell.grammar import parse
from gpulab.sim.shell.interpret import Interpreter, Leave
from gpulab.sim.shell.process import Argv, Process, Steps, complain, say

Builtin = Callable[[Argv, Process, Interpreter], Steps]
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "e": "\x1b", "0": "\0"}


def echo(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    words, end, escapes = list(argv[1:]), "\n", process.name == "dash"
    while words and re.fullmatch(r"-[neE]+", words[0]):
        option = words.pop(0)
        end = "" if "n" in option else end
        escapes = "e" in option or escapes
    text = " ".join(words)
    yield say((unescape(text) if escapes else text) + end)
    return 0


def unescape(text: str) -> str:
    return re.sub(r"\\([ntr\\ae0])", lambda m: ESCAPES[m[1]], text)


def printf(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """`%s`, `%d` and `%%`; the format is used again while arguments are left."""
    if len(argv) < 2:
        return (yield from complain("printf: usage: printf format [arguments]", 2))
    arguments, text = list(argv[2:]), ""
    while True:
        left = len(arguments)

        def take(found: re.Match[str]) -> str:
            if found[1] == "%":
                return "%"
            value = arguments.pop(0) if arguments else ""
            return value if found[1] == "s" else str(int(value or 0))

        try:
            text += re.sub(r"%([sd%])", take, unescape(argv[1]))
        except ValueError:
            return (yield from complain("printf: expected numeric value"))
        if not arguments or len(arguments) == left:
            break
    yield say(text)
    return 0


def cd(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    target = argv[1] if len(argv) > 1 else process.variables.get("HOME", "/")
    target = process.variables.get("OLDPWD", "/") if target == "-" else target
    path = process.path(target)
    if not process.files.is_dir(path):
        if process.name == "bash":
            why = "Not a directory" if process.files.exists(path) else "No such file or directory"
            return (yield from complain(f"bash: cd: {target}: {why}"))
        return (yield from complain(f"{process.name}: cd: can't cd to {target}", 2))
    process.variables["OLDPWD"], process.folder = process.folder, path
    process.variables["PWD"] = path
    return 0


def pwd(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield say(f"{process.folder}\n")
    return 0


def leave(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    text = argv[1] if len(argv) > 1 else str(process.code)
    raise Leave("exit", int(text) % 256 if text.isdigit() else 2)
    yield from ()


def jump(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    levels = int(argv[1]) if len(argv) > 1 and argv[1].isdigit() else 1
    raise Leave(argv[0], 0, max(levels, 1))
    yield from ()


def true(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield from ()
    return 0


def false(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield from ()
    return 1


def test(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    words = list(argv[1:])
    if argv[0] == "[":
        if words[-1:] != ["]"]:
            return (yield from complain(f"{process.name}: [: missing ]", 2))
        words.pop()
    try:
        return int(not holds(words, process))
    except BadTest as problem:
        return (yield from complain(f"{process.name}: {argv[0]}: {problem}", 2))


def export(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    words = [word for word in argv[1:] if word != "-p"]
    if not words:
        for name in sorted(process.exported):
            yield say(f"export {name}='{process.variables.get(name, '')}'\n")
    for word in words:
        name, given, value = word.partition("=")
        if given:
            process.variables[name] = value
        process.exported.add(name)
    return 0


def unset(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield from ()
    for name in argv[1:]:
        process.variables.pop(name, None)
        process.exported.discard(name)
    return 0


def set_(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """`set -e`; other options are accepted and change nothing."""
    if len(argv) == 1:
        yield say("".join(f"{n}='{v}'\n" for n, v in sorted(process.variables.items())))
    for word in argv[1:]:
        if re.fullmatch(r"[-+]\w*e\w*", word):
            process.stop_on_error = word[0] == "-"
        elif word == "--":
            process.arguments = list(argv[list(argv).index("--") + 1 :])
    return 0


def shift(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield from ()
    del process.arguments[: int(argv[1]) if len(argv) > 1 and argv[1].isdigit() else 1]
    return 0


def read(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """`read NAME…`: the last name gets the rest of the line."""
    names = [word for word in argv[1:] if not word.startswith("-")] or ["REPLY"]
    line = yield from process.read_line()
    words = line.decode("utf-8", "surrogateescape").strip().split(None, len(names) - 1)
    for index, name in enumerate(names):
        process.variables[name] = words[index] if index < len(words) else ""
    return 0 if line else 1


def env(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """Print variables, or run a command with some more of them."""
    more: dict[str, str] = {}
    rest = list(argv[1:])
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        more[name] = value
    if rest and argv[0] == "env":
        before = dict(process.variables), set(process.exported)
        process.variables |= more
        process.exported |= more.keys()
        try:
            return (yield from shell.call(rest))
        finally:
            process.variables, process.exported = before
    found = process.environment() | more
    if argv[0] == "printenv" and rest:
        yield say("".join(f"{found[name]}\n" for name in rest if name in found))
        return int(not all(name in found for name in rest))
    yield say("".join(f"{name}={value}\n" for name, value in found.items()))
    return 0


def execute(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """`exec command`: the command takes the shell's place."""
    if len(argv) == 1:
        return 0
    raise Leave("exit", (yield from shell.call(list(argv[1:]))))


def evaluate(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    return (yield from shell.sequence(parse(" ".join(argv[1:]))))


def source(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    if len(argv) < 2:
        return (yield from complain(f"{process.name}: {argv[0]}: filename argument required", 2))
    try:
        text = process.files.read(process.path(argv[1])).decode("utf-8", "surrogateescape")
    except FileProblem as problem:
        return (yield from complain(f"{process.name}: {argv[1]}: {problem}"))
    return (yield from shell.sequence(parse(text)))


def which(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    """`which`, `type` and `command -v`; `command` alone runs what follows."""
    names = [word for word in argv[1:] if not word.startswith("-")]
    if argv[0] == "command" and "-v" not in argv:
        return (yield from shell.call(names))
    code = 0
    for name in names:
        if name in shell.builtins:
            yield say(f"{name}\n" if argv[0] != "type" else f"{name} is a shell builtin\n")
        elif shell.knows([name]):
            path = f"/usr/bin/{name}"
            yield say(f"{path}\n" if argv[0] != "type" else f"{name} is {path}\n")
        else:
            code = 1
    return code


def help_(argv: Argv, process: Process, shell: Interpreter) -> Steps:
    yield say("This shell is simulated by gpulab; nothing is executed. It knows:\n")
    names = sorted({*shell.builtins, *shell.commands} - {"[", ".", ":"})
    line = ""
    for name in names:
        if len(line) + len(name) > 76:
            yield say(f"  {line.rstrip()}\n")
            line = ""
        line += f"{name} "
    yield say(f"  {line.rstrip()}\nand what the workload catalogue has, such as nvidia-smi.\n")
    return 0


BUILTINS: dict[str, Builtin] = {
    "echo": echo,
    "printf": printf,
    "cd": cd,
    "pwd": pwd,
    "exit": leave,
    "return": leave,
    "break": jump,
    "continue": jump,
    "true": true,
    ":": true,
    "false": false,
    "test": test,
    "[": test,
    "export": export,
    "unset": unset,
    "set": set_,
    "shift": shift,
    "read": read,
    "env": env,
    "printenv": env,
    "exec": execute,
    "eval": evaluate,
    "source": source,
    ".": source,
    "which": which,
    "type": which,
    "command": which,
    "trap": true,  # read before the script runs: `ignored_term` in `start.py`
    "wait": true,
    "umask": true,
    "help": help_,
}
