"""Programs over lines: grep, head, wc, sort and their like."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from gpulab.sim.program import Step
from gpulab.sim.shell.process import Argv, Command, Process, Steps, complain, each_file, say

Lines = list[bytes]
MOST = 100_000  # numbers of one `seq`


def _input(name: str, paths: list[str], process: Process) -> Generator[Step, None, Lines]:
    found = yield from each_file(name, paths, process)
    return [line for data in found for line in (data or b"").splitlines(keepends=True)]


def _whole(lines: Lines) -> bytes:
    return b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)


def grep(argv: Argv, process: Process) -> Steps:
    """`-i`, `-v`, `-c`, `-q`, `-n`, `-o`, `-E`, `-F`."""
    letters = "".join(word[1:] for word in argv[1:] if word.startswith("-"))
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not words:
        return (yield from complain("grep: no pattern", 2))
    text = re.escape(words[0]) if "F" in letters else words[0]
    if "E" not in letters:
        text = text.replace("\\|", "|")
    try:
        pattern = re.compile(text.encode(), re.IGNORECASE if "i" in letters else 0)
    except re.error:
        return (yield from complain(f"grep: bad regex '{words[0]}'", 2))
    lines = yield from _input("grep", words[1:], process)
    found = [
        (n, one) for n, one in enumerate(lines, 1) if bool(pattern.search(one)) != ("v" in letters)
    ]
    if "c" in letters:
        yield say(f"{len(found)}\n")
    elif "o" in letters:
        yield say(_whole([match for _, one in found for match in pattern.findall(one)]))
    elif "q" not in letters:
        yield say(_whole([(f"{n}:".encode() if "n" in letters else b"") + one for n, one in found]))
    return int(not found)


def head(argv: Argv, process: Process) -> Steps:
    count = int(found[1]) if (found := re.search(r"-n? ?(\d+)", " ".join(argv[1:]))) else 10
    paths = [word for word in re.sub(r"-n? ?\d+", "", " ".join(argv[1:])).split()]
    yield say(b"".join((yield from _input("head", paths, process))[:count]))
    return 0


def wc(argv: Argv, process: Process) -> Steps:
    letters = "".join(word[1:] for word in argv[1:] if word.startswith("-")) or "lwc"
    paths = [word for word in argv[1:] if not word.startswith("-")]
    data = b"".join((yield from _input("wc", paths, process)))
    counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
    shown = [str(counts[letter]) for letter in "lwc" if letter in letters]
    name = f" {paths[0]}" if len(paths) == 1 else ""
    yield say(
        (shown[0] if len(shown) == 1 else "".join(f"{one:>8}" for one in shown)) + f"{name}\n"
    )
    return 0


def _reordered(name: str, change: Callable[[Lines, str], Lines]) -> Command:
    """A program that prints its lines in another order."""

    def command(argv: Argv, process: Process) -> Steps:
        letters = "".join(word[1:] for word in argv[1:] if word.startswith("-"))
        paths = [word for word in argv[1:] if not word.startswith("-")]
        lines = yield from _input(name, paths, process)
        yield say(_whole(change([line.rstrip(b"\n") for line in lines], letters)))
        return 0

    return command


def _sort(lines: Lines, letters: str) -> Lines:
    def number(line: bytes) -> float:
        found = re.match(rb"\s*-?\d+(\.\d+)?", line)
        return float(found[0]) if found else 0.0

    lines = sorted(set(lines)) if "u" in letters else sorted(lines)
    lines = sorted(lines, key=number) if "n" in letters else lines
    return lines[::-1] if "r" in letters else lines


def _unique(lines: Lines, letters: str) -> Lines:
    kept: list[tuple[bytes, int]] = []
    for line in lines:
        if kept and kept[-1][0] == line:
            kept[-1] = (line, kept[-1][1] + 1)
        else:
            kept.append((line, 1))
    return [f"{n:7} ".encode() + line if "c" in letters else line for line, n in kept]


def tee(argv: Argv, process: Process) -> Steps:
    data = yield from process.read_all()
    for path in (word for word in argv[1:] if not word.startswith("-")):
        yield from process.write(process.path(path), data, append="-a" in argv)
    yield say(data)
    return 0


def seq(argv: Argv, process: Process) -> Steps:
    numbers = [int(word) for word in argv[1:] if word.lstrip("-").isdigit()]
    if not numbers or len(numbers) != len(argv) - 1 or len(numbers) > 3:
        return (yield from complain("seq: gpulab models whole numbers: seq [FIRST [STEP]] LAST"))
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    if step == 0 or (numbers[-1] - first) / step > MOST:
        return (yield from complain(f"seq: gpulab counts {MOST} numbers at most"))
    yield say("".join(f"{n}\n" for n in range(first, numbers[-1] + (1 if step > 0 else -1), step)))
    return 0


def basename(argv: Argv, process: Process) -> Steps:
    path = (argv[1] if len(argv) > 1 else "").rstrip("/")
    before, _, last = path.rpartition("/")
    yield say(f"{last if argv[0] == 'basename' else before or '.'}\n")
    return 0


TEXT: dict[str, Command] = {
    "grep": grep,
    "head": head,
    "wc": wc,
    "sort": _reordered("sort", _sort),
    "uniq": _reordered("uniq", _unique),
    "tac": _reordered("tac", lambda lines, _: lines[::-1]),
    "tee": tee,
    "seq": seq,
    "basename": basename,
    "dirname": basename,
}
