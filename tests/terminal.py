"""A pseudo-terminal with a program in it, as a learner sits before one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

SIZE = (40, 132)


class Terminal:
    """Use as a context; it ends the program."""

    def __init__(self, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(*SIZE)
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.text = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def enter(self, line: str, until: str) -> str:
        """Type a line, wait for a pattern in what comes after it, and return that."""
        self.press(line.encode() + b"\r")
        return self.read(until)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read(self, until: str | None = None, seconds: float = 30) -> str:
        """What comes up to a pattern, or up to the end."""
        found, deadline = b"", time.monotonic() + seconds
        while until is None or not re.search(until, found.decode(errors="replace")):
            ready, _, _ = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {until!r} after {found!r}"
            try:
                chunk = os.read(self._ours, 4096)
            except OSError:  # Linux says so that the other side has closed
                break
            if not chunk:
                break
            found += chunk
        return found.decode(errors="replace")

    def code(self) -> int:
        """The program's exit code, once it has ended."""
        self.read()
        return self.process.wait(timeout=10)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
