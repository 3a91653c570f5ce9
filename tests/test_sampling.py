"""Which of the tests marked `sample` run."""

from __future__ import annotations

from tests.sampling import ONE_IN, runs

TEST = "tests/test_shell.py::test_a_line[{}]"
ABOUT = ("cluster-setup/gpulab/sim/shell",)


def share(commit: str, changes: set[str], about: tuple[str, ...] = ABOUT) -> float:
    chosen = [runs(TEST.format(number), about, commit, changes) for number in range(1000)]
    return sum(chosen) / len(chosen)


def test_one_in_five_runs_and_others_with_the_next_commit() -> None:
    assert abs(share("a" * 40, set()) - 1 / ONE_IN) < 0.05
    first, second = (
        {number for number in range(1000) if runs(TEST.format(number), (), commit, set())}
        for commit in ("a" * 40, "b" * 40)
    )
    assert first - second
    assert second - first


def test_all_run_that_the_change_is_about() -> None:
    assert share("a", {"cluster-setup/gpulab/sim/shell/disk.py"}) == 1
    assert share("a", {"tests/test_shell.py"}) == 1
    assert share("a", {"cluster-setup/gpulab/sim/pod.py", "README.md"}) < 1


def test_all_run_that_name_a_changed_exercise() -> None:
    changes = {"exercises/03-plan/solution/job.yaml"}
    assert runs("tests/test_exercises.py::test_proof[03-plan]", (), "a", changes)
    others = [f"tests/test_exercises.py::test_proof[0{number}-x]" for number in range(300)]
    assert not all(runs(each, (), "a", changes) for each in others)
