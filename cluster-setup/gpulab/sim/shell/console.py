"""A main process that is a shell with its standard input open: `kubectl run -it`, `kubectl debug`.

It waits until someone attaches and leaves the shell. What is typed and printed there is not in the
container's log; the exit code is told through a fact of the node.
"""

from __future__ import annotations

import datetime as dt
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gpulab.sim.program import Await, Clock, Exit, Program, Step, Surroundings
from gpulab.sim.shell.image import SHELLS

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

_codes: dict[str, int] = {}  # by fact, from `end` to the moment when the main process wakes up


def is_console(words: Sequence[str], here: Surroundings) -> bool:
    """Whether this main process is such a shell."""
    options = all(re.fullmatch(r"-[^c]*|--\w+", word) for word in words[1:])
    named = bool(words) and posixpath.basename(words[0]) in SHELLS
    return bool(here.container.get("stdin")) and named and options


def program(words: Sequence[str], here: Surroundings) -> Program | None:
    """The main process, if it is such a shell."""
    if here.files is not None or not is_console(words, here):
        return None
    fact = _fact(here.pod["metadata"].get("uid", ""), here.container["name"])

    def script(clock: Clock) -> Iterator[Step]:
        yield Await(fact)
        yield Exit(_codes.pop(fact, 0))

    return Program(script, ignores_term=True)


def end(lifecycle: Lifecycle, code: int) -> None:
    """Leave the shell: the container ends with this code."""
    uid = lifecycle.pod["metadata"]["uid"]
    fact = _fact(uid, lifecycle.container.name)
    _codes[fact] = code
    owner = f"{uid}/{lifecycle.container.name}"  # facts of a container go when it ends
    lifecycle.node.facts.provide(fact, owner, dt.datetime.now(dt.UTC))


def _fact(uid: str, name: str) -> str:
    return f"console-left/{uid}/{name}"
