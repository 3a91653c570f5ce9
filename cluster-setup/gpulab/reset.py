"""Start an exercise over: delete what is in its namespaces and apply setup.yaml again.

The namespaces stay. Deleting one takes long and leaves it Terminating, where nothing can be made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from autograders.connect import Api, connect
from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import given
from gpulab.discovery import Resource, resources
from gpulab.paths import LabPaths
from gpulab.sending import MERGE, send

LABEL = "gpulab.dev/exercise"
"""On the namespaces of an exercise, by its setup.yaml; its value is the exercise's name."""
SECONDS = 10.0
"""Until everything must be gone; most of it goes at once."""
PATIENCE = 4.0
"""Seconds after which a Pod is deleted without its kubelet's word."""
KEPT = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
"""Made by controllers for every namespace."""
IGNORED = frozenset({"Event", "Lease", "EndpointSlice", "Endpoints"})
"""Records of the system, not work of the learner."""
SYSTEM = frozenset(
    {"kubernetes.io/metadata.name", "kubectl.kubernetes.io/last-applied-configuration"}
)
"""On every namespace that was applied."""
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Found:
    """One object that is in the way."""

    resource: Resource
    """Its kind."""
    namespace: str
    """Where it lies."""
    metadata: dict[str, Any]
    """Its name, finalizers and so on."""

    def __str__(self) -> str:
        finalizers = self.metadata.get("finalizers")
        held = f" (held by its finalizers {', '.join(finalizers)})" if finalizers else ""
        return f"{self.resource.kind} {self.metadata['name']}{held}"


def reset(paths: LabPaths, exercise: Exercise) -> str:
    """Return kubectl's words about what is there again."""
    with connect(paths.kubeconfig, read_only=False) as api:
        wanted = {each["metadata"]["name"]: each for each in namespaces(exercise)}
        there = expect_ours(api, exercise)
        empty(api, list(there))
        for name, namespace in there.items():
            tidy(api, namespace, wanted[name])
    given.forget(paths, exercise.id)
    return given.begin(paths, exercise) or ""


def refuse_foreign(paths: LabPaths, exercise: Exercise) -> None:
    """Say so before a start, too: a later reset would empty the namespace."""
    with connect(paths.kubeconfig, read_only=False) as api:
        expect_ours(api, exercise)


def namespaces(exercise: Exercise) -> list[dict[str, Any]]:
    """The Namespace objects of setup.yaml."""
    documents = yaml.safe_load_all(given.setup(exercise))
    return [each for each in documents if each and each.get("kind") == "Namespace"]


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
            raise InputError(f"namespace {name} is being deleted", do)
        if (metadata.get("labels") or {}).get(LABEL) != exercise.id:
            what = f"namespace {name} is not exercise {exercise.short}'s: it has no label {LABEL}"
            do = f"if nothing in it is needed: kubectl delete namespace {name}; then again"
            raise InputError(f"{what}={exercise.id}", do)
        found[name] = answer.object
    return found


def empty(api: Api, names: Sequence[str]) -> None:
    """Delete everything, and see it gone."""
    kinds = list(listed(resources(api))) if names else []
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        while left := find(api, pool, kinds, names):
            waited = time.monotonic() - began
            if waited > SECONDS:
                raise InputError(
                    f"after {SECONDS:.0f} s still {left[0]} in namespace {left[0].namespace}",
                    "take its finalizers out with kubectl patch, then reset again",
                )
            list(pool.map(partial(delete, api, force=waited > PATIENCE), left))
            time.sleep(0.1)


def listed(every: Iterator[Resource]) -> Iterator[Resource]:
    """Each kind with a namespace once, in the version that the API prefers."""
    seen = set()
    for each in every:
        name = (each.api.rpartition("/")[0], each.plural)
        if each.namespaced and {"list", "delete"} <= each.verbs and name not in seen:
            seen.add(name)
            if each.kind not in IGNORED:
                yield each


def find(
    api: Api, pool: ThreadPoolExecutor, kinds: Sequence[Resource], names: Sequence[str]
) -> list[Found]:
    pairs = [(kind, name) for kind in kinds for name in names]
    lists = pool.map(lambda pair: list(objects(api, *pair)), pairs)
    return [each for found in lists for each in found]


def objects(api: Api, kind: Resource, namespace: str) -> Iterator[Found]:
    answer = send(api, "GET", kind.path(namespace), accept=METADATA)
    for each in answer.object.get("items") or ():
        if (kind.kind, each["metadata"]["name"]) not in KEPT:
            yield Found(kind, namespace, each["metadata"])


def delete(api: Api, found: Found, *, force: bool) -> None:
    """Delete it at once; a Pod may tell its containers so for a second."""
    is_pod = found.resource.kind == "Pod"
    if found.metadata.get("deletionTimestamp") and not (is_pod and force):
        return
    options: dict[str, Any] = {"propagationPolicy": "Background"}
    if is_pod:
        options["gracePeriodSeconds"] = 0 if force else 1
    path = found.resource.path(found.namespace, found.metadata["name"])
    send(api, "DELETE", path, object=options)


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
