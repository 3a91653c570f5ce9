"""`kubectl cp` into a container and out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Lab, make_namespace, pod

pytestmark = pytest.mark.live
BIG = 20_000_000


@pytest.fixture(scope="module")
def where(lab: Lab) -> Iterator[str]:
    made = make_namespace(lab)
    namespace = next(made)
    lab.make(namespace, pod("p", "sleep", "600"))
    lab.wait(namespace, "p", "phase=Running")
    yield namespace
    next(made, None)


def test_a_folder_comes_back_as_it_went(lab: Lab, where: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "small").write_text("a\n")
    (tmp_path / "in" / "sub" / "big").write_bytes(os.urandom(BIG))
    assert lab.kubectl("cp", f"{tmp_path}/in", f"{where}/p:/tmp/x").returncode == 0
    assert lab.kubectl("cp", f"{where}/p:/tmp/x", f"{tmp_path}/out").returncode == 0
    for name in ("small", "sub/big"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_a_file_may_get_another_name(lab: Lab, where: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    assert lab.kubectl("cp", f"{tmp_path}/a", f"{where}/p:/tmp/b").returncode == 0
    assert lab.kubectl("exec", "-n", where, "p", "--", "cat", "/tmp/b").stdout == "text"


def test_what_is_not_there_is_said_by_tar(lab: Lab, where: str, tmp_path: Path) -> None:
    done = lab.kubectl("cp", f"{where}/p:/none", f"{tmp_path}/none")
    assert "tar: /none: No such file or directory" in done.stdout + done.stderr


def test_a_folder_that_is_not_there_takes_no_file(lab: Lab, where: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    done = lab.kubectl("cp", f"{tmp_path}/a", f"{where}/p:/no/such/a")
    assert done.returncode == 1
    assert "tar: can't change directory to '/no/such': No such file or directory" in done.stderr


@pytest.mark.parametrize(("mib", "why"), [(33, "No space left on device"), (50, "short read")])
def test_a_container_has_room_for_so_much(
    lab: Lab, where: str, tmp_path: Path, mib: int, why: str
) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(mib * 2**20)
    done = lab.kubectl("cp", f"{tmp_path}/huge", f"{where}/p:/tmp/huge")
    assert done.returncode == 1
    assert why in done.stdout + done.stderr
    assert lab.kubectl("exec", "-n", where, "p", "--", "true").returncode == 0
