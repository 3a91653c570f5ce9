"""Steps of a trial that change nothing: a SubjectAccessReview, and a create that is a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from autograders import variants
from autograders.connect import Api
from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Probe
from autograders.plain_yaml import fault
from autograders.rights import Rule
from autograders.trials import DryRun, May, Trial
from gpulab.discovery import Resource, resources
from gpulab.dry_run import resource_of, try_one
from gpulab.sending import send

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
MAY_ASK = Rule(("authorization.k8s.io",), ("subjectaccessreviews",), ("create",))


def may(api: Api, exercise: Exercise, step: May) -> dict[str, Probe]:
    """Ask the API server, whose every authorizer has its say."""
    resource, _, part = step.resource.partition("/")
    what = {"verb": step.verb, "group": step.group, "resource": resource, "subresource": part}
    where = {} if step.everywhere else {"namespace": exercise.namespace}
    spec = {"user": step.user, "groups": list(step.groups), "resourceAttributes": what | where}
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    review = {**kind, "spec": spec}
    answer = send(api, "POST", REVIEWS, object=review)
    request = {"method": "POST", "path": REVIEWS, "object": review}
    return {step.name: Probe(request, answer.status, answer.object)}


def dry_run(
    api: Api, exercise: Exercise, step: DryRun, known: Sequence[Resource]
) -> dict[str, Probe]:
    """Ask for an object under a name of its own, so that nothing of the learner's is in its way."""
    thing = manifest(exercise, step)
    meta = {key: value for key, value in thing["metadata"].items() if key != "name"}
    meta |= {"namespace": exercise.namespace, "generateName": f"{step.name}-"}
    return {step.name: try_one(api, known, exercise.namespace, {**thing, "metadata": meta})}


def manifest(exercise: Exercise, step: DryRun) -> dict[str, Any]:
    """The object of a file of the exercise, with the learner's values."""
    path = exercise.folder / step.manifest
    text = path.read_text()
    if exercise.values:
        text = variants.render(text, exercise.values, str(path))
    try:
        found = None if fault(text) else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {error}", "correct that line") from error
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise InputError(f"{path} is not one Kubernetes object", "write one, with metadata")
    return found


def rules(exercise: Exercise, trials: Sequence[Trial], known: Sequence[Resource]) -> Iterator[Rule]:
    """What a Role must allow for the dry runs."""
    for step in (step for each in trials for step in each.manifests):
        kind = resource_of(known, manifest(exercise, step))
        if kind:
            yield Rule((kind.group,), (kind.plural,), ("create",))


def known_to(admin: Api, trials: Sequence[Trial]) -> list[Resource]:
    """All kinds, if some step needs them."""
    return list(resources(admin)) if any(each.manifests for each in trials) else []
