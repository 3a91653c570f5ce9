"""Start an exercise over: what differs from its recorded start goes, and is made again.

The namespaces stay. Deleting one takes long and leaves it Terminating, where nothing can be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from autograders.connect import Api, connect
from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import given
from gpulab.discovery import Resource, kinds
from gpulab.emptying import Found, empty
from gpulab.made import make_again
from gpulab.paths import LabPaths
from gpulab.sending import MERGE, send

LABEL = "gpulab.dev/exercise"
"""On the namespaces of an exercise, by its setup.yaml; its value is the exercise's name."""
SYSTEM = frozenset(
    {"kubernetes.io/metadata.name", "kubectl.kubernetes.io/last-applied-configuration"}
)
"""On every namespace that was applied."""


def reset(paths: LabPaths, exercise: Exercise) -> None:
    """Give the starting state again."""
    with (
        connect(paths.admin_kubeconfig, read_only=False) as admin,
        connect(paths.grader_kubeconfig) as api,
    ):
        there, wanted = expect_ours(admin, exercise), namespaces(exercise)
        for each in wanted:
            if each["metadata"]["name"] in there:
                tidy(admin, there[each["metadata"]["name"]], each)
        if len(there) < len(wanted):
            given.forget(paths, exercise.id)
        restore(paths, exercise, api, admin, kinds(admin))


def restore(
    paths: LabPaths, exercise: Exercise, api: Api, admin: Api, every: Sequence[Resource]
) -> None:
    """Delete what was not recorded or differs, make again what is missing then.

    Pods are always made anew: whether one has ended, or was moved, is no part of what was recorded.
    """
    before = given.read(paths, exercise.id)
    made = before.made if before and before.variant == exercise.variant else {}

    def stays(found: Found) -> bool:
        known = made.get(found.key)
        same = known is not None and known.fingerprint == found.fingerprint
        return same and found.resource.kind != "Pod"

    spaces = [each["metadata"]["name"] for each in namespaces(exercise)]
    kept = {each.key for each in empty(admin, spaces, every, stays)}
    given.forget(paths, exercise.id)
    missing = [each for key, each in made.items() if key not in kept]
    whole = len(made) + len(spaces) == len(given.manifests(exercise))
    if before is not None and whole and make_again(admin, missing):
        return given.record(paths, exercise, api, made)
    given.begin(paths, exercise)


def refuse_foreign(paths: LabPaths, exercise: Exercise) -> None:
    """Say so before a start, too: a later reset would empty the namespace."""
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        expect_ours(api, exercise)


def refuse_beyond(exercise: Exercise) -> None:
    """On a cluster of somebody's nothing is made outside the exercise's own namespaces."""
    mine = {each["metadata"]["name"] for each in namespaces(exercise)}
    for each in yaml.safe_load_all(given.setup(exercise)):
        if each and each["kind"] != "Namespace" and each["metadata"].get("namespace") not in mine:
            what = f"exercise {exercise.short} makes {each['kind']} {each['metadata']['name']}"
            do = "do it in a lab of your own: gpulab up --provider embedded --name other"
            raise InputError(f"{what}, which is outside its namespace", do)


def namespaces(exercise: Exercise) -> list[dict[str, Any]]:
    """The Namespace objects of setup.yaml."""
    return [each for each in given.manifests(exercise) if each.get("kind") == "Namespace"]


def expect_ours(api: Api, exercise: Exercise) -> dict[str, dict[str, Any]]:
    """Return those of the exercise's namespaces that exist; refuse one that may not be touched."""
    found = {}
    for name in (each["metadata"]["name"] for each in namespaces(exercise)):
        answer = send(api, "GET", f"/api/v1/namespaces/{name}")
        if answer.status == 404:
            continue
        if not answer.is_success:
            raise InputError(f"namespace {name} cannot be read: {answer.message}", "gpulab status")
        metadata = answer.object["metadata"]
        if metadata.get("deletionTimestamp"):
            do = f"wait until it is gone: kubectl wait --for=delete namespace/{name}; then again"
            do += "; if something holds it: gpulab reset --lab makes the whole lab as new"
            raise InputError(f"namespace {name} is being deleted", do)
        if (metadata.get("labels") or {}).get(LABEL) != exercise.id:
            what = f"namespace {name} is not exercise {exercise.short}'s: it has no label {LABEL}"
            do = f"if nothing in it is needed: kubectl delete namespace {name}; then again"
            raise InputError(f"{what}={exercise.id}", do)
        found[name] = answer.object
    return found


def tidy(api: Api, namespace: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Take labels and annotations off that setup.yaml does not give; apply leaves them on."""
    metadata, given_ = namespace["metadata"], wanted["metadata"]
    surplus = {
        part: dict.fromkeys(set(metadata.get(part) or ()) - set(given_.get(part) or ()) - SYSTEM)
        for part in ("labels", "annotations")
    }
    if any(surplus.values()):
        path = f"/api/v1/namespaces/{metadata['name']}"
        send(api, "PATCH", path, object={"metadata": surplus}, kind=MERGE)
