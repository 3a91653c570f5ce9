"""`gpulab reset` gives the starting state back, and touches no namespace that is not its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from autograders.load import exercise_names, load_exercise
from gpulab import given
from gpulab.paths import ROOT
from gpulab.reset import LABEL
from tests.conftest import Lab, eventually, pod, said

NAMESPACE = "gpu-basics"
EXERCISES = ROOT / "exercises"
ABOUT = (
    "cluster-setup/gpulab/reset.py",
    "cluster-setup/gpulab/emptying.py",
    "cluster-setup/gpulab/baseline.py",
)
pytestmark = [pytest.mark.live, pytest.mark.sample(*ABOUT)]


def made(lab: Lab, *kinds: str) -> set[str]:
    """What is in the namespace, without what controllers put into each."""
    items = lab.get(",".join(kinds), "-n", NAMESPACE)["items"]
    names = {f"{each['kind']}/{each['metadata']['name']}" for each in items}
    return names - {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}


KINDS = (
    *("pods", "configmaps", "secrets", "services", "serviceaccounts", "jobs", "deployments"),
    *("replicasets", "resourcequotas", "roles", "persistentvolumeclaims", "poddisruptionbudgets"),
)
BUSY = """
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  parallelism: 2
  completions: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox:1.37, command: [sleep, "1000"]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "registry.k8s.io/pause:3.10.1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: "50"}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""


@pytest.fixture
def started(lab: Lab) -> Iterator[Lab]:
    done = lab.gpulab("start", "01")
    assert done.returncode == 0, done.stderr
    yield lab
    lab.gpulab("reset", "01", "--answers")


def reset(lab: Lab, exercise: str = "01", *options: str) -> str:
    done = lab.gpulab("reset", exercise, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_that_was_made_is_gone(started: Lab) -> None:
    started.apply(BUSY, NAMESPACE)
    started.make(NAMESPACE, pod("gpu-test", "nvidia-smi", image="nvidia/cuda:12.1"))
    eventually(lambda: len(made(started, "pods")) == 5)
    began = time.monotonic()
    out = reset(started)
    assert time.monotonic() - began < 20
    assert made(started, *KINDS) == set()
    assert "as it was at the start" in out


def test_pods_of_setup_are_given_anew(lab: Lab) -> None:
    assert lab.gpulab("start", "04").returncode == 0
    before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in pods(lab)}
    assert lab.kubectl("delete", "pod", "finetune", "-n", "gpu-quiz", "--now").returncode == 0
    lab.make("gpu-quiz", pod("mine", "sleep", "1000", gpus=1))
    reset(lab, "04")
    after = {each["metadata"]["name"]: each["metadata"]["uid"] for each in pods(lab)}
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


def pods(lab: Lab) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = lab.get("pods", "-n", "gpu-quiz")["items"]
    return items


def test_labels_that_were_put_on_the_namespace_go_and_its_identity_stays(started: Lab) -> None:
    uid = started.get("namespace", NAMESPACE)["metadata"]["uid"]
    for what in ("label", "annotate"):
        started.kubectl(what, "namespace", NAMESPACE, "mine=1")
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    started.kubectl("label", "namespace", NAMESPACE, enforce)
    reset(started)
    found = started.get("namespace", NAMESPACE)["metadata"]
    assert found["uid"] == uid
    assert found["labels"].keys() == {"kubernetes.io/metadata.name", LABEL}
    assert "mine" not in found["annotations"]


def test_answers_stay_unless_told(started: Lab) -> None:
    file = started.work / "exercises" / "01-deploy-gpu-pod" / "answers.toml"
    file.write_text('gpu_name = "mine"\n')
    assert str(file) in reset(started)
    assert file.read_text() == 'gpu_name = "mine"\n'
    reset(started, "01", "--answers")
    assert "mine" not in file.read_text()


def test_before_the_first_start_it_is_a_start(spare_lab: Lab) -> None:
    reset(spare_lab)
    assert spare_lab.get("namespace", NAMESPACE)["metadata"]["labels"][LABEL]


@pytest.mark.parametrize("command", ["start", "reset"])
@pytest.mark.parametrize("label", ["", "02-fix-broken-pytorch"])
def test_a_namespace_of_somebody_else_is_refused(spare_lab: Lab, command: str, label: str) -> None:
    spare_lab.kubectl("create", "namespace", NAMESPACE)
    spare_lab.kubectl("label", "namespace", NAMESPACE, f"{LABEL}={label}", "--overwrite")
    spare_lab.kubectl("create", "configmap", "theirs", "-n", NAMESPACE)
    what, do = said(spare_lab.gpulab(command, "01"))
    assert f"has no label {LABEL}=01-deploy-gpu-pod" in what
    assert f"kubectl delete namespace {NAMESPACE}" in do
    assert spare_lab.kubectl("get", "configmap", "theirs", "-n", NAMESPACE).returncode == 0


@pytest.mark.parametrize("command", ["start", "reset"])
def test_a_terminating_namespace_is_refused(spare_lab: Lab, command: str) -> None:
    """A finalizer holds it, as an object that nobody can delete does."""
    spare_lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    assert spare_lab.gpulab("start", "01").returncode == 0
    hold = '{"metadata":{"finalizers":["example.org/hold"]}}'
    spare_lab.kubectl("patch", "namespace", NAMESPACE, "--type=merge", "-p", hold)
    spare_lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    what, do = said(spare_lab.gpulab(command, "01"))
    assert what == f"namespace {NAMESPACE} is being deleted"
    assert "kubectl wait" in do
    free = '{"metadata":{"finalizers":null}}'
    spare_lab.kubectl("patch", "namespace", NAMESPACE, "--type=merge", "-p", free)
    spare_lab.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=60s")


def test_what_a_finalizer_holds_is_named_in_time(spare_lab: Lab) -> None:
    spare_lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    assert spare_lab.gpulab("start", "01").returncode == 0
    held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, finalizers: [example.org/hold]}\n"
    spare_lab.apply(held, NAMESPACE)
    what, do = said(spare_lab.gpulab("reset", "01"))
    assert "after 10 s still ConfigMap a (held by its finalizers example.org/hold)" in what
    assert "finalizers" in do
    free = '{"metadata":{"finalizers":null}}'
    spare_lab.kubectl("patch", "cm", "a", "-n", NAMESPACE, "--type=merge", "-p", free)
    reset(spare_lab)


def test_without_a_lab_it_says_how_to_get_one(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("reset", "01"))
    assert "there is no lab" in what
    assert "gpulab up" in do


def test_a_lab_that_is_down_is_said(spare_lab: Lab) -> None:
    assert spare_lab.gpulab("down").returncode == 0
    what, do = said(spare_lab.gpulab("reset", "01"))
    assert "cannot reach the cluster" in what
    assert "gpulab up" in do


def test_every_exercise_labels_its_namespaces() -> None:
    for name in exercise_names(EXERCISES):
        exercise = load_exercise(EXERCISES / name)
        found = [each for each in yaml.safe_load_all(given.setup(exercise)) if each]
        spaces = [each["metadata"] for each in found if each["kind"] == "Namespace"]
        assert exercise.namespace in {each["name"] for each in spaces}
        assert all(each["labels"] == {LABEL: name} for each in spaces)
