"""Roles that gpulab gives to identities of its own, for as long as they need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from autograders.connect import Api, connect
from autograders.errors import InputError
from autograders.rights import Rule
from gpulab.paths import LabPaths
from gpulab.sending import send

ROOT = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Grant:
    """One role for one user."""

    user: str
    """Who may; role and binding have this name, too."""
    rules: tuple[Rule, ...]
    """What."""
    namespace: str = ""
    """Where; empty: everywhere."""

    @property
    def objects(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Paths of their lists, and the objects: first the role, then the binding."""
        kind = "Role" if self.namespace else "ClusterRole"
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": self.user}
        rules = [
            {"apiGroups": each.groups, "resources": each.resources, "verbs": each.verbs}
            for each in self.rules
        ]
        meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": self.user}}
        role = {**meta, "kind": kind, "rules": rules}
        binding = {**meta, "kind": f"{kind}Binding", "roleRef": reference, "subjects": [subject]}
        path = f"{ROOT}{inside}/{kind.lower()}"
        return ((f"{path}s", role), (f"{path}bindings", binding))


@contextmanager
def granted(admin: Api, grants: Sequence[Grant]) -> Iterator[None]:
    """Give the roles, and take them back at the end, however that comes."""
    try:
        for path, thing in (each for grant in grants for each in grant.objects):
            send(admin, "DELETE", f"{path}/{thing['metadata']['name']}")  # of an earlier crash
            answer = send(admin, "POST", path, object=thing)
            if not answer.is_success:
                what = f"{thing['kind']} {thing['metadata']['name']} was not made: {answer.message}"
                raise InputError(what, "is it up? gpulab status")
        yield
    finally:
        revoke(admin, grants)


def revoke(admin: Api, grants: Sequence[Grant]) -> None:
    for path, thing in (each for grant in grants for each in grant.objects):
        send(admin, "DELETE", f"{path}/{thing['metadata']['name']}")


@contextmanager
def acting(paths: LabPaths, user: str) -> Iterator[Api]:
    """Talk to the lab as somebody who may do only what was granted."""
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        api.client.headers["Impersonate-User"] = user
        yield api
