"""Checkpoints: the cluster as it was, devices included, and a word about what that undoes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from autograders.errors import InputError
from gpulab import checkpoints, inventory, lab
from gpulab.checkpoints import Checkpoint
from gpulab.lab import KEPT, Record, Wanted, new_record
from gpulab.paths import LabPaths
from tests.conftest import Lab, devices, eventually, pod, said

ABOUT = (
    "cluster-setup/gpulab/checkpoints.py",
    "cluster-setup/gpulab/providers/snapshot.py",
    "cluster-setup/gpulab/cli/checkpoint",
)
pytestmark = pytest.mark.sample(*ABOUT)
LIVE = pytest.mark.live
THEN = {"1": "ConfigMap default/a", "1@": "10", "2": "Pod default/p", "2@": "1"}


# -- what would be lost


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (THEN, []),
        (THEN | {"3": "Job x/j", "3@": "1"}, ["Job x/j (made since)"]),
        (THEN | {"1@": "11"}, ["ConfigMap default/a (changed since)"]),
        ({"1": THEN["1"], "1@": "10"}, ["Pod default/p (deleted since, comes back)"]),
        (  # deleted and made anew: another object of that name
            {"1": THEN["1"], "1@": "10", "9": THEN["2"], "9@": "1"},
            ["Pod default/p (made since)", "Pod default/p (deleted since, comes back)"],
        ),
    ],
)
def test_what_going_back_undoes_is_said(now: dict[str, str], words: list[str]) -> None:
    assert inventory.lost(now, THEN) == words


# -- files


@pytest.fixture
def record() -> Record:
    return new_record(Wanted("default"), dict.fromkeys(KEPT, 1))


@pytest.fixture
def paths(tmp_path: Path, record: Record) -> LabPaths:
    made = LabPaths("one", tmp_path / "one")
    made.root.mkdir()
    lab.write_record(made, record)
    return made


def keep(paths: LabPaths, name: str, uid: str, fleet: str = "default") -> Path:
    """A checkpoint as `save` leaves it."""
    folder = paths.root / "checkpoints" / name
    folder.mkdir(parents=True)
    about = Checkpoint(new_record(Wanted(""), {}).created, uid, fleet, True, THEN)
    (folder / "checkpoint.json").write_bytes(msgspec.json.encode(about))
    (folder / "etcd.db").write_bytes(b"x" * 100)
    return folder


def test_checkpoints_are_listed_and_removed(paths: LabPaths, record: Record) -> None:
    keep(paths, "b", record.uid)
    keep(paths, "a", record.uid)
    (paths.root / "checkpoints" / ".making-x").mkdir()  # killed while it was saved
    assert sorted(checkpoints.names(paths)) == ["a", "b"]
    checkpoints.delete(paths, "a")
    assert checkpoints.names(paths) == ["b"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "etcd.db").unlink(), "damaged"),
        (lambda folder: (folder / "checkpoint.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "checkpoint.json").unlink(), "damaged"),
        (lambda folder: folder.rename(folder.with_name("other")), "there is no checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_named_with_a_way_out(
    paths: LabPaths, record: Record, spoil: object, words: str
) -> None:
    spoil(keep(paths, "a", record.uid))  # type: ignore[operator]
    with pytest.raises(InputError) as error:
        checkpoints.read(paths, record, "a")
    assert words in error.value.what
    assert error.value.do


def test_another_labs_checkpoint_is_refused(paths: LabPaths, record: Record) -> None:
    keep(paths, "a", "another-uid")
    with pytest.raises(InputError, match="another lab"):
        checkpoints.read(paths, record, "a")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "x" * 41])
@pytest.mark.parametrize("verb", ["save", "restore", "delete"])
def test_a_name_that_no_checkpoint_can_have_is_refused(no_lab: Lab, verb: str, name: str) -> None:
    root = LabPaths("lab", no_lab.root)
    root.root.mkdir(parents=True)
    lab.write_record(root, new_record(Wanted("default"), dict.fromkeys(KEPT, 1)))
    done = no_lab.gpulab("checkpoint", verb, "--", name)
    if verb == "save":  # it is down, which is said first
        assert done.returncode == 2
    else:
        what, do = said(done)
        assert f"{name!r} cannot name a checkpoint" in what
        assert "before-drain" in do


@pytest.mark.parametrize("verb", ["restore", "delete"])
def test_an_unknown_checkpoint_is_answered_with_the_known_ones(no_lab: Lab, verb: str) -> None:
    root = LabPaths("lab", no_lab.root)
    root.root.mkdir(parents=True)
    record = new_record(Wanted("default"), dict.fromkeys(KEPT, 1))
    lab.write_record(root, record)
    keep(root, "early", record.uid)
    what, do = said(no_lab.gpulab("checkpoint", verb, "late"))
    assert what == "there is no checkpoint 'late'"
    assert "early" in do


def test_a_lab_that_is_down_has_nothing_to_keep(no_lab: Lab) -> None:
    root = LabPaths("lab", no_lab.root)
    root.root.mkdir(parents=True)
    lab.write_record(root, new_record(Wanted("default"), dict.fromkeys(KEPT, 1)))
    what, do = said(no_lab.gpulab("checkpoint", "save", "a"))
    assert what == "lab 'lab' is down"
    assert do.startswith("gpulab up")


# -- on a lab


@pytest.fixture
def saved(spare_lab: Lab) -> Iterator[Lab]:
    """A lab with a Pod on three GPUs, a ConfigMap, and a checkpoint of both."""
    spare_lab.make("default", pod("kept", "sleep", "9999", gpus=3))
    spare_lab.kubectl("create", "configmap", "text", "--from-literal=a=1")
    spare_lab.wait("default", "kept", "phase=Running")
    done = spare_lab.gpulab("checkpoint", "save", "early")
    assert done.returncode == 0, done.stderr
    yield spare_lab
    assert spare_lab.gpulab("up").returncode == 0
    spare_lab.kubectl("delete", "pod,configmap", "--all", "--force", "--grace-period=0")
    spare_lab.gpulab("checkpoint", "delete", "early")


@LIVE
def test_going_back_brings_everything_back_and_takes_the_rest_away(saved: Lab) -> None:
    before = saved.get("pod", "kept")
    given = devices(before)
    saved.kubectl("delete", "pod", "kept", "--force", "--grace-period=0")
    saved.kubectl("create", "configmap", "new")
    saved.kubectl("patch", "configmap", "text", "-p", '{"data": {"a": "2"}}')
    saved.make("default", pod("thief", "sleep", "9999", gpus=8))
    saved.wait("default", "thief", "phase=Running")

    refused = saved.gpulab("checkpoint", "restore", "early", stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    for line in (
        "ConfigMap default/new (made since)",
        "ConfigMap default/text (changed since)",
        "Pod default/thief (made since)",
        "Pod default/kept (deleted since, comes back)",
    ):
        assert f"  {line}\n" in refused.stderr
    assert "--yes" in refused.stderr.splitlines()[-1]
    assert saved.get("configmap", "new")  # nothing has happened

    began = time.monotonic()
    done = saved.gpulab("checkpoint", "restore", "early", "--yes")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 40  # tests/bench has the figure
    assert saved.status()["ready"]
    after = saved.get("pod", "kept")
    assert (after["metadata"]["uid"], devices(after)) == (before["metadata"]["uid"], given)
    assert after["status"]["phase"] == "Running"
    assert saved.get("configmap", "text")["data"] == {"a": "1"}
    for gone in (("configmap", "new"), ("pod", "thief")):
        assert saved.kubectl("get", *gone).returncode == 1
    assert_alive(saved, given)


def assert_alive(lab: Lab, taken: list[str]) -> None:
    """What controllers, scheduler and kubelets do, they do: with devices that are free."""
    lab.kubectl("create", "deployment", "alive", "--image=nginx:1.29")
    lab.make("default", pod("other", "sleep", "9999", gpus=5))
    given = devices(lab.wait("default", "other", "phase=Running"))
    assert len({*given, *taken}) == len(given) + len(taken)
    eventually(lambda: lab.get("deployment", "alive")["status"].get("readyReplicas") == 1)
    lab.kubectl("delete", "deployment", "alive")
    assert lab.kubectl("logs", "other").returncode == 0


@LIVE
def test_who_watches_across_it_sees_the_state_that_came_back(saved: Lab) -> None:
    """Revisions never go back, so a notebook that holds one is not stuck in another past."""
    newest = revision(saved)
    assert saved.gpulab("checkpoint", "restore", "early", "--yes").returncode == 0
    assert revision(saved) > newest


def revision(lab: Lab) -> int:
    found = json.loads(lab.kubectl("get", "--raw", "/api/v1/configmaps").stdout)
    return int(found["metadata"]["resourceVersion"])


@LIVE
def test_a_lab_that_is_down_goes_back_only_if_told_and_is_then_up(saved: Lab) -> None:
    saved.kubectl("create", "configmap", "new")
    assert saved.gpulab("down").returncode == 0
    what, do = said(saved.gpulab("checkpoint", "restore", "early"))
    assert "nobody can say what would be lost" in what
    assert "--yes" in do
    assert saved.gpulab("checkpoint", "restore", "early", "--yes").returncode == 0
    assert saved.status()["ready"]
    assert saved.kubectl("get", "configmap", "new").returncode == 1


@LIVE
def test_a_damaged_snapshot_changes_nothing(saved: Lab) -> None:
    data = saved.root / "checkpoints" / "early" / "etcd.db"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    saved.kubectl("create", "configmap", "new")
    what, do = said(saved.gpulab("checkpoint", "restore", "early", "--yes"))
    assert "etcdutl failed" in what
    assert "etcdutl.log" in do
    assert saved.status()["ready"]
    assert saved.get("configmap", "new")


@LIVE
def test_a_name_is_taken_once_and_files_are_private(saved: Lab) -> None:
    what, do = said(saved.gpulab("checkpoint", "save", "early"))
    assert what == "there is a checkpoint 'early' already"
    assert "checkpoint delete early" in do
    folder = saved.root / "checkpoints"
    assert {each.name for each in folder.iterdir()} == {checkpoints.MADE, "early"}
    assert all(each.stat().st_mode & 0o077 == 0 for each in (folder, *folder.rglob("*")))
    listed = json.loads(saved.gpulab("checkpoint", "list", "--json").stdout)
    assert [(each["name"], each["fleet"]) for each in listed] == [("early", "default")]
