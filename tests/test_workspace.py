"""The learner's folder: what is copied, what is renewed, and that an edited file is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograders.load import find_exercise, load_exercise
from autograders.quiz import read_answers
from gpulab import paths, workspace
from tests.conftest import Lab, run_clone

LESSON = Path("course/00-start-here.ipynb")
EXERCISE = Path("exercises/01-deploy-gpu-pod/exercise.ipynb")


@pytest.fixture
def upstream(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that the next upgrade changes; the learner's folder is $GPULAB_WORK."""
    monkeypatch.setattr(workspace, "ROOT", clone)
    monkeypatch.setenv("GPULAB_WORK", str(tmp_path / "work"))
    return clone


def test_every_notebook_is_copied_and_nothing_of_the_solutions(upstream: Path) -> None:
    assert workspace.update() == []
    copied = {file.relative_to(paths.work()) for file in paths.work().rglob("*.ipynb")}
    assert {LESSON, EXERCISE} <= copied
    assert copied == {
        file.relative_to(upstream)
        for pattern in ("course/*.ipynb", "exercises/*/exercise.ipynb")
        for file in upstream.glob(pattern)
    }
    assert not list(paths.work().rglob("solution"))
    assert paths.work().stat().st_mode & 0o777 == 0o700


def test_an_upgrade_renews_what_was_not_edited(upstream: Path) -> None:
    workspace.update()
    (upstream / LESSON).write_text("new")
    assert workspace.update() == []
    assert (paths.work() / LESSON).read_text() == "new"


def test_an_upgrade_keeps_what_was_edited_and_says_so(upstream: Path) -> None:
    workspace.update()
    (paths.work() / LESSON).write_text("mine")
    assert workspace.update() == []  # edited, but there is nothing newer
    (upstream / LESSON).write_text("new")
    assert workspace.update() == [paths.work() / LESSON]
    assert (paths.work() / LESSON).read_text() == "mine"


def test_an_edited_file_stays_kept_upgrade_after_upgrade(upstream: Path) -> None:
    workspace.update()
    (paths.work() / LESSON).write_text("mine")
    for version in ("new", "newer", "newest"):
        (upstream / LESSON).write_text(version)
        workspace.update()
        workspace.update()
    assert (paths.work() / LESSON).read_text() == "mine"


def test_a_file_that_the_learner_deleted_comes_back(upstream: Path) -> None:
    workspace.update()
    (paths.work() / LESSON).unlink()
    workspace.update()
    assert (paths.work() / LESSON).read_bytes() == (upstream / LESSON).read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"[1]", b'{"a": 1}', b"\xff"])
def test_when_the_list_of_copies_is_lost_nothing_is_overwritten(
    upstream: Path, content: bytes | None
) -> None:
    workspace.update()
    (paths.work() / LESSON).write_text("mine")
    listed = paths.work() / workspace.COPIES
    listed.unlink() if content is None else listed.write_bytes(content)
    (upstream / LESSON).write_text("new")
    workspace.update()
    assert (paths.work() / LESSON).read_text() == "mine"


def test_files_of_the_learners_own_are_left_alone(upstream: Path) -> None:
    workspace.update()
    mine = paths.work() / "course" / "notes.txt"
    mine.write_text("mine")
    (upstream / LESSON).write_text("new")
    workspace.update()
    assert mine.read_text() == "mine"


steps = st.lists(st.sampled_from(["upgrade", "edit", "update", "delete"]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_no_order_of_upgrades_and_edits_loses_an_edit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    source, mine = folder / "clone" / LESSON, folder / "work" / LESSON
    source.parent.mkdir(parents=True)
    source.write_text("0")
    edited: str | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "ROOT", folder / "clone")
        patch.setenv("GPULAB_WORK", str(folder / "work"))
        workspace.update()
        for number, step in enumerate(steps):
            if step == "upgrade":
                source.write_text(f"version {number}")
            elif step == "edit":
                mine.write_text(edited := f"edit {number}")
            elif step == "delete":
                mine.unlink(missing_ok=True)
                edited = None
            else:
                workspace.update()
                assert mine.read_text() == (edited or source.read_text())


def test_the_answer_file_is_offered_once_and_answers_nothing(upstream: Path) -> None:
    exercise = load_exercise(find_exercise(upstream / "exercises", "01"))
    file = workspace.offer_answers(exercise)
    assert file == workspace.answers_file(exercise.id)
    assert read_answers(file) == {}
    assert all(question.id in file.read_text() for question in exercise.questions)
    file.write_text('gpu_name = "mine"\n')
    assert workspace.offer_answers(exercise) is None
    assert read_answers(file) == {"gpu_name": "mine"}


def test_an_answer_in_the_offered_form_can_be_read(upstream: Path) -> None:
    exercise = load_exercise(find_exercise(upstream / "exercises", "01"))
    file = workspace.offer_answers(exercise)
    assert file is not None
    wanted = [f"# {question.id} = " for question in exercise.questions]
    lines = [
        line.removeprefix("# ") if line.startswith(tuple(wanted)) else line
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines))
    assert read_answers(file).keys() == {question.id for question in exercise.questions}


@pytest.mark.live
def test_start_lays_out_the_folder_of_work_and_leaves_the_clone_alone(
    lab: Lab, clone: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in clone.rglob("*") if path.is_file()}
    assert run_clone(clone, lab, "start", "01").returncode == 0
    assert (lab.work / EXERCISE).is_file()
    assert (lab.work / EXERCISE).with_name("answers.toml").is_file()
    after = {path: path.stat().st_mtime_ns for path in clone.rglob("*") if path.is_file()}
    assert {path for path in after if "__pycache__" not in path.parts} == before.keys()
    assert all(after[path] == before[path] for path in before)
