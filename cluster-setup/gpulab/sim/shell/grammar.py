"""Reads a script into what it consists of; the grammar is in the package's docstring."""

from __future__ import annotations

import re

from gpulab.sim.shell.syntax import (
    Command,
    For,
    Group,
    If,
    Incomplete,
    Loop,
    Pipeline,
    Redirect,
    Sequence,
    ShellError,
    Simple,
    Word,
)
from gpulab.sim.shell.words import WordReader

BLANK = re.compile(r"(?:[ \t\r]|\\\n)+|(?<![^\s;&|()])#[^\n]*")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
REDIRECT = re.compile(r"(\d?)(>>|>&|<<-?|>|<)|(&)>(>?)")
CLOSERS = ("then", "else", "elif", "fi", "do", "done", "}")
NOT_MODELLED = ("case", "function", "select", "[[")
LIMIT = 64 * 1024  # characters of a script; also bounds how deep it can nest


def parse(text: str) -> Sequence:
    """Read a whole script; ShellError says what is wrong with it, Incomplete that it goes on."""
    if len(text) > LIMIT:
        raise ShellError("the script is too long for gpulab")
    try:
        return _Parser(text).whole()
    except RecursionError:
        raise ShellError("the script is nested too deeply for gpulab") from None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._documents: list[tuple[Redirect, str, bool]] = []  # here-documents to be read

    def whole(self) -> Sequence:
        found = self._sequence()
        if self._at < len(self._text):
            raise ShellError(f'Syntax error: "{self._text[self._at :].split()[0]}" unexpected')
        if self._documents:
            raise Incomplete("the here-document is not complete")
        return found

    # -- sequences and pipelines

    def _sequence(self) -> Sequence:
        """Until something that no command begins with."""
        items: list[tuple[str, Pipeline]] = []
        joint = ";"
        while True:
            self._lines()
            if self._at >= len(self._text) or self._keyword() in CLOSERS or self._sees(")"):
                if joint != ";":
                    raise Incomplete(f"{joint} needs a command after it")
                return Sequence(tuple(items))
            items.append((joint, self._pipeline()))
            joint = self._joint()
            if not joint:
                return Sequence(tuple(items))

    def _joint(self) -> str:
        """`;` also for a line end; empty where the sequence ends."""
        self._blank()
        for joint in ("&&", "||"):
            if self._eat(joint):
                return joint
        if self._sees("&"):
            raise ShellError("gpulab does not model background processes (&)")
        if self._sees("\n") or (self._sees(";") and not self._sees(";;")):
            return ";" if self._sees("\n") or self._eat(";") else ""
        return ""

    def _pipeline(self) -> Pipeline:
        negated = self._eat_word("!")
        commands = [self._command()]
        while not self._sees("||") and self._eat("|"):
            self._lines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    # -- commands

    def _command(self) -> Command:
        self._blank()
        word = self._keyword()
        if word in NOT_MODELLED:
            raise ShellError(f"gpulab does not model {word} in a shell")
        if word in ("while", "until"):
            return self._loop(word)
        if word == "for":
            return self._for()
        if word == "if":
            return self._if()
        if word == "{" or self._sees("("):
            return self._group()
        return self._simple()

    def _loop(self, word: str) -> Loop:
        self._expect(word)
        condition = self._sequence()
        return Loop(condition, self._body(), word == "until", self._redirects())

    def _body(self) -> Sequence:
        self._expect("do")
        body = self._sequence()
        self._expect("done")
        return body

    def _for(self) -> For:
        self._expect("for")
        self._blank()
        name = self._keyword()
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ShellError("Syntax error: Bad for loop variable")
        self._expect(name)
        words: list[Word] = []
        self._lines(semicolons=False)
        if self._eat_word("in"):
            while (word := self._word()) is not None:
                words.append(word)
        self._lines()
        return For(name, tuple(words), self._body(), self._redirects())

    def _if(self) -> If:
        branches: list[tuple[Sequence | None, Sequence]] = []
        self._expect("if")
        while True:
            condition = self._sequence()
            self._expect("then")
            branches.append((condition, self._sequence()))
            if not self._eat_word("elif"):
                break
        if self._eat_word("else"):
            branches.append((None, self._sequence()))
        self._expect("fi")
        return If(tuple(branches), self._redirects())

    def _group(self) -> Group:
        if self._eat("("):
            body = self._sequence()
            if not self._eat(")"):
                raise Incomplete(") is missing")
            return Group(body, True, self._redirects())
        self._expect("{")
        body = self._sequence()
        self._expect("}")
        return Group(body, False, self._redirects())

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self._blank()
            found = ASSIGNMENT.match(self._text, self._at)
            if found and not words:
                self._at = found.end()
                assignments.append((found[1], self._word() or Word()))
            elif redirect := self._redirect():
                redirects.append(redirect)
            elif (word := self._word()) is not None:
                words.append(word)
            else:
                break
        if self._sees("(") and words:
            raise ShellError("gpulab does not model functions in a shell")
        if not (words or assignments or redirects):
            rest = self._text[self._at :].split()
            raise ShellError(f'Syntax error: "{rest[0]}" unexpected') if rest else Incomplete("")
        return Simple(tuple(assignments), tuple(words), tuple(redirects))

    # -- redirections

    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        self._blank()
        while redirect := self._redirect():
            found.append(redirect)
            self._blank()
        return tuple(found)

    def _redirect(self) -> Redirect | None:
        found = REDIRECT.match(self._text, self._at)
        if not found:
            return None
        self._at = found.end()
        operator = found[2] or (">>" if found[4] else ">")
        target = self._word()
        if target is None:
            raise ShellError("Syntax error: a redirection needs a file")
        fd = -1 if found[3] else int(found[1] or (0 if operator[0] == "<" else 1))
        redirect = Redirect(fd, operator.rstrip("-"), target)
        if redirect.operator == "<<":
            quoted = any(getattr(part, "quoted", False) for part in target.parts)
            self._documents.append((redirect, target.literal or "", quoted))
        return redirect

    def _read_documents(self) -> None:
        """Read the here-documents that the line just ended has announced."""
        for redirect, end, quoted in self._documents:
            lines: list[str] = []
            while True:
                if self._at >= len(self._text):
                    raise Incomplete(f"the here-document has no end: {end}")
                line, _, _ = self._text[self._at :].partition("\n")
                self._at += len(line) + 1
                if line.strip() == end:
                    break
                lines.append(line + "\n")
            redirect.target = _document("".join(lines), quoted)
        self._documents = []

    # -- characters

    def _word(self) -> Word | None:
        self._blank()
        reader = WordReader(self._text, self._at, parse)
        found = reader.read()
        self._at = reader.position
        return found

    def _blank(self) -> None:
        while found := BLANK.match(self._text, self._at):
            self._at = found.end()

    def _lines(self, *, semicolons: bool = False) -> None:
        """Pass blanks and line ends."""
        self._blank()
        while self._sees("\n") or (semicolons and self._sees(";")):
            self._at += 1
            if self._text[self._at - 1] == "\n":
                self._read_documents()
            self._blank()

    def _keyword(self) -> str:
        found = re.compile(r"[^\s;&|()<>]+").match(self._text, self._at)
        return found[0] if found else ""

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _eat(self, text: str) -> bool:
        self._blank()
        if self._sees(text):
            self._at += len(text)
            return True
        return False

    def _eat_word(self, text: str) -> bool:
        self._blank()
        return self._keyword() == text and self._eat(text)

    def _expect(self, text: str) -> None:
        self._lines(semicolons=text == "do")
        if not self._eat_word(text):
            rest = self._text[self._at :].split()
            if not rest:
                raise Incomplete(f'Syntax error: end of file unexpected (expecting "{text}")')
            raise ShellError(f'Syntax error: "{rest[0]}" unexpected (expecting "{text}")')


def _document(text: str, quoted: bool) -> Word:
    from gpulab.sim.shell.syntax import Literal

    if quoted:
        return Word((Literal(text, quoted=True),))
    return WordReader(text, 0, parse).inside()
