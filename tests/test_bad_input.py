"""What bad input gets: what is wrong, what to do, exit code 2, no traceback, nothing lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import Lab, run_clone, said

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
LIVE = pytest.mark.live
FLEET = "title: t\nnodes:\n- {name: a, cpu: 8, memory_gib: 16}\n"


def test_without_a_lab_every_command_says_how_to_start_one(no_lab: Lab) -> None:
    for command in (["status"], ["kubeconfig"], ["start", "01"], ["check", "01"]):
        what, do = said(no_lab.gpulab(*command))
        assert what == "there is no lab called 'lab'"
        assert do == "start it: gpulab up"


@pytest.mark.parametrize(
    ("command", "name"),
    [("up", "A"), ("up", ""), ("up", "../x"), ("down", "A"), ("status", "a_b"), ("lab", "a b")],
)
def test_a_name_that_no_lab_can_have_is_refused(no_lab: Lab, command: str, name: str) -> None:
    what, do = said(no_lab.gpulab(command, "--name", name))
    assert f"{name!r} cannot name a lab" in what
    assert "--name demo" in do


# -- exercises


@LIVE
@pytest.mark.parametrize(
    ("command", "name"),
    [("start", "99"), ("check", "99"), ("check", ""), ("check", "../.."), ("check", "01-deploy/x")],
)
def test_an_unknown_exercise_is_answered_with_the_known_ones(
    lab: Lab, command: str, name: str
) -> None:
    what, do = said(lab.gpulab(command, name))
    assert what == f"there is no exercise {name!r}"
    assert "01-deploy-gpu-pod" in do


@LIVE
@pytest.mark.parametrize(
    ("command", "text"), [("check", "01"), ("check", "gpu-pod"), ("start", "01-d")]
)
def test_a_text_that_names_two_exercises_is_answered_with_both(
    lab: Lab, clone: Path, command: str, text: str
) -> None:
    one = clone / "exercises" / "01-deploy-gpu-pod"
    shutil.copytree(one, one.with_name("01-deploy-another-gpu-pod"))
    what, do = said(run_clone(clone, lab, command, text))
    assert all(name in what for name in ("01-deploy-gpu-pod", "01-deploy-another-gpu-pod"))
    assert "whole name" in do


@LIVE
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("exercise.toml", b"title = "),
        ("exercise.toml", b"\xff"),
        ("exercise.toml", b'colour = "red"\n'),
        ("quiz.toml", b"question = 5\n"),
        ("checks.py", b"import nonesuch\n"),
        ("checks.py", b"def ("),
        ("checks.py", None),
        ("setup.yaml", None),
    ],
)
def test_a_damaged_exercise_is_named_with_its_file(
    lab: Lab, clone: Path, file: str, content: bytes | None
) -> None:
    path = clone / "exercises" / "01-deploy-gpu-pod" / file
    path.unlink() if content is None else path.write_bytes(content)
    what, _ = said(run_clone(clone, lab, "start", "01"))
    assert file in what


# -- answers


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Lab:
    """The shared lab with a learner's folder of its own."""
    made = Lab(lab.name, lab.env | {"GPULAB_WORK": str(tmp_path / "work")})
    answers_of(made).parent.mkdir(parents=True)
    return made


def answers_of(learner: Lab) -> Path:
    return learner.work / "exercises" / "01-deploy-gpu-pod" / "answers.toml"


