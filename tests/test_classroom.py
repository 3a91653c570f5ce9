"""A class without a cluster: folder, roster, handing in, collecting, and what is refused."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from gpulab.classroom import folder
from gpulab.classroom.folder import Classroom
from tests import hostile
from tests.conftest import GPULAB, Lab, run, said
from tests.hostile import SECOND

ROSTER = "id,first_name,last_name,email\nada,Ada,L,ada@example.org\neve,Eve,M,\n"


@pytest.fixture
def teacher(no_lab: Lab, tmp_path: Path) -> Lab:
    """A class of two that has released nothing, at GPULAB_CLASS."""
    lab = Lab("lab", no_lab.env | {"GPULAB_CLASS": str(tmp_path / "room")})
    assert lab.gpulab("class", "init", "--name", "k8s-101").returncode == 0
    (tmp_path / "roster.csv").write_text(ROSTER)
    done = lab.gpulab("roster", "import", str(tmp_path / "roster.csv"))
    assert done.stdout.strip() == "2 new, 2 in the class", done.stderr
    return lab


def room_of(teacher: Lab) -> Classroom:
    return folder.existing(Path(teacher.env["GPULAB_CLASS"]))


# -- the class's folder


def test_a_class_has_a_secret_that_only_its_teacher_can_read(teacher: Lab) -> None:
    room = room_of(teacher)
    assert stat.S_IMODE(room.secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(room.root.stat().st_mode) == 0o700
    assert len(room.secret()) == 64
    what, do = said(teacher.gpulab("class", "init", "--name", "again"))
    assert "is a class already" in what
    assert "class.toml" in do


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--name", "a/b"), "cannot name a class"),
        (("--name", "a", "--due", "02=tomorrow"), "is no date"),
        (("--name", "a", "--due", "02=2026-12-01T10:00"), "has no time zone"),
        (("--name", "a", "--due", "99=2026-12-01T10:00Z"), "there is no exercise"),
        (("--name", "a", "--late-percent", "120"), "is no percentage"),
    ],
)
def test_a_class_that_makes_no_sense_is_not_made(
    no_lab: Lab, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    place = tmp_path / "room"
    what, do = said(no_lab.gpulab("class", "init", "--folder", str(place), *arguments))
    assert words in what
    assert do
    assert not place.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name\nada\n", "has no column named"),
        (b"id\n../ada\n", "cannot be a learner's id"),
        (b"id\nada\nADA\n", "is there twice"),
        (b"id\n", "names nobody"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_roster_that_makes_no_sense_changes_nothing(
    teacher: Lab, tmp_path: Path, content: bytes, words: str
) -> None:
    before = room_of(teacher).roster_file.read_bytes()
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    what, do = said(teacher.gpulab("roster", "import", str(file)))
    assert words in what
    assert do
    assert room_of(teacher).roster_file.read_bytes() == before


def test_commands_of_a_class_need_one(no_lab: Lab, tmp_path: Path) -> None:
    for words in (("grade",), ("release",), ("collect", str(tmp_path))):
        what, do = said(no_lab.gpulab(*words, "--folder", str(tmp_path / "none")))
        assert "is not a class's folder" in what
        assert "gpulab class init" in do


# -- handing in and collecting


def written(lab: Lab, texts: dict[str, str]) -> Path:
    place = lab.work / "exercises" / SECOND
    place.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (place / name).write_text(text)
    return place


def test_what_is_handed_in_is_collected(teacher: Lab, tmp_path: Path) -> None:
    room = room_of(teacher)
    texts = hostile.solution(room, SECOND, "ada")
    written(teacher, {**texts, "notes.txt": "mine"})
    zips = tmp_path / "zips"
    done = teacher.gpulab("submit", "02", "--learner", "ada", "--to", str(zips))
    assert done.returncode == 0, done.stderr
    (zips / "of-nobody.zip").write_bytes(b"")
    done = teacher.gpulab("collect", str(zips))
    assert (done.returncode, done.stdout.strip()) == (1, "1 of 2 taken")
    assert "fits no learner and exercise: of-nobody.zip" in done.stderr
    found = {each.name for each in (room.submitted / "ada" / SECOND).iterdir()}
    assert found == {*texts, "timestamp.txt"}


def test_the_exchange_of_nbgrader_takes_it_too(teacher: Lab, tmp_path: Path) -> None:
    room, exchange = room_of(teacher), tmp_path / "exchange"
    (exchange / "k8s-101" / "inbound").mkdir(parents=True)
    written(teacher, hostile.solution(room, SECOND, "ada"))
    where = ("--exchange", str(exchange), "--course", "k8s-101")
    done = teacher.gpulab("submit", "02", "--learner", "ada", *where)
    assert done.returncode == 0, done.stderr
    done = teacher.gpulab("collect", "--exchange", str(exchange))
    assert (done.returncode, done.stdout.strip()) == (0, "1 of 1 taken"), done.stderr
    assert (room.submitted / "ada" / SECOND / "pod.yaml").is_file()


@pytest.mark.parametrize(
    ("lacks", "words"), [("pod.yaml", "has no pod.yaml"), ("", "cannot be a learner's id")]
)
def test_what_is_missing_is_said_before_anything_is_packed(
    teacher: Lab, tmp_path: Path, lacks: str, words: str
) -> None:
    place = written(teacher, hostile.solution(room_of(teacher), SECOND, "ada"))
    if lacks:
        (place / lacks).unlink()
    learner = "ada" if lacks else "../ada"
    what, do = said(teacher.gpulab("submit", "02", "--learner", learner, "--to", str(tmp_path)))
    assert words in what
    assert do
    assert not list(tmp_path.glob("*.zip"))


def test_a_later_one_that_is_refused_leaves_the_earlier_one(teacher: Lab, tmp_path: Path) -> None:
    room, zips = room_of(teacher), tmp_path / "zips"
    zips.mkdir()
    hostile.hand_in(room, hostile.Case("", "", values_of="ada"), "ada", zips)
    assert teacher.gpulab("collect", str(zips)).returncode == 0
    before = (room.submitted / "ada" / SECOND / "pod.yaml").read_bytes()
    (zips / f"ada+{SECOND}.zip").write_text("no zip")
    done = teacher.gpulab("collect", str(zips))
    assert done.returncode == 1
    assert "refused: ada" in done.stderr
    assert (room.submitted / "ada" / SECOND / "pod.yaml").read_bytes() == before


def test_without_bubblewrap_nothing_is_graded(teacher: Lab, tmp_path: Path) -> None:
    room, zips = room_of(teacher), tmp_path / "zips"
    zips.mkdir()
    hostile.hand_in(room, hostile.Case("", "", values_of="ada"), "ada", zips)
    assert teacher.gpulab("collect", str(zips)).returncode == 0
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("prlimit", "setpriv"):
        (programs / name).symlink_to(shutil.which(name) or "/bin/true")
    done = run([GPULAB, "grade"], teacher.env | {"PATH": str(programs)}, 60)
    what, do = said(done)
    assert "bubblewrap is not installed" in what
    assert "apt-get install bubblewrap" in do
    assert not room.verdicts.exists()


def test_a_learner_who_is_not_in_the_class_is_named(teacher: Lab) -> None:
    what, _ = said(teacher.gpulab("grade", "--students", "ada,mallory"))
    assert "'mallory' is not in the class" in what
