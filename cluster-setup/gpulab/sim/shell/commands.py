"""Programs over the container's files: cat, ls, cp and their like, with busybox's words."""

from __future__ import annotations

import math
import posixpath
import re
import stat
import time

from gpulab.sim.files import FileProblem
from gpulab.sim.program import Listen, Memory, Remove, Sleep
from gpulab.sim.program import Write as Wrote
from gpulab.sim.shell.archive import tar
from gpulab.sim.shell.disk import DISK, ENDLESS
from gpulab.sim.shell.process import Argv, Command, Process, Steps, complain, each_file, say
from gpulab.sim.shell.text import TEXT

MORE_THAN_ANY_NODE_HAS = 1e9  # MiB


def options(argv: Argv) -> tuple[str, list[str]]:
    """Letters given as options, and what is left."""
    letters = "".join(w[1:] for w in argv[1:] if w.startswith("-") and w != "-" and w != "--")
    return letters, [w for w in argv[1:] if not (w.startswith("-") and w != "-")]


def cat(argv: Argv, process: Process) -> Steps:
    _, paths = options(argv)
    code = 0
    for path in paths or ["-"]:
        if path == "-":
            while chunk := (yield from process.read_line()):
                yield say(chunk)
            continue
        try:
            yield say(process.files.read(process.path(path)))
        except FileProblem as problem:
            text = f"can't open '{path}': {problem}" if "No such" in str(problem) else str(problem)
            code = yield from complain(f"cat: {text}")
    return code


def ls(argv: Argv, process: Process) -> Steps:
    letters, paths = options(argv)
    code, several = 0, len(paths) > 1
    for path in paths or ["."]:
        where = process.path(path)
        if not process.files.exists(where):
            code = yield from complain(f"ls: {path}: No such file or directory")
            continue
        folder = process.files.is_dir(where) and "d" not in letters
        names = process.files.names(where) if folder else [path]
        if folder and several:
            yield say(f"{path}:\n")
        shown = [name for name in names if not name.startswith(".") or "a" in letters or not folder]
        for name in shown:
            full = posixpath.join(where, name) if folder else where
            yield say(_long(process, full, name) if "l" in letters else f"{name}\n")
    return code


def _long(process: Process, path: str, name: str) -> str:
    file = process.files.get(path)
    assert file is not None
    kind = stat.S_IFDIR if file.data is None else stat.S_IFREG
    size = 4096 if file.data is None else file.size
    when = time.strftime("%b %e %H:%M", time.gmtime(file.changed))
    return f"{stat.filemode(kind | file.mode)}    1 root     root     {size:9} {when} {name}\n"


def mkdir(argv: Argv, process: Process) -> Steps:
    letters, paths = options(argv)
    code = 0
    for path in paths:
        try:
            yield from _make(process, process.path(path), "p" in letters)
        except FileProblem as problem:
            code = yield from complain(f"mkdir: can't create directory '{path}': {problem}")
    return code


def _make(process: Process, path: str, parents: bool) -> Steps:
    if parents:
        if process.files.is_dir(path):
            return 0
        yield from _make(process, posixpath.dirname(path), True)
    process.files.make_directory(path)
    yield Wrote(path, None)
    return 0


def touch(argv: Argv, process: Process) -> Steps:
    code = 0
    for path in options(argv)[1]:
        if process.files.is_dir(process.path(path)):
            continue
        try:
            yield from process.write(process.path(path), b"", append=True)
        except FileProblem as problem:
            code = yield from complain(f"touch: {path}: {problem}")
    return code


def rm(argv: Argv, process: Process) -> Steps:
    letters, paths = options(argv)
    code = 0
    for path in paths:
        where = process.path(path)
        try:
            if process.files.is_dir(where) and not set(letters) & {"r", "R"}:
                raise FileProblem("is a directory" if argv[0] == "rm" else "Directory not empty")
            process.files.remove(where)
            yield Remove(where)
        except FileProblem as problem:
            if "f" not in letters or "No such" not in str(problem):
                code = yield from complain(f"rm: can't remove '{path}': {problem}")
    return code


def cp(argv: Argv, process: Process) -> Steps:
    """Copy files, with -r folders; `mv` also removes where it copied from."""
    letters, paths = options(argv)
    name = posixpath.basename(argv[0])
    if len(paths) < 2:
        return (yield from complain(f"{name}: missing file operand"))
    target, code = process.path(paths[-1]), 0
    for path in paths[:-1]:
        source = process.path(path)
        into = posixpath.join(target, posixpath.basename(source))
        try:
            goal = into if process.files.is_dir(target) else target
            yield from _copy(process, source, goal, name == "mv" or bool(set(letters) & set("rRa")))
            if name == "mv":
                process.files.remove(source)
                yield Remove(source)
        except FileProblem as problem:
            code = yield from complain(f"{name}: can't stat '{path}': {problem}")
    return code


