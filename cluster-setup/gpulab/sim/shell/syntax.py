"""What a shell script consists of, once it was read."""

from __future__ import annotations

from dataclasses import dataclass, field


class ShellError(Exception):
    """A script that the shell cannot read; the text is for its user."""


class Incomplete(ShellError):
    """More lines are needed: an open quote, a `do` without `done`."""


@dataclass(frozen=True)
class Literal:
    """Plain text; patterns in it count only outside quotes."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Variable:
    """`$name` or `${name-word}`; operators are `-`, `:-`, `+`, `:+`, `=`, `:=` and `#` (length)."""

    name: str
    quoted: bool = False
    operator: str = ""
    word: Word | None = None


@dataclass(frozen=True)
class Substitution:
    """`$(line)`."""

    body: Sequence
    quoted: bool = False


@dataclass(frozen=True)
class Arithmetic:
    """`$((expression))`."""

    word: Word
    quoted: bool = False


Part = Literal | Variable | Substitution | Arithmetic


@dataclass(frozen=True)
class Word:
    """Parts without blanks between them."""

    parts: tuple[Part, ...] = ()

    @property
    def literal(self) -> str | None:
        """Its text if that needs no expansion."""
        if all(isinstance(part, Literal) for part in self.parts):
            return "".join(part.text for part in self.parts if isinstance(part, Literal))
        return None


@dataclass
class Redirect:
    """`2> file`. A here-document's text arrives after its line was read."""

    fd: int  # -1: both stdout and stderr
    operator: str  # > >> < >& <<
    target: Word


@dataclass(frozen=True)
class Simple:
    """A command with its arguments."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class Loop:
    """`while` and `until`."""

    condition: Sequence
    body: Sequence
    until: bool
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class For:
    """`for name in words`."""

    name: str
    words: tuple[Word, ...]
    body: Sequence
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class If:
    """Branches of condition and body; `else` has none."""

    branches: tuple[tuple[Sequence | None, Sequence], ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class Group:
    """`( … )`, with variables of its own, or `{ …; }`."""

    body: Sequence
    subshell: bool
    redirects: tuple[Redirect, ...] = ()


Command = Simple | Loop | For | If | Group


@dataclass(frozen=True)
class Pipeline:
    """Commands joined by `|`."""

    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True)
class Sequence:
    """Pipelines, each with what joins it to the one before: `;`, `&&` or `||`."""

    items: tuple[tuple[str, Pipeline], ...] = field(default=())
