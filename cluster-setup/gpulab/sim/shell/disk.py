"""Programs that fill a disk: dd and fallocate. A file of zeros is counted, not kept."""

from __future__ import annotations

import math
import re
from collections.abc import Generator

from gpulab.sim.files import FileProblem
from gpulab.sim.program import Print, Sleep, Step
from gpulab.sim.shell.process import Argv, Command, Process, Steps, complain

ENDLESS = ("/dev/zero", "/dev/urandom", "/dev/random")
UNITS = {"": 1, "c": 1, "w": 2, "b": 512, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
BINARY = {letter: 1024**power for power, letter in enumerate("KMGT", 1)}


def amount(text: str) -> int | None:
    """Bytes of an amount as dd writes it; None if it is none.

    >>> amount("1M"), amount("2KiB"), amount("3b"), amount("many")
    (1048576, 2048, 1536, None)
    """
    found = re.fullmatch(r"(\d+)([a-zA-Z]*)", text)
    if found is None:
        return None
    unit = found[2] if found[2] in UNITS else found[2].removesuffix("iB").upper()
    factor = (UNITS | BINARY).get(unit)
    return None if factor is None else int(found[1]) * factor


def dd(argv: Argv, process: Process) -> Steps:
    """`if=/dev/zero of=FILE bs=SIZE count=N`; the line with the time taken is left out."""
    words = {"bs": "512"} | dict(word.split("=", 1) for word in argv[1:] if "=" in word)
    source, target = words.get("if", ""), words.get("of", "")
    block, count = amount(words["bs"]), amount(words.get("count", "0"))
    if block is None or count is None:
        bad = words["bs"] if block is None else words["count"]
        return (yield from complain(f"dd: invalid number '{bad}'"))
    if source not in ENDLESS or not target:
        return (yield from complain("dd: gpulab models only if=/dev/zero (or urandom) of=FILE"))
    if not count:
        yield Sleep(math.inf)
    if target != "/dev/null" and (problem := (yield from _fill(process, target, block * count))):
        return (yield from complain(f"dd: can't open '{target}': {problem}"))
    yield Print(f"{count}+0 records in\n{count}+0 records out\n", "stderr")
    return 0


def fallocate(argv: Argv, process: Process) -> Steps:
    """`-l SIZE FILE`."""
    found = re.fullmatch(r"-l ?(\S+) (\S+)", " ".join(argv[1:]))
    size = amount(found[1]) if found else None
    if found is None or size is None:
        return (yield from complain("fallocate: gpulab models `fallocate -l SIZE FILE`"))
    if problem := (yield from _fill(process, found[2], size)):
        return (yield from complain(f"fallocate: can't open '{found[2]}': {problem}"))
    return 0


def _fill(process: Process, name: str, size: int) -> Generator[Step, None, str]:
    """Make a file of zeros; why that is not possible, in the kernel's words."""
    try:
        yield from process.allocate(process.path(name), size)
    except FileProblem as problem:
        return str(problem)
    return ""


DISK: dict[str, Command] = {"dd": dd, "fallocate": fallocate}
