"""A submission is data: what it may say, and what becomes of it on a clean second lab."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograders.errors import InputError
from autograders.load import load_exercise, read_variant
from autograders.rights import NEVER, WORKLOADS, Rule, faults
from gpulab import submission, trial
from gpulab.grants import Grant
from gpulab.paths import ROOT
from gpulab.submission import Submission, read
from tests.conftest import Lab, eventually, said

ABOUT = (
    "cluster-setup/gpulab/replay.py",
    "cluster-setup/gpulab/probing.py",
    "cluster-setup/gpulab/steps.py",
    "cluster-setup/replay/",
)
pytestmark = pytest.mark.sample(*ABOUT)
EXERCISES = ROOT / "exercises"
FIRST, SECOND, THIRD = "01-deploy-gpu-pod", "02-fix-broken-pytorch", "03-plan-ten-jobs"
FILES = {FIRST: "gpu-test.yaml", SECOND: "pod.yaml", THIRD: "jobs.yaml"}
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n"


def hand_in(tmp_path: Path, commands: str | None = None, name: str = SECOND) -> Submission:
    """Read a submission with one manifest, and perhaps a commands.sh."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir(exist_ok=True)
    target.mkdir()
    (source / FILES[name]).write_text(POD)
    if commands is not None:
        (source / "commands.sh").write_text(commands)
    return read(load_exercise(EXERCISES / name), source, target)


def test_without_commands_each_manifest_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    assert hand_in(tmp_path).steps == (("replace", "--force", "-f", "pod.yaml"),)


@pytest.mark.parametrize(
    "line",
    [
        "kubectl apply -f pod.yaml",
        "kubectl apply -fpod.yaml --namespace gpu-access",
        "kubectl replace --force --filename=pod.yaml",
        "kubectl delete pods --selector app=customer -n gpu-access --now",
        "kubectl wait pod/a --for=condition=Ready --timeout=20s",
        "kubectl patch pod a --type merge --patch '{\"metadata\":{}}'",
        "kubectl get pods -o name",
    ],
)
def test_what_kubectl_does_with_ones_own_files_is_taken(tmp_path: Path, line: str) -> None:
    assert len(hand_in(tmp_path, f"# mine\n{line}\n").steps) == 1


@pytest.mark.parametrize(
    "line",
    [
        "kubectl apply -f /etc/passwd",
        "kubectl apply -f ../pod.yaml",
        "kubectl apply -f https://example.org/pod.yaml",
        "kubectl apply -f other.yaml",
        "kubectl apply -f commands.sh",
        "kubectl apply -f",
        "kubectl apply -k .",
        "kubectl apply -f pod.yaml --as admin",
        "kubectl apply -f pod.yaml --as=admin",
        "kubectl --as admin apply -f pod.yaml",
        "kubectl apply -f pod.yaml --kubeconfig x",
        "kubectl apply -f pod.yaml --server https://example.org",
        "kubectl apply -f pod.yaml -s https://example.org",
        "kubectl apply -f pod.yaml --token x",
        "kubectl logs -p --as=admin a",
        "kubectl logs -f --as=admin a",
        "kubectl get pods -o custom-columns-file=/etc/passwd",
        "kubectl get pods -o=jsonpath-file=/etc/passwd",
        "kubectl get --raw /api",
        "kubectl create configmap a --from-file=/etc/passwd",
        "kubectl run a --image a -- sh -c true",
        "kubectl exec a ls",
        "kubectl edit pod a",
        "kubectl cp a:/x /x",
        "kubectl proxy",
        "kubectl config view",
        "kubectl certificate approve a",
        "kubectl drain n",
        "kubectl plugin list",
        "kubectl foo",
        "kubectl",
        "sh -c kubectl",
        "kubectl get pods; rm -rf x",
        "kubectl get pods > x",
        "kubectl get $HOME",
    ],
)
def test_everything_else_is_refused_before_a_lab_is_made(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"commands\.sh"):
        hand_in(tmp_path, line)


def test_too_many_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 100 lines"):
        hand_in(tmp_path, "kubectl get pods\n" * 101)


@pytest.mark.parametrize("what", ["link", "folder", "huge", "bytes", "missing"])
def test_only_plain_small_texts_are_taken(tmp_path: Path, what: str) -> None:
    (tmp_path / "source").mkdir()
    file = tmp_path / "source" / "commands.sh"
    makes: dict[str, Any] = {
        "link": lambda: file.symlink_to("/etc/passwd"),
        "folder": file.mkdir,
        "huge": lambda: file.write_bytes(b"#" * (submission.LARGEST + 1)),
        "bytes": lambda: file.write_bytes(b"\xff\xfe"),
    }
    if what != "missing":
        makes[what]()
        with pytest.raises(InputError, match=r"commands\.sh"):
            hand_in(tmp_path)
        return
    with pytest.raises(InputError, match=r"has no pod\.yaml"):
        read(load_exercise(EXERCISES / SECOND), tmp_path / "source", tmp_path)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(("",), ("events",)),
        Rule(("",), ("pods/status",)),
        Rule(("",), ("pods/binding",)),
        Rule(("",), ("bindings",)),
        Rule(("",), ("pods/exec",)),
        Rule(("",), ("secrets",)),
        Rule(("",), ("*",)),
        Rule(("",), ("pods",), ("*",)),
        Rule(("",), ("pods",), ("impersonate",)),
        Rule(("rbac.authorization.k8s.io",), ("roles",), ("escalate",)),
        Rule(("rbac.authorization.k8s.io",), ("roles",), ("bind",)),
        Rule(("*",), ("pods",)),
    ],
)
def test_no_exercise_can_let_a_submission_write_its_own_evidence(rule: Rule) -> None:
    assert list(faults([rule]))


