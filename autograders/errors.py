"""The one error that a person can mend: what is wrong, and what to do about it."""

from __future__ import annotations


class InputError(Exception):
    """Input, state or surroundings that a person can put right.

    The command line prints `what` and `do` on a line each and exits with 2. Raise it once, at the
    spot that knows the remedy.

    >>> print(InputError("port 8888 is taken", "stop that program, or pass --port"))
    port 8888 is taken
    """

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.do = do