@LIVE
@pytest.mark.parametrize(
    "content",
    [
        b"gpu_name = H100\n",
        b"gpu_name\n",
        b'gpu_name = "a"\ngpu_name = "b"\n',
        b'gpu_name = "\xff"\n',
        b"\xff\xfe\x00\x00",
        b"\x00",
        b"# " + b"x" * 2 * 1024 * 1024,
        b"gpu_name = 2026-01-02\n",
        b"[gpu_name]\na = 1\n",
        b"[[gpu_name]]\na = 1\n",
        b"gpu_name = [[1]]\n",
        b"gpu_name = " + b"[" * 5000 + b"]" * 5000 + b"\n",
        b"gpu_memory_mib = " + b"9" * 5000 + b"\n",
        b"<html></html>",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_malformed_answer_file_is_named_and_kept(learner: Lab, content: bytes) -> None:
    answers_of(learner).write_bytes(content)
    what, do = said(learner.gpulab("check", "01"))
    assert str(answers_of(learner)) in what
    assert len(what) < 500
    assert do
    assert answers_of(learner).read_bytes() == content


@LIVE
@pytest.mark.parametrize("answer", ["nan", "true", "9" * 400, '"\\u0000"', "[1, 'a']"])
def test_an_absurd_answer_is_only_wrong(learner: Lab, answer: str) -> None:
    answers_of(learner).write_text(f"gpu_memory_mib = {answer}\n")
    done = learner.gpulab("check", "01")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@LIVE
def test_a_folder_in_place_of_the_answers_is_named(learner: Lab) -> None:
    answers_of(learner).mkdir()
    what, _ = said(learner.gpulab("check", "01"))
    assert str(answers_of(learner)) in what


# -- fleets


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (FLEET.replace("cpu: 8", "cpu: 8, colour: red"), "colour"),
        (FLEET.replace("cpu: 8", "cpu: many"), "cpu"),
        (FLEET.replace("cpu: 8", "cpu: 8, gpu: gtx-1080, gpus: 1"), "gtx-1080"),
        ("title: t\nnodes: []\n", "nodes"),
        (FLEET.replace("name: a", "name: No_Node"), "name"),
        ("[", ""),
    ],
)
def test_a_malformed_fleet_is_refused_before_anything_is_made(
    no_lab: Lab, tmp_path: Path, content: str, word: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    what, do = said(no_lab.gpulab("up", "--fleet", str(file), seconds=30))
    assert str(file) in what
    assert word in what
    assert do
    assert not Path(no_lab.env["GPULAB_HOME"]).exists()


def test_an_unknown_fleet_is_answered_with_the_known_ones(no_lab: Lab) -> None:
    what, do = said(no_lab.gpulab("up", "--fleet", "nonesuch"))
    assert "nonesuch" in what
    assert "default" in do


# -- kubeconfigs


@pytest.fixture
def good(lab: Lab) -> dict[str, object]:
    """The grader's kubeconfig of the shared lab, for tests that change it."""
    found = yaml.safe_load((lab.root / "grader.kubeconfig").read_text())
    assert isinstance(found, dict)
    return found


@LIVE
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not: [yaml",
        b"\xff\xfe\x00",
        b"[]",
        b"5",
        b"a: b\n",
        b"apiVersion: v1\nkind: Config\n",
        b"apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n",
        b"clusters: 5\nusers: x\ncontexts: {}\n",
        b"kind: Config\ncurrent-context: none\nclusters: []\nusers: []\ncontexts: []\n",
    ],
)
def test_a_broken_kubeconfig_is_named(lab: Lab, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(content)
    what, do = said(lab.gpulab("check", "01", "--kubeconfig", str(file)))
    assert str(file) in what
    assert do
    assert file.read_bytes() == content


@LIVE
def test_a_missing_kubeconfig_is_named(lab: Lab, tmp_path: Path) -> None:
    for path in (tmp_path / "nonesuch", tmp_path):
        what, _ = said(lab.gpulab("check", "01", "--kubeconfig", str(path)))
        assert what == f"there is no kubeconfig {path}"


def test_a_missing_kubeconfig_in_the_environment_is_named(no_lab: Lab, tmp_path: Path) -> None:
    path = str(tmp_path / "nonesuch")
    what, _ = said(Lab("lab", no_lab.env | {"KUBECONFIG": path}).gpulab("check", "01"))
    assert what == f"there is no kubeconfig {path}"


@LIVE
@pytest.mark.parametrize(
    "change",
    [
        "another authority",
        "another identity",
        "certificate of somebody else",
        "no certificate file",
        "no such server",
        "no such host",
        "another server",
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_answered_with_what_to_do(
    lab: Lab, tmp_path: Path, good: dict[str, list[dict[str, dict[str, str]]]], change: str
) -> None:
    cluster, user = good["clusters"][0]["cluster"], good["users"][0]["user"]
    other = next(e["port"] for e in lab.status()["components"] if e["name"] == "kwok-controller")
    pki = lab.root / "pki"
    cluster |= {
        "another authority": {"certificate-authority": str(pki / "kubelet-ca.crt")},
        "no such server": {"server": "https://127.0.0.1:9"},
        "no such host": {"server": "https://nonesuch.invalid"},
        "another server": {"server": f"https://127.0.0.1:{other}"},
    }.get(change, {})
    foreign = {n: str(pki / f"kube-apiserver-kubelet-client.{e}") for n, e in FILES.items()}
    user |= {
        "another identity": foreign,
        "certificate of somebody else": {"client-certificate": foreign["client-certificate"]},
        "no certificate file": {"client-certificate": "/nonexistent"},
    }.get(change, {})
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(good))
    what, do = said(lab.gpulab("check", "01", "--kubeconfig", str(file)))
    assert any(word in what for word in (str(file), cluster["server"]))
    assert "gpulab up" in do


FILES = {"client-certificate": "crt", "client-key": "key"}


# -- a lab in a bad state


@pytest.fixture
def stopped(spare_lab: Lab) -> Iterator[Lab]:
    """A stopped lab that holds something precious."""
    spare_lab.kubectl("create", "configmap", "precious")
    assert spare_lab.gpulab("down").returncode == 0
    yield spare_lab
    up = spare_lab.gpulab("up")
    assert up.returncode == 0, up.stderr
    assert spare_lab.kubectl("get", "configmap", "precious").returncode == 0


@LIVE
def test_a_stopped_lab_is_answered_with_how_to_start_it(stopped: Lab) -> None:
    for command in ("check", "start"):
        what, do = said(stopped.gpulab(command, "01"))
        assert what
        assert "gpulab up" in do or "gpulab status" in do


@LIVE
def test_debug_shows_the_traceback_of_such_an_error(lab: Lab, tmp_path: Path) -> None:
    done = lab.gpulab("check", "01", "--kubeconfig", str(tmp_path), "--debug")
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert "there is no kubeconfig" in done.stderr.splitlines()[-2]


@LIVE
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b'{"ports": {}}', None],
    ids=["empty", "cut off", "not text", "incomplete", "without ports"],
)
def test_a_damaged_record_is_named_by_every_command_and_the_lab_can_still_be_stopped(
    spare_lab: Lab, content: bytes | None
) -> None:
    file, copy = spare_lab.root / "lab.json", spare_lab.root / "lab.copy.json"
    good = file.read_bytes()
    if content is None:
        content = good[: good.index(b'"ports"')] + b'"ports": {}, "speed": 1.0}'
    file.write_bytes(content)
    copy.write_bytes(content)  # with it alone, `up` would mend the record
    try:
        for command in (["up"], ["status"], ["kubeconfig"], ["check", "01"], ["start", "01"]):
            what, do = said(spare_lab.gpulab(*command))
            assert str(file) in what
            assert "gpulab down --delete" in do
        assert file.read_bytes() == content
    finally:
        file.write_bytes(good)
        copy.write_bytes(good)
    assert spare_lab.status()["ready"]


