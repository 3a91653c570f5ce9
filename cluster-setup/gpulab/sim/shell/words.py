"""Reads words: quotes, variables, substitutions."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpulab.sim.shell.syntax import (
    Arithmetic,
    Incomplete,
    Literal,
    Part,
    Sequence,
    ShellError,
    Substitution,
    Variable,
    Word,
)

NAME = re.compile(r"[A-Za-z_]\w*|[0-9?$#@*!]")
PLAIN = re.compile(r"[^\s'\"\\$`|&;()<>]+")
QUOTED_PLAIN = re.compile(r"[^\"\\$`]+")
BRACED = re.compile(r"(#?)([A-Za-z_]\w*|[0-9?$#@*])(:?[-+=])?")
Read = Callable[[str], Sequence]


class WordReader:
    """Reads one word of `text` from `position`; `parse` reads a substitution's script."""

    def __init__(self, text: str, position: int, parse: Read) -> None:
        self.text, self.position, self._parse = text, position, parse

    def read(self) -> Word | None:
        """The word here; None where none begins."""
        parts: list[Part] = []
        began = self.position
        while self.position < len(self.text):
            part = self._unquoted()
            if part is None:
                break
            parts.extend(part)
        return Word(tuple(parts)) if self.position > began else None

    def inside(self) -> Word:
        """The whole text as if in double quotes: a here-document, an arithmetic expression."""
        parts: list[Part] = []
        while self.position < len(self.text):
            parts.append(self._quoted())
        return Word(tuple(parts))

    def _unquoted(self) -> list[Part] | None:
        here = self.text[self.position]
        if found := PLAIN.match(self.text, self.position):
            self.position = found.end()
            return [Literal(found[0])]
        if here == "'":
            return [Literal(self._until("'"), quoted=True)]
        if here == '"':
            return self._double()
        if here == "\\":
            return [self._escaped()]
        if here in "$`":
            return [self._dollar(quoted=False)]
        return None

    def _escaped(self) -> Literal:
        if self.position + 1 >= len(self.text):
            raise Incomplete("a backslash ends the line")
        self.position += 2
        character = self.text[self.position - 1]
        return Literal("" if character == "\n" else character, quoted=True)

    def _until(self, end: str) -> str:
        close = self.text.find(end, self.position + 1)
        if close < 0:
            raise Incomplete(f"Unterminated quoted string: {end} is missing")
        found = self.text[self.position + 1 : close]
        self.position = close + 1
        return found

    def _double(self) -> list[Part]:
        self.position += 1
        parts: list[Part] = [Literal("", quoted=True)]  # "" is a word, too
        while self.position < len(self.text):
            if self.text[self.position] == '"':
                self.position += 1
                return parts
            parts.append(self._quoted())
        raise Incomplete('Unterminated quoted string: " is missing')

    def _quoted(self) -> Part:
        if found := QUOTED_PLAIN.match(self.text, self.position):
            self.position = found.end()
            return Literal(found[0], quoted=True)
        here = self.text[self.position]
        if here in "$`":
            return self._dollar(quoted=True)
        if here == "\\" and self.text[self.position + 1 : self.position + 2] in list('$`"\\\n'):
            return self._escaped()
        self.position += 1
        return Literal(here, quoted=True)

    def _dollar(self, *, quoted: bool) -> Part:
        text, at = self.text, self.position
        if text[at] == "`":
            return Substitution(self._parse(self._until("`")), quoted)
        if text.startswith("$((", at):
            inner = self._enclosed(at + 3, "))")
            return Arithmetic(WordReader(inner, 0, self._parse).inside(), quoted)
        if text.startswith("$(", at):
            return Substitution(self._parse(self._enclosed(at + 2, ")")), quoted)
        if text.startswith("${", at):
            return self._braced(self._enclosed(at + 2, "}"), quoted)
        if found := NAME.match(text, at + 1):
            self.position = found.end()
            return Variable(found[0], quoted)
        self.position += 1
        return Literal("$", quoted)

    def _braced(self, inner: str, quoted: bool) -> Variable:
        found = BRACED.match(inner)
        if found is None or (found.end() < len(inner) and not found[3]):
            raise ShellError(f"${{{inner}}}: gpulab does not model this expansion")
        if found[1]:
            return Variable(found[2], quoted, "#")
        word = WordReader(inner[found.end() :], 0, self._parse).inside()
        return Variable(found[2], quoted, found[3] or "", word)

    def _enclosed(self, start: int, end: str) -> str:
        """Text up to the bracket that closes, which may hold quotes and brackets of its own."""
        opening = {"}": "{"}.get(end, "(")
        depth, at, quote = len(end), start, ""
        while at < len(self.text):
            here = self.text[at]
            if here == "\\":
                at += 1
            elif quote:
                quote = "" if here == quote else quote
            elif here in "'\"":
                quote = here
            elif here == opening:
                depth += 1
            elif here == end[-1]:
                depth -= 1
                if not depth:
                    self.position = at + 1
                    return self.text[start : at + 1 - len(end)]
            at += 1
        raise Incomplete(f"{end} is missing")
