"""Every notebook runs from top to bottom in a learner's folder, against a real cluster."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from gpulab import binaries, jupyter
from gpulab.paths import ROOT, LabPaths
from tests.conftest import Done, Lab, Object, run

pytestmark = pytest.mark.live
LESSONS = sorted(ROOT.glob("course/*.ipynb"))
EXERCISES = sorted(ROOT.glob("exercises/*/exercise.ipynb"))
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"]


def name(path: Path) -> str:
    return path.parent.name if path.name == "exercise.ipynb" else path.stem


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Lab:
    """The shared lab, seen by a learner."""
    return as_learner(lab, tmp_path / "work")


def as_learner(lab: Lab, work: Path) -> Lab:
    """A lab with a learner's folder and what JupyterLab sets for its kernels."""
    paths = LabPaths(lab.name, lab.root)
    found = jupyter.environment(paths, binaries.ensure()["kubectl"])
    given = {key: found[key] for key in ("PATH", "KUBECONFIG", "GPULAB_NAME")}
    return Lab(lab.name, lab.env | given | {"GPULAB_WORK": str(work)})


def play(learner: Lab, notebook: Path, manifest: str | None = None, *, stop: bool = False) -> Done:
    """Run a copy of a notebook in the learner's folder, cell by cell.

    `manifest` is what the learner writes in place of the one in the notebook; `stop` at the first
    cell that fails, and wait for nothing longer than 15 s.
    """
    copy = learner.work / notebook.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(notebook, copy)
    if manifest is not None:
        rewrite(copy, manifest)
    nbval = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *NBVAL]
    if stop:
        nbval.append("-x")
        copy.write_text(
            re.sub(r"--timeout=\d+s", "--timeout=15s", copy.read_text("utf-8")), "utf-8"
        )
    return run(
        [*nbval, "--rootdir", str(learner.work), str(copy)], learner.env, 250, cwd=copy.parent
    )


def rewrite(notebook: Path, manifest: str) -> None:
    """Do as the notebook says: change the cell that writes the manifest."""
    found = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in found["cells"]:
        if cell["source"] and cell["source"][0].startswith("%%writefile"):
            cell["source"] = [cell["source"][0], manifest]
    notebook.write_text(json.dumps(found), encoding="utf-8")


def solution(learner: Lab, exercise: str) -> dict[str, str]:
    """File name and content, with the learner's own values."""
    if not (ROOT / "exercises" / exercise / "variant.toml").exists():
        folder = ROOT / "exercises" / exercise / "solution"
        return {path.name: path.read_text() for path in folder.iterdir()}
    shown = learner.gpulab("variant", exercise, "--learner", "self")
    assert shown.returncode == 0, shown.stderr
    parts = re.split(r"^# solution/(\S+)\n\n", shown.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def verdict(learner: Lab, notebook: Path) -> Object:
    """What the grader says now; then the exercise's namespace goes."""
    check = learner.gpulab("check", notebook.parent.name, "--json")
    assert check.returncode in (0, 1), check.stderr
    setup = str(notebook.with_name("setup.yaml"))
    learner.kubectl("delete", "-f", setup, "--grace-period=0", "--force")
    assert learner.gpulab("reset", "--lab", "--yes").returncode == 0  # it may have brought nodes
    report: Object = json.loads(check.stdout)
    return report


@pytest.mark.parametrize("notebook", [*LESSONS, *EXERCISES], ids=name)
def test_a_notebook_stores_no_output(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]


@pytest.mark.sample
@pytest.mark.parametrize("notebook", LESSONS, ids=name)
def test_a_lesson_runs_and_leaves_no_pod_behind(learner: Lab, notebook: Path) -> None:
    done = play(learner, notebook)
    assert done.returncode == 0, done.stdout
    assert left_by_lessons(learner) == []


def left_by_lessons(learner: Lab) -> list[str]:
    """Pods where lessons make them without a namespace, what they label, and changed nodes."""
    pods = learner.kubectl("get", "pods", "-n", "default", "-o", "name").stdout.split()
    kinds = "namespaces,priorityclasses"
    made = learner.kubectl("get", kinds, "-l", "gpulab.dev/lesson", "-o", "name").stdout.split()
    nodes = learner.get("nodes")["items"]
    changed = [each["metadata"]["name"] for each in nodes if each["spec"].get("taints")]
    return pods + made + changed


@pytest.mark.sample
@pytest.mark.parametrize("notebook", EXERCISES, ids=name)
def test_an_exercise_as_shipped_runs_and_scores_exactly_0(learner: Lab, notebook: Path) -> None:
    done = play(learner, notebook)
    assert done.returncode == 0, done.stdout
    report = verdict(learner, notebook)
    assert report["score"] == 0
    assert report["max_score"] > 0


@pytest.mark.sample
@pytest.mark.parametrize("notebook", EXERCISES, ids=name)
def test_an_exercise_with_its_solution_runs_and_gets_full_marks(
    learner: Lab, notebook: Path
) -> None:
    files = solution(learner, notebook.parent.name)
    folder = (learner.work / notebook.relative_to(ROOT)).parent
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_text(content)
    manifests = [text for file, text in files.items() if file.endswith(".yaml")]
    done = play(learner, notebook, "---\n".join(manifests))
    assert done.returncode == 0, done.stdout
    report = verdict(learner, notebook)
    assert report["score"] == report["max_score"] > 0, report
