"""Folders: whose they are, who may look into them, and that nothing of a lab lies elsewhere."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from gpulab import paths, workspace
from gpulab.binaries.cache import Cache
from gpulab.paths import LabPaths, lab_paths, private_dir

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


def test_the_environment_chooses_all_three_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GPULAB_HOME", "GPULAB_CACHE", "GPULAB_WORK"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    found = (paths.home(), paths.cache(), paths.work())
    assert [path.name for path in found] == ["GPULAB_HOME", "GPULAB_CACHE", "GPULAB_WORK"]
    assert all(path.parent == tmp_path for path in found)


def test_without_it_they_are_below_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GPULAB_HOME", "GPULAB_CACHE", "GPULAB_WORK"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = {paths.home(), paths.cache(), paths.work()}
    assert len(found) == 3
    assert all(path.is_relative_to(tmp_path) for path in found)
    assert paths.work() == tmp_path / "gpulab"


def test_a_tilde_and_a_relative_folder_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GPULAB_HOME", "~/labs")
    assert paths.home() == tmp_path / "labs"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPULAB_HOME", "here")
    assert paths.home() == tmp_path / "here"


def test_a_private_folder_can_be_entered_by_its_owner_only(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    for folder in (open_to_all, tmp_path / "new"):
        assert private_dir(folder) == folder
        assert folder.stat().st_mode & 0o777 == 0o700


@ROOT_ONLY
def test_a_folder_of_another_user_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(InputError, match=f"belongs to user {NOBODY}") as refused:
        private_dir(folder)
    assert "GPULAB_HOME" in refused.value.do
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_in_the_place_of_a_folder_is_refused_and_left_alone(
    tmp_path: Path, inside: bool
) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(InputError, match=r"is not a folder|is a file"):
        private_dir(file / "labs" if inside else file)
    assert file.read_text() == "precious"


def test_the_advice_names_the_variable_that_chose_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for variable, use in (("GPULAB_WORK", workspace.update), ("GPULAB_CACHE", Cache.open)):
        monkeypatch.setenv(variable, str(file))
        with pytest.raises(InputError) as refused:
            use()
        assert variable in refused.value.do


good_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(good_names)
def test_a_dns_label_of_up_to_40_characters_names_a_lab(name: str) -> None:
    assert lab_paths(name).root == paths.home() / "labs" / name


@given(st.text(), st.sampled_from([*string.punctuation, " ", "\n", "\0", "ä", "A"]), st.text())
def test_any_other_character_is_refused_wherever_it_stands(one: str, odd: str, two: str) -> None:
    if odd == "-":
        one = ""
    with pytest.raises(InputError, match="cannot name a lab"):
        lab_paths(one + odd + two)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "-a", "a-", "A", "a\n", "a" * 41, "ä", "a b"]
)
def test_what_is_no_dns_label_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a lab") as refused:
        lab_paths(name)
    assert "--name demo" in refused.value.do


def test_every_path_of_a_lab_lies_in_its_folder() -> None:
    lab = lab_paths("demo")
    names = [name for name, value in vars(LabPaths).items() if isinstance(value, property)]
    assert len(names) > 5
    assert all(getattr(lab, name).is_relative_to(lab.root) for name in names)
