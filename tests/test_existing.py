"""Provider existing: another lab stands for a cluster of somebody's, of which we run nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gpulab.paths import ROOT
from tests.conftest import Lab, environment, remove_exercises, said

ABOUT = ("cluster-setup/gpulab/providers/existing.py", "cluster-setup/gpulab/providers/__init__.py")
pytestmark = pytest.mark.sample(*ABOUT)
FIRST = "01-deploy-gpu-pod"
UP = ("up", "--provider", "existing")


@pytest.fixture
def mine(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """A learner who has a kubeconfig of the shared lab, and nothing else of it."""
    env = environment(tmp_path, "mine") | {"KUBECONFIG": str(lab.kubeconfig)}
    yield Lab("mine", env)
    remove_exercises(lab)


@pytest.mark.live
def test_the_same_exercise_is_graded_there_as_real(lab: Lab, mine: Lab) -> None:
    done = mine.gpulab(*UP, "--yes")
    assert done.returncode == 0, done.stderr
    assert "the cluster of context gpulab-shared" in done.stderr
    assert mine.gpulab("start", "01").returncode == 0
    before = mine.gpulab("check", "01", "--json")
    assert (before.returncode, json.loads(before.stdout)["score"]) == (1, 0), before.stderr
    solution = ROOT / "exercises" / FIRST / "solution"
    assert mine.kubectl("apply", "-f", str(solution / "pod.yaml")).returncode == 0
    answers = Path(mine.env["GPULAB_WORK"]) / "exercises" / FIRST / "answers.toml"
    shutil.copyfile(solution / "answers.toml", answers)
    found = json.loads(mine.gpulab("check", "01", "--json").stdout)
    assert (found["score"], found["provider"]) == (10, "existing")
    assert mine.gpulab("reset", "01").returncode == 0
    assert mine.kubectl("get", "pods", "-n", "gpu-basics", "-o", "name").stdout == ""


@pytest.mark.live
def test_it_is_shown_and_must_be_meant(mine: Lab) -> None:
    what, do = said(without_first_line(mine.gpulab(*UP)))
    assert what == "nobody is there to confirm that cluster"
    assert "--yes" in do
    assert not (mine.root / "lab.json").exists()


def without_first_line(done):  # type: ignore[no-untyped-def]
    """What it says of the cluster, before it asks."""
    first, _, done.stderr = done.stderr.partition("\n")
    assert "the cluster of context gpulab-shared" in first
    return done


@pytest.mark.live
def test_what_would_change_the_cluster_is_refused(lab: Lab, mine: Lab) -> None:
    assert mine.gpulab(*UP, "--yes").returncode == 0
    nodes = lab.kubectl("get", "nodes", "-o", "name").stdout
    for command, reason in (
        (("start", "03"), "exercise 03 brings its own nodes"),
        (("checkpoint", "save", "now"), "has no checkpoints"),
        (("break", "node-silent"), "has no simulated nodes"),
        (("pause", "scheduler"), "of which gpulab runs nothing"),
        (("check", "01", "--replay"), "this cluster is somebody's"),
        (("verify", "01", "--provider", "existing"), "a proof needs nodes of its own"),
    ):
        what, _ = said(mine.gpulab(*command))
        assert reason in what
    assert lab.kubectl("get", "nodes", "-o", "name").stdout == nodes
    assert lab.status()["ready"]


@pytest.mark.live
def test_down_forgets_it_and_touches_nothing(lab: Lab, mine: Lab) -> None:
    assert mine.gpulab(*UP, "--yes").returncode == 0
    assert mine.kubeconfig.stat().st_mode & 0o077 == 0
    assert mine.gpulab("down", "--delete").returncode == 0
    assert not mine.root.exists()
    assert lab.status()["ready"]


@pytest.mark.live
def test_a_context_that_is_not_there(mine: Lab) -> None:
    what, _ = said(mine.gpulab(*UP, "--context", "nope", "--yes"))
    assert "nope" in what


@pytest.mark.live
def test_a_cluster_that_does_not_answer(lab: Lab, mine: Lab, tmp_path: Path) -> None:
    found = yaml.safe_load(lab.kubeconfig.read_text())
    found["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "config").write_text(yaml.safe_dump(found))
    other = Lab("mine", mine.env | {"KUBECONFIG": str(tmp_path / "config")})
    done = other.gpulab(*UP, "--yes")
    assert done.returncode == 2
    assert "cannot reach the cluster at https://127.0.0.1:9" in done.stderr
    assert not (mine.root / "lab.json").exists()


def test_options_that_go_with_another_provider(no_lab: Lab) -> None:
    what, _ = said(no_lab.gpulab("up", "--node-image", "x"))
    assert what == "--node-image goes with --provider kind"
    what, _ = said(no_lab.gpulab("up", "--context", "x"))
    assert what == "--context goes with --provider existing"
    what, do = said(no_lab.gpulab("up", "--provider", "minikube"))
    assert (what, do) == (
        "there is no provider 'minikube'",
        "choose embedded, kind, existing",
    )
