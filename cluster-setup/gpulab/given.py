"""The state that a learner is given: applied once, and recorded for the guards as `as-found`."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import yaml

from autograders import variants
from autograders.collect import collect
from autograders.connect import Api, ApiAbsent, connect
from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import KubeObject, Phase
from gpulab import kubectl
from gpulab.discovery import kinds
from gpulab.made import Made, recorded
from gpulab.paths import LabPaths, private_dir
from gpulab.private import write_private

AS_FOUND = "as-found"
ACCOUNT_SECONDS = 20.0
"""A controller makes a new namespace's service account; until then its Pods are refused."""


class Given(msgspec.Struct, frozen=True):
    """What `gpulab start` left: a later start finds it, and changes nothing."""

    namespace_uid: str
    """Another namespace of that name means that it was started over."""
    variant: dict[str, str | int]
    """The learner's values at that time."""
    phase: Phase
    """The cluster before the learner did anything."""
    made: dict[str, Made] = {}
    """What setup.yaml made beside namespaces, by key."""


def file(paths: LabPaths, exercise: str) -> Path:
    return paths.root / "given" / f"{exercise}.json"


def read(paths: LabPaths, exercise: str) -> Given | None:
    try:
        return msgspec.json.decode(file(paths, exercise).read_bytes(), type=Given)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def as_found(paths: LabPaths, exercise: Exercise) -> tuple[Phase, ...]:
    """The phase to put in front of the one that is graded; none before `gpulab start`."""
    given = read(paths, exercise.id)
    if given is None:
        return ()
    if given.variant != exercise.variant:
        what = f"the values of exercise {exercise.short} have changed since you started it"
        raise InputError(what, f"start over: gpulab reset {exercise.short}")
    return (given.phase,)


def begin(paths: LabPaths, exercise: Exercise) -> str | None:
    """Apply setup.yaml and record what it made; kubectl's words, or None if that was done."""
    with (
        connect(paths.grader_kubeconfig) as api,
        connect(paths.admin_kubeconfig, read_only=False) as admin,
    ):
        before = read(paths, exercise.id)
        if before and before.namespace_uid == namespace_uid(api, exercise.namespace):
            as_found(paths, exercise)
            return None
        said = apply(paths, setup(exercise))
        record(paths, exercise, api, made_by(admin, exercise))
        return said


def made_by(admin: Api, exercise: Exercise) -> dict[str, Made]:
    """What setup.yaml made beside namespaces, as the cluster has it."""
    wanted = [each for each in manifests(exercise) if each["kind"] != "Namespace"]
    return recorded(admin, wanted, kinds(admin)) if wanted else {}


def record(paths: LabPaths, exercise: Exercise, api: Api, made: dict[str, Made]) -> None:
    """Keep what the learner is given, and what the guards compare with."""
    found = collect(api, exercise, AS_FOUND)
    uid = namespace_uid(api, exercise.namespace)
    private_dir(paths.root / "given")
    given = Given(uid, dict(exercise.variant), found, made)
    write_private(file(paths, exercise.id), msgspec.json.encode(given))


def manifests(exercise: Exercise) -> list[KubeObject]:
    """The objects of setup.yaml, with this learner's values."""
    return [each for each in yaml.safe_load_all(setup(exercise)) if each]


def forget(paths: LabPaths, exercise: str) -> None:
    """Let the next start be the first."""
    file(paths, exercise).unlink(missing_ok=True)


def forget_all(paths: LabPaths) -> None:
    """Of every exercise: their Pods have gone with the nodes."""
    for each in (paths.root / "given").glob("*.json"):
        each.unlink()


def setup(exercise: Exercise) -> str:
    """setup.yaml with this learner's values."""
    path = exercise.folder / "setup.yaml"
    try:
        text = path.read_text()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "put it there") from error
    return variants.render(text, exercise.values, str(path)) if exercise.variant else text


def apply(paths: LabPaths, manifest: str) -> str:
    deadline = time.monotonic() + ACCOUNT_SECONDS
    while True:
        done = kubectl.run(paths.admin_kubeconfig, "apply", "-f", "-", given=manifest)
        if done.returncode == 0:
            return done.stdout.strip()
        if 'serviceaccount "default" not found' not in done.stderr or time.monotonic() > deadline:
            what = f"the starting state was not applied: {kubectl.last_line(done)}"
            raise InputError(what, "is it up? gpulab status")
        time.sleep(0.2)


def namespace_uid(api: Api, name: str) -> str:
    """The namespace's identity; empty when there is none."""
    try:
        return str(api.json(f"/api/v1/namespaces/{name}")["metadata"]["uid"])
    except ApiAbsent:
        return ""
