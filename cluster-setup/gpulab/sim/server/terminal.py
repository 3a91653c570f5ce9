"""A terminal's line discipline: echo, backspace, Ctrl-C, Ctrl-D, Ctrl-U; lines are read whole."""

from __future__ import annotations

import re

from gpulab.sim.program import Stdin

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z~]|O[A-Z]|.)")  # arrow keys and their like: ignored
RUB_OUT = "\b \b"


class Terminal:
    """Between what is typed and the process that reads."""

    def __init__(self, stdin: Stdin) -> None:
        self._stdin = stdin
        self._line = ""
        self._partial = b""  # of a character in several bytes

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take what was typed; what the screen shows of it, and whether it was an interrupt."""
        text, self._partial = _decode(self._partial + data)
        echo, interrupted = "", False
        for character in ESCAPE.sub("", text):
            if character == "\x03":
                echo, self._line, interrupted = echo + "^C", "", True
            else:
                echo += self._type(character)
        return echo.encode(), interrupted

    def _type(self, character: str) -> str:
        if character in "\r\n":
            self._enter("\n")
            return "\r\n"
        if character == "\x04":
            self._end()
            return ""
        if character in "\x7f\b":
            shown, self._line = RUB_OUT if self._line else "", self._line[:-1]
            return shown
        if character == "\x15":
            shown, self._line = RUB_OUT * len(self._line), ""
            return shown
        if character == "\t" or character < " ":
            return ""
        self._line += character
        return character

    def _enter(self, end: str) -> None:
        self._stdin.buffer += (self._line + end).encode()
        self._line = ""

    def _end(self) -> None:
        """Ctrl-D: hand over what was typed; on an empty line that is the end of the input."""
        if self._line:
            self._enter("")
        else:
            self._stdin.closed = True


def _decode(data: bytes) -> tuple[str, bytes]:
    """Whole characters, and the bytes of one that is not complete yet."""
    for left in range(min(4, len(data) + 1)):
        whole = data[: len(data) - left]
        try:
            return whole.decode(), data[len(whole) :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""
