"""Verdicts on hand-ins: one signed file for each, whole or not at all, its Evidence beside it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from autograders import evidence as evidence_file
from autograders import verdicts
from autograders.errors import InputError
from autograders.model import Evidence, Report
from gpulab.classroom.folder import Classroom
from gpulab.paths import private_dir
from gpulab.private import write_private


class Ending(StrEnum):
    """The four ends of a hand-in."""

    GRADED = "graded"
    PERSON = "needs a person"
    UNREADABLE = "unreadable"
    BROKEN = "infrastructure broken"


class Earlier(msgspec.Struct, frozen=True):
    """A verdict that another one replaced."""

    score: float | None
    graded_at: str
    reason: str
    """Why it was graded again."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of one hand-in."""

    learner: str
    exercise: str
    ending: Ending
    why: str
    """Empty when it is graded."""
    report: Report | None
    """None where there is nothing to mark."""
    submission: str
    """SHA-256 of what was graded."""
    exercise_digest: str
    """SHA-256 of the exercise's files then."""
    handed_in_at: str
    """UTC, RFC 3339."""
    graded_at: str
    """UTC, RFC 3339."""
    pristine: str = ""
    """Digest of the cluster before it."""
    seconds: dict[str, float] = {}
    """Stage -> how long it took."""
    texts: dict[str, str] = {}
    """Answers that a person marks, by question."""
    earlier: tuple[Earlier, ...] = ()
    """Oldest first."""

    @property
    def score(self) -> float | None:
        return self.report.score if self.report else None


class Signed(msgspec.Struct, frozen=True):
    """A verdict's file."""

    verdict: Verdict
    signature: str
    """Ed25519, hex, over the verdict's canonical JSON."""


def file(room: Classroom, exercise: str, learner: str) -> Path:
    return verdicts.file(room.verdicts, exercise, learner)


def save(room: Classroom, verdict: Verdict, evidence: Evidence | None) -> None:
    """Evidence first: a verdict never names what is not there."""
    if evidence is not None:
        path = evidence_path(room, verdict.exercise, verdict.learner)
        private_dir(path.parent)
        write_private(path, gzip.compress(evidence_file.to_json(evidence), 3, mtime=0))
    path = file(room, verdict.exercise, verdict.learner)
    private_dir(path.parent)
    signed = Signed(verdict, key(room).sign(canonical(verdict)).hex())
    write_private(path, msgspec.json.encode(signed, order="sorted"))


def evidence_path(room: Classroom, exercise: str, learner: str) -> Path:
    return verdicts.file(room.evidence, exercise, learner).with_suffix(".json.gz")


def read(room: Classroom, exercise: str, learner: str) -> Verdict | None:
    """The verdict; None while there is none. Whether it is genuine, `audit` says."""
    found = signed(file(room, exercise, learner))
    return found.verdict if found else None


def signed(path: Path) -> Signed | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Signed)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        do = "grade that submission again: gpulab grade --force --students …"
        raise InputError(f"{path} is not a verdict: {error}", do) from error


def all_of(room: Classroom, exercise: str | None = None) -> Iterator[Verdict]:
    """Every verdict, by exercise and learner."""
    for path in sorted(room.verdicts.glob(f"{exercise or '*'}/*.json")):
        found = signed(path)
        if found:
            yield found.verdict


def canonical(verdict: Verdict) -> bytes:
    return msgspec.json.encode(verdict, order="sorted")


def key(room: Classroom) -> Ed25519PrivateKey:
    """The grader's; made when it is first needed."""
    path = room.root / "grader.key"
    if not path.exists():
        write_private(path, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode())
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text()))
    except ValueError as error:
        raise InputError(f"{path} is not the grader's key", "put it back from a copy") from error


def is_genuine(public: Ed25519PublicKey, found: Signed) -> bool:
    try:
        public.verify(bytes.fromhex(found.signature), canonical(found.verdict))
    except (InvalidSignature, ValueError):
        return False
    return True
