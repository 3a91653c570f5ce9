"""The values of this learner: drawn once, kept in the learner's folder."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
import tomli_w

from autograders import variants
from autograders.cluster import Node
from autograders.connect import Api
from autograders.errors import InputError
from autograders.load import Exercise, load_exercise, read_variant
from autograders.variants import Drawn, Spec
from gpulab.paths import private_dir, work
from gpulab.private import write_private

SELF = "self"
"""The learner's name where there is no class."""
SMALLEST_SECRET = 16
"""Bytes of a class's secret."""


def exercise_of(folder: Path, nodes: Sequence[Node] | None = None) -> Exercise:
    """The exercise with this learner's values; without a variant.toml, as it is for all.

    On a cluster of the learner's own, `nodes` are its nodes: only what they offer is drawn.
    """
    spec = read_variant(folder)
    if spec is None:
        return load_exercise(folder)
    values = kept(spec, folder.name, nodes)
    if values is None:
        values = variants.draw(spec, seed(folder.name), nodes)
        keep(folder.name, values)
    return load_exercise(folder, values)


def seed(exercise: str) -> bytes:
    return variants.seed_of(own_secret(), SELF, exercise)


def nodes_of(api: Api) -> list[Node]:
    """What a cluster of the learner's own has to offer."""
    return [Node(each) for each in api.json("/api/v1/nodes").get("items") or ()]


def file(exercise: str) -> Path:
    """Where the values stand; a class puts its own there."""
    return work() / "exercises" / exercise / "variant.toml"


def kept(spec: Spec, exercise: str, nodes: Sequence[Node] | None = None) -> dict[str, Drawn] | None:
    """The values of earlier; None when there are none, or others are drawn here and now."""
    try:
        values = msgspec.toml.decode(file(exercise).read_bytes(), type=dict[str, Drawn])
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return values if variants.is_drawn_from(spec, values, nodes) else None


def keep(exercise: str, values: dict[str, Drawn]) -> None:
    path = file(exercise)
    path.parent.mkdir(parents=True, exist_ok=True)
    note = "# Your own values of this exercise, drawn once. Its task, setup and checks use them.\n"
    path.write_text(note + tomli_w.dumps(values))


def own_secret() -> bytes:
    """Random, made once: what is drawn for a learner without a class."""
    path = private_dir(work()) / ".gpulab" / "secret"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_private(path, secrets.token_hex(32).encode())
    return path.read_bytes().strip()


def class_secret(path: Path) -> bytes:
    """The secret of a class, from a file that only its grader has."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give the file") from error
    if len(secret) < SMALLEST_SECRET:
        what = f"{path} holds {len(secret)} bytes, too few for a secret"
        raise InputError(what, "make one: openssl rand -hex 32")
    return secret
