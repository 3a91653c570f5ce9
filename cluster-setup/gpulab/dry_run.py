"""YAML answers, tried on the cluster: a dry run goes through all of admission and stores nothing.

The grader never does this. It judges the request and the answer that are recorded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograders.connect import Api
from autograders.model import Answers, CheckFailed, Probe
from autograders.quiz.manifest import read_manifest
from autograders.quiz.marking import is_blank, yaml_questions
from autograders.quiz.question import Question
from gpulab.discovery import Resource, resources
from gpulab.sending import send

QUERY = {"dryRun": "All", "fieldManager": "gpulab-quiz", "fieldValidation": "Strict"}


def has_work(questions: Sequence[Question], answers: Answers) -> bool:
    return any(not is_blank(answers.get(each.id)) for each in yaml_questions(questions))


def try_answers(
    api: Api, questions: Sequence[Question], namespace: str, answers: Answers
) -> dict[str, Probe]:
    """Try every YAML answer that can be read; question id -> what became of it."""
    manifests = {}
    for question in yaml_questions(questions):
        answer = answers.get(question.id)
        if is_blank(answer):
            continue
        try:
            manifests[question.id] = read_manifest(answer)
        except CheckFailed:
            continue  # the grader says what is wrong with it
    known = list(resources(api)) if manifests else []
    return {name: try_one(api, known, namespace, each) for name, each in manifests.items()}


def try_one(api: Api, known: Sequence[Resource], namespace: str, manifest: dict[str, Any]) -> Probe:
    """Ask the API server to create it, as far as it goes without storing it."""
    resource = resource_of(known, manifest)
    if resource is None:
        api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
        text = f"this cluster has no kind {kind!r} in apiVersion {api_version!r}"
        request = {"method": "POST", "path": "", "query": QUERY, "object": manifest}
        return Probe(request, 0, {"kind": "Status", "message": text})
    path = resource.path(namespace)
    answer = send(api, "POST", path, query=QUERY, object=manifest)
    request = {"method": "POST", "path": path, "query": QUERY, "object": manifest}
    return Probe(request, answer.status, answer.object)


def resource_of(known: Sequence[Resource], manifest: dict[str, Any]) -> Resource | None:
    for each in known:
        same = (each.api, each.kind) == (manifest.get("apiVersion"), manifest.get("kind"))
        if same and "create" in each.verbs and "list" in each.verbs:
            return each
    return None
