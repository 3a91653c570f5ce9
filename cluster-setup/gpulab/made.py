"""Objects as they were when somebody made them: recorded, compared, and made again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from autograders.connect import Api
from autograders.model import KubeObject
from gpulab.discovery import Resource
from gpulab.dry_run import resource_of
from gpulab.emptying import Found
from gpulab.essence import copy, fingerprint
from gpulab.sending import send

AS_KUBECTL = {"fieldManager": "kubectl-client-side-apply"}
"""Whoever looks at managedFields sees what made it first."""


class Made(msgspec.Struct, frozen=True):
    """One object."""

    path: str
    """Where its kind is in its namespace."""
    fingerprint: str
    """Of labels and content."""
    thing: KubeObject
    """What makes it again."""


def made(found: Found) -> Made:
    kind = found.resource
    thing = copy(kind.api, kind.kind, found.thing)
    return Made(kind.path(found.namespace), found.fingerprint, thing)


def recorded(
    admin: Api, manifests: Iterable[KubeObject], every: Sequence[Resource]
) -> dict[str, Made]:
    """What manifests have made, as the cluster has it; without what it does not have."""
    found = {}
    for each in manifests:
        kind = resource_of(every, each)
        meta = each["metadata"]
        if kind is None:
            continue
        answer = send(admin, "GET", kind.path(meta.get("namespace") or "default", meta["name"]))
        if answer.is_success:
            one = Found(kind, answer.object)
            found[one.key] = made(one)
    return found


def make_again(admin: Api, missing: Iterable[Made]) -> bool:
    """Whether each is there again, as it was; a controller's own fields may stand against it."""
    for each in missing:
        answer = send(admin, "POST", each.path, query=AS_KUBECTL, object=each.thing)
        if not answer.is_success:
            return False
        if fingerprint(each.thing["kind"], answer.object) != each.fingerprint:
            return False
    return True
