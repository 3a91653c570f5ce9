"""What the simulated kubelet writes arrives, though the API server refuses it for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Lab, eventually, pod

pytestmark = pytest.mark.live
REGISTRATION = "admissionregistration.k8s.io/v1"


@contextmanager
def refused(
    lab: Lab, namespace: str, operation: str, resource: str, allowed: str = "false"
) -> Iterator[None]:
    """Answer 403 to everybody, as a server does whose admission plugins are not ready yet."""
    chosen = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": [operation]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": chosen,
            "resourceRules": [{**rule, "resources": [resource]}],
        },
        "validations": [{"expression": allowed, "message": "not yet", "reason": "Forbidden"}],
    }
    binding = {"policyName": namespace, "validationActions": ["Deny"]}
    items = [
        policy("ValidatingAdmissionPolicy", namespace, spec),
        policy("ValidatingAdmissionPolicyBinding", namespace, binding),
    ]
    lab.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    try:
        yield
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            assert lab.kubectl("delete", kind, namespace).returncode == 0


def policy(kind: str, name: str, spec: object) -> dict[str, object]:
    return {"apiVersion": REGISTRATION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def is_refused(lab: Lab, *arguments: str) -> bool:
    return "not yet" in lab.kubectl(*arguments, "--dry-run=server").stderr


def test_how_a_pod_ended_is_written_once_it_may_be(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "9", gpus=1))
    lab.wait(namespace, "p", "phase=Running")
    with refused(lab, namespace, "UPDATE", "pods/status"):
        again = '{"status": {"message": "x"}}'
        patch = ("patch", "pod", "p", "-n", namespace, "--subresource=status", "-p", again)
        eventually(lambda: is_refused(lab, *patch))
        eventually(lambda: "trying again" in (lab.root / "logs" / "simulator.log").read_text(), 30)
        assert lab.get("pod", "p", "-n", namespace)["status"]["phase"] == "Running"
    lab.wait(namespace, "p", "phase=Succeeded")


def test_a_pod_that_was_deleted_goes_once_it_may(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "99", gpus=1), pod("other", "sleep", "99"))
    lab.wait(namespace, "p", "phase=Running")
    graceful = "request.options.?gracePeriodSeconds.orValue(1) != 0"
    with refused(lab, namespace, "DELETE", "pods", graceful):
        now = ("delete", "pod", "other", "-n", namespace, "--force", "--grace-period=0")
        eventually(lambda: is_refused(lab, *now))
        delete = ("delete", "pod", "p", "-n", namespace, "--wait=false", "--grace-period=1")
        assert lab.kubectl(*delete).returncode == 0
        log = lab.root / "logs" / "simulator.log"
        eventually(lambda: f"{namespace}/pods/p: " in log.read_text(), 30)
        assert lab.get("pod", "p", "-n", namespace)["metadata"]["deletionTimestamp"]
    gone = lab.kubectl("wait", "pod/p", "-n", namespace, "--for=delete", "--timeout=30s")
    assert gone.returncode == 0, gone.stderr
