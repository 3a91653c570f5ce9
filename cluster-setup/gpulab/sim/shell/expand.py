"""What words mean: variables, substitutions, arithmetic, patterns."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Generator

from gpulab.sim.program import Step
from gpulab.sim.shell.process import Process
from gpulab.sim.shell.syntax import (
    Arithmetic,
    Literal,
    Part,
    Sequence,
    ShellError,
    Substitution,
    Variable,
    Word,
)

Capture = Callable[[Sequence], Generator[Step, None, str]]
Text = Generator[Step, None, str]
LONGEST = 2**20  # characters of a variable
OPERATIONS: dict[type[ast.AST], Callable[..., int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Expander:
    """Expands words for one process; `capture` runs a substitution."""

    def __init__(self, process: Process, capture: Capture) -> None:
        self._process, self._capture = process, capture

    def fields(self, word: Word) -> Generator[Step, None, list[str]]:
        """The arguments that a word becomes: none, one or several."""
        pieces: list[tuple[str, bool]] = []
        for index, part in enumerate(word.parts):
            if isinstance(part, Variable) and part.name == "@":
                pieces.append((" ".join(self._process.arguments), False))
                continue
            text = yield from self._text(part, first=index == 0)
            pieces.append((text, part.quoted or isinstance(part, Literal)))
        whole = len(pieces) == len(word.parts)
        patterned = whole and any(
            not part.quoted and re.search(r"[*?\[]", text)
            for part, (text, _) in zip(word.parts, pieces, strict=True)
        )
        found = _split(pieces)
        return [each for one in found for each in self._matches(one)] if patterned else found

    def one(self, word: Word) -> Text:
        """A word as a single text: the target of a redirection, an assigned value."""
        text = ""
        for index, part in enumerate(word.parts):
            text += yield from self._text(part, first=index == 0)
        if len(text) > LONGEST:
            raise ShellError("the text is too long for gpulab")
        return text

    def _matches(self, pattern: str) -> list[str]:
        process = self._process
        found = process.files.matches(process.path(pattern))
        if not pattern.startswith("/"):
            base = process.folder.rstrip("/") + "/"
            found = [path.removeprefix(base) for path in found]
        return found or [pattern]

    def _text(self, part: Part, *, first: bool) -> Text:
        if isinstance(part, Literal):
            tilde = first and not part.quoted and re.match(r"~(?=/|$)", part.text)
            return self._process.variables.get("HOME", "/") + part.text[1:] if tilde else part.text
        if isinstance(part, Substitution):
            return (yield from self._capture(part.body)).rstrip("\n")
        if isinstance(part, Arithmetic):
            return str(self._calculate((yield from self.one(part.word))))
        return (yield from self._variable(part))

    def _variable(self, part: Variable) -> Text:
        value = self._value(part.name)
        if part.operator == "#":
            return str(len(value or ""))
        if not part.operator:
            return value or ""
        missing = not value if part.operator.startswith(":") else value is None
        alternative = part.operator.endswith("+")
        if missing is alternative:
            return value or "" if not alternative else ""
        text = yield from self.one(part.word or Word())
        if part.operator.endswith("="):
            self._process.variables[part.name] = text
        return text

    def _value(self, name: str) -> str | None:
        process = self._process
        if name.isdigit():
            words = [process.script or process.name, *process.arguments]
            return words[int(name)] if int(name) < len(words) else None
        special = {
            "?": str(process.code),
            "$": "1",
            "#": str(len(process.arguments)),
            "@": " ".join(process.arguments),
            "*": " ".join(process.arguments),
            "!": "",
        }
        return special[name] if name in special else process.variables.get(name)

    def _calculate(self, text: str) -> int:
        plain = re.sub(r"[A-Za-z_]\w*", lambda m: self._value(m[0]) or "0", text)
        try:
            tree = ast.parse(plain.strip().replace("/", "//") or "0", mode="eval")
            return _number(tree.body)
        except (SyntaxError, ZeroDivisionError, OverflowError, RecursionError):
            raise ShellError(f"arithmetic expression: gpulab cannot calculate {text!r}") from None


def _number(node: ast.AST) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return int(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        call = OPERATIONS.get(type(node.ops[0]))
        if call:
            return int(call(_number(node.left), _number(node.comparators[0])))
    if isinstance(node, ast.BinOp):
        return _operate(node.op, _number(node.left), _number(node.right))
    raise SyntaxError


def _operate(kind: ast.AST, left: int, right: int) -> int:
    """64-bit, as a shell's; division rounds to zero."""
    if isinstance(kind, ast.FloorDiv):
        result = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    elif isinstance(kind, ast.Mod):
        result = abs(left) % abs(right) * (-1 if left < 0 else 1)
    elif type(kind) in OPERATIONS:
        result = OPERATIONS[type(kind)](left, right)
    else:
        raise SyntaxError
    return (result + 2**63) % 2**64 - 2**63


def _split(pieces: list[tuple[str, bool]]) -> list[str]:
    """Join pieces into fields; text that an unquoted variable gave is split at blanks."""
    fields: list[str] = []
    open_field = False
    for text, kept in pieces:
        if kept:
            fields = [*fields[:-1], fields[-1] + text] if open_field else [*fields, text]
            open_field = True
            continue
        if text[:1].isspace():
            open_field = False
        for word in text.split():
            fields = [*fields[:-1], fields[-1] + word] if open_field else [*fields, word]
            open_field = False
        if text and text.split() and not text[-1].isspace():
            open_field = True
    return fields
