"""The grader's rights: the same in the transport and in the cluster, and no more than reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import autograders.access
from autograders.access import READABLE, is_readable

RBAC = Path(autograders.access.__file__).with_name("rbac.yaml")


def rules() -> list[dict[str, Any]]:
    role, _ = yaml.safe_load_all(RBAC.read_text())
    return list(role["rules"])


def test_the_cluster_role_grants_what_the_transport_allows() -> None:
    granted = {
        (group, resource)
        for rule in rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    allowed = {(group, each) for group, plurals in READABLE.items() for each in plurals}
    assert granted == allowed | {("", "pods/log")}


def test_the_cluster_role_only_reads() -> None:
    assert {verb for rule in rules() for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_secrets_and_proxies_are_not_in_it() -> None:
    resources = {each for rule in rules() for each in rule["resources"]}
    assert not resources & {"secrets", "*", "nodes/proxy", "pods/proxy", "pods/exec"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/pods",
        "/api/v1/namespaces",
        "/api/v1/namespaces/lab",
        "/api/v1/namespaces/lab/pods",
        "/api/v1/namespaces/lab/pods/p.1-x",
        "/api/v1/namespaces/lab/pods/p/log",
        "/api/v1/nodes/n1",
        "/apis/batch/v1/namespaces/lab/jobs",
        "/apis/resource.k8s.io/v1/resourceslices",
        "/version",
    ],
)
def test_declared_kinds_and_logs_are_readable(path: str) -> None:
    assert is_readable(path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/secrets",
        "/api/v1/namespaces/lab/secrets/s",
        "/api/v1/namespaces/lab/secrets",
        "/api/v1/nodes/n1/proxy",
        "/api/v1/nodes/n1/log",
        "/api/v1/namespaces/lab/pods/p/exec",
        "/api/v1/namespaces/lab/pods/p/log/x",
        "/api/v1/namespaces/lab/pods/../secrets",
        "/api/v1/namespaces/lab/pods/%2e%2e/secrets",
        "/api/v1/watch/secrets",
        "/apis/batch/v1/pods",
        "/metrics",
        "/",
    ],
)
def test_everything_else_is_not(path: str) -> None:
    assert not is_readable(path)
