"""A class's folder: its settings, its secret, and where everything of it lies."""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tomli_w

from autograders.errors import InputError
from autograders.load import find_exercise
from gpulab import variant
from gpulab.paths import ROOT, private_dir
from gpulab.private import write_private

EXERCISES = ROOT / "exercises"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of a class: it names folders of nbgrader's exchange, too."""
CONFIG = """\
# nbgrader's settings for this class, made by `gpulab class init`.
from gpulab.classroom.nbgrader_settings import configure

configure(get_config(), {root!r}, {name!r})  # noqa: F821 (nbgrader defines it)
"""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """class.toml."""

    name: str
    """nbgrader calls it course_id."""
    due: dict[str, dt.datetime] = {}
    """Exercise -> when it is due, with a time zone."""
    late_percent_per_day: float = 0.0
    """What each begun day after that costs, of the points that were earned."""


@dataclass(frozen=True)
class Classroom:
    """Every file of one class."""

    root: Path
    settings: Settings

    @property
    def secret_file(self) -> Path:
        """What variants are drawn from; only graders have it."""
        return self.root / "secret"

    @property
    def roster_file(self) -> Path:
        return self.root / "roster.json"

    @property
    def source(self) -> Path:
        """What nbgrader makes the release from: nothing that is kept from learners is in it."""
        return self.root / "source"

    @property
    def release(self) -> Path:
        return self.root / "release"

    @property
    def handouts(self) -> Path:
        """A zip for each learner."""
        return self.root / "handouts"

    @property
    def submitted(self) -> Path:
        return self.root / "submitted"

    @property
    def verdicts(self) -> Path:
        return self.root / "verdicts"

    @property
    def evidence(self) -> Path:
        return self.root / "evidence"

    @property
    def autograded(self) -> Path:
        return self.root / "autograded"

    @property
    def db_url(self) -> str:
        return os.environ.get("GPULAB_GRADEBOOK") or f"sqlite:///{self.root / 'gradebook.db'}"

    def secret(self) -> bytes:
        return variant.class_secret(self.secret_file)


def init(root: Path, name: str, due: list[str], late: float) -> Classroom:
    """Make the folder; one that is there keeps its secret, or every variant would be another."""
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name a class", "use letters, digits, dots and dashes")
    if not 0 <= late <= 100:
        raise InputError(f"{late:g} is no percentage", "give --late-percent from 0 to 100")
    if (root / "class.toml").exists():
        raise InputError(f"{root} is a class already", f"edit {root / 'class.toml'} instead")
    settings = Settings(name, dict(map(due_date, due)), late)
    private_dir(root, "GPULAB_CLASS")
    made = Classroom(root, settings)
    if not made.secret_file.exists():
        write_private(made.secret_file, secrets.token_hex(32).encode())
    config = CONFIG.format(root=str(root), name=name)
    write_private(root / "nbgrader_config.py", config.encode())
    text = tomli_w.dumps(msgspec.to_builtins(settings, builtin_types=(dt.datetime,)))
    write_private(root / "class.toml", text.encode())
    return made


def due_date(text: str) -> tuple[str, dt.datetime]:
    """From `02=2026-12-01T23:59+01:00` to the exercise's name and the moment."""
    exercise, _, when = text.partition("=")
    do = "write it as --due 02=2026-12-01T23:59+01:00"
    try:
        found = dt.datetime.fromisoformat(when)
    except ValueError:
        raise InputError(f"--due {text}: {when!r} is no date", do) from None
    if found.tzinfo is None:
        raise InputError(f"--due {text} has no time zone", do)
    return find_exercise(EXERCISES, exercise).name, found


def existing(root: Path) -> Classroom:
    """The class that lies there."""
    path = root / "class.toml"
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        what = f"{root} is not a class's folder"
        raise InputError(what, "make one: gpulab class init --folder …") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}", "correct that line") from error
    naive = [name for name, when in settings.due.items() if when.tzinfo is None]
    if naive:
        raise InputError(f"{path}: {naive[0]} is due without a time zone", "add one, as in +01:00")
    return Classroom(root.absolute(), settings)
