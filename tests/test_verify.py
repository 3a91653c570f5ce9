"""A proof holds for the exercises as they are, and for no copy that was weakened on purpose."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograders.errors import InputError
from autograders.load import Exercise, load_exercise
from autograders.mutants import edits
from autograders.proof import Case, Kind, Proof, judged, tally, upper_bound
from autograders.proof.bound import at_most
from autograders.proof.deletion import lines_of, without
from gpulab import kubectl, proofs, trial
from gpulab.mutation import rewrite
from gpulab.paths import ROOT
from gpulab.verify import offline, proof, unrefused
from tests.conftest import Lab, said
from tests.recordings import RECORDED, graded, recording

FIRST, SECOND = "01-deploy-gpu-pod", "02-fix-broken-pytorch"
GUARD = "    if pod:\n        expect_no_bypass(pod)\n"


def proven(folder: Path) -> Proof:
    """Prove an exercise, or a copy of one, on the recording of its name."""
    found = recording(folder.name)
    exercise = load_exercise(folder, dict(found.evidence.variant))
    cases: list[Case] = []
    return proof(exercise, cases, offline(exercise, found, cases.append), 0.0)


def copy(tmp_path: Path, name: str, file: str = "", old: str = "", new: str = "") -> Path:
    """Copy an exercise, with a text of one of its files replaced."""
    folder = tmp_path / name
    shutil.copytree(ROOT / "exercises" / name, folder)
    if file:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize("name", RECORDED)
def test_an_exercise_is_proven_by_its_recording(name: str) -> None:
    found = proven(ROOT / "exercises" / name)
    assert proofs.summary(found).splitlines()[0].startswith(f"{name}: proven")
    kinds = {each.kind for each in found.cases}
    assert kinds == {Kind.MUTANT, Kind.EQUIVALENT, Kind.DELETED}


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "said"),
    [
        (FIRST, "checks.py", "    expect_gpus(pod, exactly=1)\n", "", "full marks"),
        (FIRST, "checks.py", "exactly=1", "at_least=1", "full marks"),
        (FIRST, "checks.py", "expect_succeeded(cluster.pod(POD))", "cluster.pod(POD)", "had to"),
        (FIRST, "checks.py", GUARD, "", "full marks"),
        (FIRST, "checks.py", "return node.gpu_memory_mib", "return 1", "no full marks"),
        (FIRST, "quiz.toml", 'unit = "MiB"', 'unit = "MiB"\ntolerance = 5', "full marks"),
        (SECOND, "checks.py", 'said == "True"', '"True" in said', "full marks"),
        (SECOND, "checks.py", 'at_least=int(cluster.variant["gpus"])', "at_least=1", "had to fail"),
        (SECOND, "checks.py", '"args", ', "", "full marks"),
        (SECOND, "checks.py", "given == pod.asks()", "given", "full marks"),
        (SECOND, "checks.py", 'cluster.variant["product"]', "node.product", "is broken"),
        (SECOND, "mutants.toml", '["prints_true"]', '["is_given_its_gpus"]', "had to fail"),
        (SECOND, "mutants.toml", '"Pod/*: privileged", ', "", "says nothing about"),
        (SECOND, "mutants.toml", '["log of *"]', '["log *", "gone *"]', ""),
        (SECOND, "mutants.toml", '["log of *"]', '["gone *"]', "no mutant is left for 'gone *'"),
        (SECOND, "mutants.toml", '["bypasses_nothing"]', '["nonsense"]', "which is no check"),
    ],
)
def test_a_weakened_copy_is_refused(
    tmp_path: Path, name: str, file: str, old: str, new: str, said: str
) -> None:
    found = proven(copy(tmp_path, name, file, old, new))
    assert found.proven is (said == "")
    assert said in proofs.summary(found)


def test_a_check_that_no_mutant_fails_is_refused(tmp_path: Path) -> None:
    more = '\n\n@check(points=1)\ndef is_kind(cluster):\n    """Why."""\n'
    folder = copy(tmp_path, SECOND)
    with (folder / "checks.py").open("a") as file:
        file.write(more)
    assert "is_kind is failed by 0 mutants" in proofs.summary(proven(folder))


def test_a_guard_that_no_mutant_fails_is_refused(tmp_path: Path) -> None:
    folder = copy(tmp_path, SECOND)
    with (folder / "checks.py").open("a") as file:
        file.write('\n\n@guard\ndef is_kind(cluster):\n    """Why."""\n')
    assert "the guard is_kind is failed by no mutant" in proofs.summary(proven(folder))


def test_a_line_that_refuses_nothing_is_found(tmp_path: Path) -> None:
    text = "    expect_started(pod)\n"
    folder = copy(tmp_path, SECOND, "checks.py", text, text + text)
    found = proven(folder)
    idle = [each for each in found.cases if each.kind is Kind.DELETED and each.fault]
    assert (found.proven, len(idle)) == (False, 2)  # each of the two hides the other


def test_an_exercise_without_rules_for_mutants_is_not_proven(tmp_path: Path) -> None:
    folder = copy(tmp_path, FIRST)
    (folder / "mutants.toml").unlink()
    assert not proven(folder).proven


def test_a_check_without_a_wrong_answer_is_said(tmp_path: Path) -> None:
    folder = copy(tmp_path, SECOND)
    assert list(unrefused(load_exercise(folder))) == []
    shutil.rmtree(folder / "wrong" / "prints_true.leftover-log")
    assert "wrong/prints_true.<why>/" in next(iter(unrefused(load_exercise(folder))))


@pytest.mark.parametrize("name", RECORDED)
def test_every_line_of_expectations_can_be_deleted_alone(name: str) -> None:
    exercise = load_exercise(ROOT / "exercises" / name)
    text = (exercise.folder / "checks.py").read_text().splitlines()
    lines = lines_of(exercise)
    assert [line for line in lines if not text[line.number - 1].strip().startswith("expect")] == []
    written = [each for each in text if each.startswith(" ") and "expect" in each.split("(")[0]]
    calls = [each for each in written if each.strip().startswith("expect") and "(" in each]
    assert len(lines) == len(calls)
    assert all(weaker(exercise, line.index) for line in lines)


def weaker(exercise: Exercise, index: int) -> bool:
    found = without(exercise, lines_of(exercise)[index])
    return [each.name for each in found.checks] == [each.name for each in exercise.checks]


def test_a_verdict_is_right_or_says_how_it_is_not() -> None:
    report = graded(FIRST)
    zero = replace(report, score=0.0)
    assert judged(report, Kind.SOLUTION) == ""
    assert judged(report, Kind.MUTANT, ["succeeds"]) == "full marks"
    assert judged(report, Kind.SHIPPED) == "scores 10, not 0"
    assert judged(zero, Kind.SHIPPED) == ""
    assert "no full marks" in judged(zero, Kind.ALTERNATIVE)
    assert judged(zero, Kind.WRONG, ["succeeds"]) == "succeeds is passed, and had to fail"
    assert judged(zero, Kind.WRONG, ["nothing"]) == "nothing is not there, and had to fail"


@pytest.mark.parametrize(
    ("seen", "cases", "bound"),
    [  # Clopper and Pearson, one-sided 95 %: beta quantiles, as R's qbeta(0.95, k + 1, n - k)
        (0, 1, 0.95),
        (0, 10, 0.258866),
        (0, 100, 0.029513),
        (0, 300, 0.009936),
        (1, 10, 0.394163),
        (2, 20, 0.282619),
        (5, 10, 0.777559),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_bounds_are_exact(seen: int, cases: int, bound: float) -> None:
    assert upper_bound(seen, cases) == pytest.approx(bound, abs=1e-6)


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0, 1))
def test_at_the_bound_so_few_are_seen_one_time_in_twenty(cases: int, share: float) -> None:
    seen = min(int(share * cases), cases - 1)
    bound = upper_bound(seen, cases)
    assert at_most(seen, cases, bound) == pytest.approx(0.05, rel=1e-6)
    assert seen / cases < bound <= upper_bound(seen + 1, cases)
    assert seen != 0 or bound <= 3 / cases  # the rule of three is on the safe side


@pytest.mark.parametrize(("seen", "cases"), [(-1, 2), (3, 2)])
def test_a_bound_of_nonsense_is_refused(seen: int, cases: int) -> None:
    with pytest.raises(ValueError, match=f"{seen} of {cases}"):
        upper_bound(seen, cases)


def test_probabilities_end_at_the_borders() -> None:
    assert [at_most(2, 5, 0.0), at_most(2, 5, 1.0), at_most(5, 5, 1.0)] == [1.0, 0.0, 1.0]
    assert math.isclose(at_most(0, 3, 0.5), 0.125)


CASES = (
    Case(Kind.SOLUTION, "solution"),
    Case(Kind.WRONG, "a.b", "full marks"),
    Case(Kind.MUTANT, "Pod/a: deleted"),
    Case(Kind.EQUIVALENT, "Pod/a: labelled", reason="any label will do"),
    Case(Kind.DELETED, "checks.py:1"),
)


def test_tables_count_answers_by_kind() -> None:
    passes = [(each.kind, each.cases, each.wrong) for each in tally(CASES, must_pass=False)]
    assert passes == [("wrong answer", 1, 1), ("mutant", 1, 0), ("in all", 2, 1)]
    fails = [(each.kind, each.cases, each.wrong) for each in tally(CASES, must_pass=True)]
    assert fails == [("solution", 1, 0), ("equivalent mutant", 1, 0), ("in all", 2, 0)]


def test_reports_are_written_for_people_and_for_programs(tmp_path: Path) -> None:
    found = [Proof("01-x", "X", CASES, ("a fault",), ("pod = a",))]
    proofs.write(found, tmp_path / "new" / "report.md")
    proofs.write(found, tmp_path / "report.json")
    text = (tmp_path / "new" / "report.md").read_text()
    assert all(each in text for each in ("Not proven: 01-x", "any label will do", "a fault"))
    data = json.loads((tmp_path / "report.json").read_text())
    assert (data["proven"], data["exercises"][0]["proven"]) == (False, False)
    assert data["false_passes"][-1]["wrong"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf x",
        "kubectl get pods | cat",
        "kubectl get pods; ls",
        "kubectl get $X",
        "kubectl get `x`",
        "kubectl get > x",
        "sudo kubectl get",
        "kubectl get 'x",
    ],
)
def test_commands_are_kubectl_and_nothing_else(line: str) -> None:
    with pytest.raises(InputError, match=r"commands\.sh"):
        kubectl.commands(f"kubectl get pods\n{line}\n", "commands.sh")


def test_an_answer_is_laid_out_with_the_solutions_files_and_its_own(tmp_path: Path) -> None:
    exercise = load_exercise(ROOT / "exercises" / FIRST)
    wrong = exercise.folder / "wrong" / "gpu_name.model-only"
    with trial.laid_out(exercise, exercise.folder / "solution", wrong) as laid:
        assert sorted(each.name for each in laid.iterdir()) == ["answers.toml", "pod.yaml"]
        assert 'gpu_name = "H100"' in (laid / "answers.toml").read_text()
        assert trial.steps(laid) == [["apply", "-f", "pod.yaml"]]
        assert not trial.is_beyond(exercise.namespace, laid / "pod.yaml")
        assert trial.is_beyond("elsewhere", laid / "pod.yaml")


def test_an_edit_is_made_to_manifests_as_to_recordings() -> None:
    exercise = load_exercise(ROOT / "exercises" / SECOND)
    edit = next(each for each in edits() if each.name == "no GPU limit")
    with trial.laid_out(exercise, exercise.folder / "solution") as laid:
        titles = rewrite(laid, edit)
        assert titles == [f"Pod/{exercise.variant['pod']}: no GPU limit"]
        assert "nvidia.com/gpu:" not in (laid / "pod.yaml").read_text()


def test_without_a_recording_the_way_to_one_is_said(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("verify", "01", "--offline"))
    assert "nothing is recorded" in what
    assert "gpulab verify 01-deploy-gpu-pod" in do


def test_a_recording_of_another_solution_is_refused(no_lab: Lab) -> None:
    file = Path(no_lab.env["GPULAB_HOME"]) / "verify" / f"{FIRST}.json"
    file.parent.mkdir(parents=True)
    found = json.loads((Path(__file__).parent / "evidence" / f"{FIRST}.json").read_text())
    file.write_text(json.dumps({**found, "inputs": "old"}))
    assert "another solution" in said(no_lab.gpulab("verify", "01", "--offline"))[0]
    file.write_text("{")
    assert "damaged" in said(no_lab.gpulab("verify", "01", "--offline"))[0]