def _copy(process: Process, source: str, target: str, deep: bool) -> Steps:
    if not process.files.is_dir(source):
        return (yield from process.write(target, process.files.read(source)))
    if not deep:
        raise FileProblem("it is a directory; use -r")
    yield from _make(process, target, True)
    for name in process.files.names(source):
        below = posixpath.join(source, name), posixpath.join(target, name)
        yield from _copy(process, *below, deep)
    return 0


def find(argv: Argv, process: Process) -> Steps:
    paths = [word for word in argv[1:] if not word.startswith("-")][:1] or ["."]
    start = process.path(paths[0])
    if not process.files.exists(start):
        return (yield from complain(f"find: {paths[0]}: No such file or directory"))
    if any(word.startswith("-") for word in argv[1:]):
        return (yield from complain("find: gpulab models no conditions, only `find PATH`"))
    for path in process.files.walk(start):
        yield say(paths[0] + path.removeprefix(start) + "\n")
    return 0


def tail(argv: Argv, process: Process) -> Steps:
    """`-n N`, and `-f`, which waits for ever; `tail /dev/zero` takes all memory, as anywhere."""
    count = int(found[1]) if (found := re.search(r"-n? ?(\d+)", " ".join(argv[1:]))) else 10
    words = re.sub(r"-n? ?\d+", "", " ".join(argv[1:])).split()
    paths = [word for word in words if not word.startswith("-")]
    if any(path in ENDLESS for path in paths):
        yield Memory(MORE_THAN_ANY_NODE_HAS)
        yield Sleep(math.inf)
    if paths != ["/dev/null"]:
        for data in (yield from each_file("tail", paths, process)):
            yield say(b"".join((data or b"").splitlines(keepends=True)[-count:] if count else []))
    if set(words) & {"-f", "-F"}:
        yield Sleep(math.inf)
    return 0


def date(argv: Argv, process: Process) -> Steps:
    """`date` and `date +FORMAT`, in UTC."""
    given = next((word[1:] for word in argv[1:] if word.startswith("+")), "%a %b %e %T UTC %Y")
    text = process.clock.now.strftime(given.replace("%s", str(int(process.clock.now.timestamp()))))
    yield say(f"{text}\n")
    return 0


def ps(argv: Argv, process: Process) -> Steps:
    """The main process and this one: gpulab models no others."""
    spec = process.here.container
    main = (
        " ".join([*(spec.get("command") or []), *(spec.get("args") or [])]) or "(the image's own)"
    )
    yield say(f"PID   USER     TIME  COMMAND\n    1 root      0:00 {main}\n")
    if process.here.files is not None:
        yield say(f"    7 root      0:00 {' '.join(argv)}\n")
    return 0


def facts(argv: Argv, process: Process) -> Steps:
    """One-line answers about who and where one is."""
    here, name = process.here, posixpath.basename(argv[0])
    answers = {
        "id": "uid=0(root) gid=0(root) groups=0(root)",
        "whoami": "root",
        "uname": "Linux" if len(argv) == 1 else f"Linux {here.hostname} simulated x86_64 GNU/Linux",
        "hostname": here.ip if "-i" in argv or "-I" in argv else here.hostname,
        "tty": "/dev/pts/0" if process.interactive else "not a tty",
        "nproc": "1",
        "arch": "x86_64",
        "clear": "\x1b[H\x1b[2J",
        "stty": "{} {}".format(*here.stdin.size),
    }
    yield say(answers[name] + ("" if name == "clear" else "\n"))
    return 0


def serve(argv: Argv, process: Process) -> Steps:
    """As busybox has it: `httpd -f -p PORT -h FOLDER`."""
    words = dict(zip(argv[1:], [*argv[2:], ""], strict=True))
    port = words.get("-p", "80").rpartition(":")[2]
    yield Listen(int(port) if port.isdigit() else 80, process.path(words.get("-h", ".")))
    yield Sleep(math.inf if any("f" in w for w in argv[1:] if w.startswith("-")) else 0)
    return 0


COMMANDS: dict[str, Command] = {
    "cat": cat,
    "ls": ls,
    "mkdir": mkdir,
    "touch": touch,
    "rm": rm,
    "rmdir": rm,
    "cp": cp,
    "mv": cp,
    "find": find,
    "tail": tail,
    "date": date,
    "ps": ps,
    "tar": tar,
    "httpd": serve,
    **dict.fromkeys(
        ("id", "whoami", "uname", "hostname", "tty", "nproc", "arch", "clear", "stty"), facts
    ),
    **DISK,
    **TEXT,
}
