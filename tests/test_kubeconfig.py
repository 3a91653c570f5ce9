"""Kubeconfigs: the learner's may do everything, the grader's may read what it is granted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from gpulab import kubeconfig
from gpulab.pairs import Pair
from tests.conftest import Done, Lab, eventually

MAY = [
    "list pods",
    "get pods --subresource=log",
    "list nodes",
    "watch events",
    "get jobs.batch",
    "list namespaces",
]
MAY_NOT = [
    "get secrets",
    "list secrets",
    "create pods",
    "create deployments.apps",
    "create namespaces",
    "delete pods",
    "patch pods",
    "update nodes",
    "patch pods --subresource=status",
    "get nodes --subresource=proxy",
    "create nodes --subresource=proxy",
    "get pods --subresource=exec",
    "create pods --subresource=exec",
    "get pods --subresource=attach",
    "create pods --subresource=portforward",
    "get pods --subresource=proxy",
    "get services --subresource=proxy",
    "create pods --subresource=eviction",
    "create pods --subresource=ephemeralcontainers",
    "create serviceaccounts --subresource=token",
    "impersonate users",
    "impersonate groups",
    "escalate clusterroles.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io",
    "approve certificatesigningrequests.certificates.k8s.io",
    "*  *",
]


def test_a_kubeconfig_is_private_and_has_one_context(tmp_path: Path) -> None:
    file, pair = tmp_path / "kubeconfig", Pair(tmp_path / "a.crt", tmp_path / "a.key")
    kubeconfig.write(
        file, lab="demo", user="admin", server="https://x", ca=tmp_path / "ca", pair=pair
    )
    content = yaml.safe_load(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert [len(content[key]) for key in ("clusters", "users", "contexts")] == [1, 1, 1]
    assert content["current-context"] == content["contexts"][0]["name"] == "gpulab-demo"


@pytest.mark.live
def test_the_command_prints_the_path_and_nothing_else(lab: Lab) -> None:
    narrow = Lab(lab.name, lab.env | {"COLUMNS": "20"})
    done = narrow.gpulab("kubeconfig")
    assert (done.returncode, done.stdout) == (0, f"{lab.kubeconfig}\n")


@pytest.mark.live
def test_it_prints_the_path_of_a_stopped_lab_too(own_lab: Lab) -> None:
    assert own_lab.gpulab("down").returncode == 0
    assert own_lab.gpulab("kubeconfig").stdout == f"{own_lab.kubeconfig}\n"


@pytest.mark.live
def test_the_learner_may_do_everything(lab: Lab) -> None:
    assert lab.kubectl("auth", "can-i", "*", "*", "--all-namespaces").stdout.strip() == "yes"


@pytest.mark.live
def test_the_learner_is_nobody_whom_no_rule_binds(lab: Lab) -> None:
    found = yaml.safe_load(lab.kubectl("auth", "whoami", "-o", "yaml").stdout)["status"]["userInfo"]
    assert found["username"] == "learner"
    assert sorted(found["groups"]) == ["gpulab:learners", "system:authenticated"]


GUARD = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: test-no-learner}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: ["v1"], operations: [CREATE], resources: [configmaps]}
  validations:
  - expression: >-
      !object.metadata.name.startsWith("guarded") || !("gpulab:learners" in request.userInfo.groups)
    message: not for learners
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: test-no-learner}
spec: {policyName: test-no-learner, validationActions: [Deny]}
"""


@pytest.mark.live
def test_an_admission_policy_can_bind_learners_and_not_gpulab_itself(
    lab: Lab, namespace: str
) -> None:
    create = ("create", "configmap", "-n", namespace)
    lab.apply(GUARD)
    try:
        denied = eventually(lambda: refused(lab.kubectl(*create, f"guarded-{time.time_ns()}")))
        assert "not for learners" in denied
        assert lab.kubectl(*create, "other").returncode == 0
        admin = ("--kubeconfig", str(lab.root / "admin.kubeconfig"))
        assert lab.kubectl(*admin, *create, "guarded").returncode == 0
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            lab.kubectl("delete", kind, "test-no-learner")


def refused(done: Done) -> str | None:
    return done.stderr if done.returncode else None


@pytest.mark.live
def test_who_takes_his_own_rights_away_gets_them_back_with_up(spare_lab: Lab) -> None:
    assert spare_lab.kubectl("delete", "clusterrolebinding", "gpulab:learners").returncode == 0
    mine = ("auth", "can-i", "get", "secrets")
    eventually(lambda: spare_lab.kubectl(*mine).stdout.strip() == "no")
    assert spare_lab.gpulab("check", "01").returncode in (0, 1, 2)  # the grader does not need them
    up = spare_lab.gpulab("up")
    assert up.returncode == 0, up.stderr
    eventually(lambda: spare_lab.kubectl(*mine).stdout.strip() == "yes")


@pytest.mark.live
@pytest.mark.parametrize("verb", MAY)
def test_the_grader_may_read(lab: Lab, verb: str) -> None:
    assert can_i(lab, verb) == "yes"


@pytest.mark.live
@pytest.mark.parametrize("verb", MAY_NOT)
def test_the_grader_may_not(lab: Lab, verb: str) -> None:
    assert can_i(lab, verb) == "no"


def can_i(lab: Lab, verb: str) -> str:
    return as_grader(lab, "auth", "can-i", *verb.split(), "--all-namespaces").strip()


def as_grader(lab: Lab, *arguments: str) -> str:
    done = lab.kubectl("--kubeconfig", str(lab.root / "grader.kubeconfig"), *arguments)
    return done.stdout


@pytest.mark.live
def test_the_grader_is_known_by_its_own_name_and_in_no_group_of_power(lab: Lab) -> None:
    who = as_grader(lab, "auth", "whoami", "-o", "yaml")
    found = yaml.safe_load(who)["status"]["userInfo"]
    assert found["username"] == "gpulab-grader"
    assert found["groups"] == ["system:authenticated"]