@LIVE
@pytest.mark.parametrize(
    ("name", "content"), [("kubeconfig", None), ("grader.kubeconfig", "not: [yaml")]
)
def test_a_broken_kubeconfig_of_the_lab_is_made_anew_by_up_as_the_advice_says(
    spare_lab: Lab, name: str, content: str | None
) -> None:
    file = spare_lab.root / name
    good = file.read_text()
    file.unlink() if content is None else file.write_text(content)
    try:
        up = spare_lab.gpulab("up")
        assert up.returncode == 0, up.stderr
        assert file.exists()
        assert yaml.safe_load(file.read_text()) == yaml.safe_load(good)
    finally:
        file.write_text(good)


# -- folders


ANY = (["up"], ["down"], ["status"], ["kubeconfig"], ["start", "01"], ["check", "01"])


@pytest.mark.parametrize("variable", ["GPULAB_HOME", "GPULAB_CACHE"])
def test_a_file_in_place_of_a_folder_is_named_and_kept(
    no_lab: Lab, tmp_path: Path, variable: str
) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    wrong = Lab("lab", no_lab.env | {variable: str(file)})
    what, do = said(wrong.gpulab("up"))
    assert str(file) in what
    assert variable in do
    assert file.read_text() == "precious"


def test_a_state_folder_that_is_a_file_makes_no_command_stumble(
    no_lab: Lab, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    wrong = Lab("lab", no_lab.env | {"GPULAB_HOME": str(file)})
    for command in ANY:
        done = wrong.gpulab(*command)
        assert "Traceback" not in done.stderr, command
        assert done.returncode == 2 or (command, done.returncode) == (["down"], 0)


@ROOT_ONLY
@pytest.mark.parametrize("inside", ["", "labs/lab"])
def test_another_users_state_folder_is_refused_and_left_alone(
    no_lab: Lab, tmp_path: Path, inside: str
) -> None:
    home = Path(no_lab.env["GPULAB_HOME"])
    theirs = home / inside
    (home / "labs" / "lab").mkdir(parents=True)
    (home / "labs" / "lab" / "lab.json").write_text("{}")
    os.chown(theirs, NOBODY, NOBODY)
    for command in (["up"], ["down"], ["down", "--delete"]):
        what, do = said(no_lab.gpulab(*command))
        assert f"{theirs} belongs to user {NOBODY}" in what
        assert "GPULAB_HOME" in do
    assert (home / "labs" / "lab" / "lab.json").read_text() == "{}"
    assert theirs.stat().st_uid == NOBODY


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write")
def test_a_folder_that_cannot_be_made_is_named(no_lab: Lab) -> None:
    closed = Lab("lab", no_lab.env | {"GPULAB_HOME": "/proc/self/nonesuch"})
    what, do = said(closed.gpulab("up"))
    assert "/proc/self/nonesuch" in what
    assert do