def test_what_is_allowed_by_default_is_workloads() -> None:
    assert list(faults(WORKLOADS)) == []
    assert not NEVER & {name for each in WORKLOADS for name in each.resources}


def test_a_role_lies_in_its_namespace_and_names_its_user() -> None:
    (where, role), (_, binding) = Grant("u", WORKLOADS[:1], "lab").objects
    assert where == "/apis/rbac.authorization.k8s.io/v1/namespaces/lab/roles"
    assert (role["kind"], binding["roleRef"]["kind"]) == ("Role", "Role")
    assert binding["subjects"][0]["name"] == "u"


# -- on labs


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Of the shared lab, which a replay does not touch, with a folder of his own."""
    return Lab(lab.name, lab.env | {"GPULAB_WORK": str(tmp_path / "work")})


def own_files(learner: Lab, name: str) -> Path:
    """Put the solution into the learner's folder, with the learner's values."""
    assert learner.gpulab("task", name).returncode == 0  # draws them
    folder = learner.work / "exercises" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = read_variant(EXERCISES / name)
    values = tomllib.loads((folder / "variant.toml").read_text()) if spec else None
    exercise = load_exercise(EXERCISES / name, values)
    with trial.laid_out(exercise, exercise.folder / "solution") as laid:
        for each in laid.iterdir():
            target = FILES[name] if each.suffix == ".yaml" else each.name
            if each.name != "commands.sh":
                shutil.copy(each, folder / target)
    return folder


def replayed(learner: Lab, name: str) -> dict[str, Any]:
    done = learner.gpulab("check", name, "--replay", "--json", seconds=200)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def labs(learner: Lab) -> list[str]:
    return sorted(os.listdir(learner.root.parent))


@pytest.mark.live
@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD])
def test_the_solution_as_files_gets_full_marks_and_leaves_no_lab(learner: Lab, name: str) -> None:
    own_files(learner, name)
    before = labs(learner)
    report = replayed(learner, name)
    assert report["score"] == report["max_score"] == 10.0
    assert (report["speed"], report["warnings"]) == (20.0, [])
    assert labs(learner) == before


@pytest.mark.live
def test_what_a_submission_must_not_do_is_refused_by_its_role_and_told(learner: Lab) -> None:
    folder = own_files(learner, SECOND)
    manifest = (folder / "pod.yaml").read_text()
    event = "{apiVersion: v1, kind: Event, metadata: {name: e, namespace: gpu-access},"
    event += " involvedObject: {kind: Pod, namespace: gpu-access}}"
    role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r,"
    role += " namespace: gpu-access}, rules: []}"
    space = "{apiVersion: v1, kind: Namespace, metadata: {name: mine}}"
    (folder / "pod.yaml").write_text("\n---\n".join([manifest, event, role, space]))
    lines = ["delete pods --all -n gpu-access --now", "apply -f pod.yaml", "get nodes"]
    lines.append("delete namespace default")
    (folder / "commands.sh").write_text("".join(f"kubectl {each}\n" for each in lines))
    report = replayed(learner, SECOND)
    assert report["score"] == 10.0  # the Pod is as it should be
    told = [each for each in report["warnings"] if each.startswith("replay: ")]
    assert [each.split(":")[1].strip() for each in told] == [
        f"kubectl {each}" for each in lines[1:]
    ]
    assert all("orbidden" in each for each in told)


@pytest.mark.live
def test_the_live_cluster_has_no_part_in_a_replay(learner: Lab) -> None:
    folder = own_files(learner, FIRST)
    (folder / FILES[FIRST]).write_text(
        POD.replace("name: a}", "name: a, namespace: gpu-basics}", 1)
    )
    assert replayed(learner, FIRST)["score"] < 5.0


@pytest.mark.live
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_ended_leaves_no_lab(learner: Lab, how: signal.Signals) -> None:
    own_files(learner, FIRST)
    before = labs(learner)
    running = learner.begin("check", "01", "--replay")
    eventually(lambda: len(labs(learner)) > len(before), 30)
    running.send_signal(how)
    running.communicate(timeout=90)
    assert labs(learner) == before


@pytest.mark.live
def test_a_replay_needs_files_and_a_lab_of_its_own(learner: Lab) -> None:
    what, _do = said(learner.gpulab("check", "02", "--replay"))
    assert "has no pod.yaml" in what
    kubeconfig = ("--kubeconfig", str(learner.kubeconfig))
    assert (
        "this cluster is somebody's"
        in said(learner.gpulab("check", "01", "--replay", *kubeconfig))[0]
    )
