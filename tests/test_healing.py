"""What can befall a lab: killed processes, lost and damaged files, a full disk, a taken port."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gpulab import supervision, supervisor
from gpulab.pairs import Pair
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.programs import is_paused
from gpulab.providers import components
from tests.conftest import Lab, Object, eventually, make_lab, said

ABOUT = (
    "cluster-setup/gpulab/providers/",
    "cluster-setup/gpulab/supervis",
    "cluster-setup/gpulab/programs.py",
    "cluster-setup/gpulab/lifecycle.py",
    "cluster-setup/gpulab/ready.py",
)
pytestmark = [pytest.mark.live, pytest.mark.timeout(600), pytest.mark.sample(*ABOUT)]
PROCESSES = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "simulator",
]
HEALED = 60.0  # on a busy machine; how long it takes is measured by tests/bench


def paths(lab: Lab) -> LabPaths:
    return LabPaths(lab.name, lab.root)


def component(lab: Lab, name: str) -> Object:
    found: Object = {each["name"]: each for each in lab.status()["components"]}[name]
    return found


def up(lab: Lab) -> str:
    done = lab.gpulab("up", seconds=180)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def precious(spare_lab: Lab) -> Iterator[Lab]:
    """A lab with an object that must still be there when it is ready again."""
    spare_lab.kubectl("create", "configmap", "precious")
    before = spare_lab.get("configmap", "precious")["metadata"]["uid"]
    yield spare_lab
    up(spare_lab)
    assert spare_lab.status()["ready"]
    assert spare_lab.get("configmap", "precious")["metadata"]["uid"] == before


# -- what dies


@pytest.mark.parametrize("name", PROCESSES)
def test_what_is_killed_is_healed_without_a_command_and_status_says_so(
    precious: Lab, name: str
) -> None:
    before = component(precious, name)
    psutil.Process(before["pid"]).kill()
    eventually(lambda: component(precious, name)["pid"] not in (None, before["pid"]), HEALED)
    eventually(lambda: precious.status()["ready"], HEALED)
    after = component(precious, name)
    assert after["restarts"] == before["restarts"] + 1
    restarted = dt.datetime.fromisoformat(after["restarted"])
    assert dt.datetime.now(dt.UTC) - restarted < dt.timedelta(seconds=2 * HEALED)
    shown = precious.gpulab("status").stdout
    row = next(line for line in shown.splitlines() if line.startswith(name))
    assert f"last {restarted.astimezone():%H:%M:%S}" in row


def test_a_paused_scheduler_that_is_killed_stays_paused(precious: Lab) -> None:
    assert precious.gpulab("pause", "scheduler").returncode == 0
    first = psutil.Process(component(precious, "kube-scheduler")["pid"])
    eventually(lambda: supervision.process(paths(precious)))
    eventually(lambda: is_paused(first))
    first.wait(2.5) if not first.is_running() else None
    eventually(lambda: _seen_paused(precious), 10)
    first.kill()
    eventually(lambda: component(precious, "kube-scheduler")["pid"] not in (None, first.pid), 30)
    assert component(precious, "kube-scheduler")["health"] == "paused"


def _seen_paused(lab: Lab) -> bool:
    """The supervisor has looked twice since."""
    time.sleep(2 * supervisor.LOOK + 0.5)
    return True


def test_without_its_supervisor_a_lab_is_not_ready_and_up_starts_it(precious: Lab) -> None:
    first = supervision.process(paths(precious))
    assert first is not None
    first.kill()
    eventually(lambda: supervision.process(paths(precious)) is None)
    found = precious.status()
    assert (found["ready"], found["missing"]) == (False, "supervisor: stopped")
    assert "not started again until `gpulab up`" in precious.gpulab("status").stdout
    up(precious)
    assert precious.status()["supervisor"] not in (None, first.pid)


def test_after_everything_was_killed_up_brings_everything_back(precious: Lab) -> None:
    """As after a reboot; pids in files that are left are those of others now."""
    for process in precious.processes():
        process.kill()
    eventually(lambda: precious.processes() == [])
    (paths(precious).cluster / "pids").mkdir(exist_ok=True)
    for name in PROCESSES[:5]:
        (paths(precious).cluster / "pids" / f"{name}.pid").write_text(str(os.getpid()))
    up(precious)
    assert len(precious.processes()) == 7


def test_two_ups_at_once_heal_and_start_nothing_twice(precious: Lab) -> None:
    for name in ("kube-scheduler", "simulator"):
        psutil.Process(component(precious, name)["pid"]).kill()
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: precious.gpulab("up", seconds=180), range(2)))
    assert [done.returncode for done in both] == [0, 0], [done.stderr for done in both]
    assert len(precious.processes()) == 7


@pytest.mark.parametrize("seconds", [0.5, 2, 4])
def test_a_kill_while_up_waits_is_healed_too(precious: Lab, seconds: float) -> None:
    assert precious.gpulab("down").returncode == 0
    with precious.begin("up") as running:
        started = eventually(lambda: components.pids(paths(precious)).get("kube-apiserver"), 30)
        time.sleep(seconds)
        psutil.Process(started).kill()
        _, stderr = running.communicate(timeout=240)
    assert running.returncode == 0, stderr


def test_down_wins_against_healing(precious: Lab) -> None:
    for _ in range(3):
        for name in ("kube-apiserver", "kwok-controller"):
            psutil.Process(component(precious, name)["pid"]).kill()
        assert precious.gpulab("down").returncode == 0
        assert precious.processes() == []
        up(precious)


def test_a_port_that_somebody_took_is_named_until_it_is_free_again(precious: Lab) -> None:
    before = component(precious, "kube-scheduler")
    with supervision.alone(paths(precious)):
        psutil.Process(before["pid"]).kill()
        taken = eventually(lambda: _take(before["port"]), 10)
    with taken:
        eventually(
            lambda: "soon after its start" in component(precious, "kube-scheduler")["health"], 90
        )
        what, do = said(precious.gpulab("up"))
        assert f"port {before['port']}" in what
        assert f"process {os.getpid()}" in what
        assert "stop that program" in do
    eventually(lambda: precious.status()["ready"], 120)  # by itself


def _take(port: int) -> socket.socket | None:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError:
        return None


# -- files


def removed(file: Path) -> None:
    shutil.rmtree(file) if file.is_dir() else file.unlink()


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


FILES = [
    "lab.json",
    "kubeconfig",
    "kwokctl.yaml",
    "simulator.json",
    "kwok/clusters/{name}/kwok.yaml",
    "kwok/clusters/{name}/kubeconfig.yaml",
    "kwok/clusters/{name}/pki/ca.crt",
    "kwok/clusters/{name}/pki/admin.key",
    "pki/etcd.key",
    "pki/kubelet.crt",
    "pki/learner.crt",
    "processes/watched.json",
]


@pytest.mark.parametrize("spoil", [removed, cut, emptied])
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "running"])
def test_up_makes_anew_what_of_a_labs_files_was_lost_or_damaged(
    precious: Lab, spoil: Callable[[Path], None], stopped: bool
) -> None:
    """All of them at once; etcd's data are another matter."""
    if stopped:
        assert precious.gpulab("down").returncode == 0
    for name in FILES:
        file = precious.root / name.format(name=precious.name)
        if file.exists():
            spoil(file)
    words = up(precious)
    assert "Made anew: " in words
    assert precious.status()["ready"]
    assert len(precious.processes()) == 7


@pytest.mark.parametrize("folder", ["processes", "logs", "kwok/clusters/{name}/bin", "pki"])
def test_up_makes_anew_a_folder_that_was_lost(precious: Lab, folder: str) -> None:
    assert precious.gpulab("down").returncode == 0
    shutil.rmtree(precious.root / folder.format(name=precious.name))
    up(precious)


@pytest.mark.parametrize(
    ("name", "authority"),
    [
        ("pki/etcd", "pki/etcd-ca"),
        ("pki/kubelet-ca", "pki/kubelet-ca"),
        ("cluster/admin", "cluster/ca"),
        ("pki/gpulab-grader", "cluster/ca"),
    ],
)
def test_up_makes_anew_a_certificate_that_has_expired(
    precious: Lab, name: str, authority: str
) -> None:
    expire(pair(precious, name), pair(precious, authority))
    up(precious)
    left = certificate(pair(precious, name)).not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert left > dt.timedelta(days=3000)
    assert precious.status()["ready"]
    graded = precious.kubectl(
        "--kubeconfig", str(precious.root / "grader.kubeconfig"), "get", "pods"
    )
    assert graded.returncode == 0, graded.stderr


def pair(lab: Lab, name: str) -> Pair:
    folder = paths(lab).cluster / "pki" if name.startswith("cluster/") else lab.root / "pki"
    file = name.rpartition("/")[2]
    return Pair(folder / f"{file}.crt", folder / f"{file}.key")


def certificate(found: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(found.crt.read_bytes())


def expire(found: Pair, authority: Pair) -> None:
    """The same certificate, valid until yesterday."""
    old = certificate(found)
    key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        old.issuer, old.subject, old.public_key(), old.serial_number
    ).not_valid_before(now - dt.timedelta(days=9))
    builder = builder.not_valid_after(now - dt.timedelta(days=1))
    for each in old.extensions:
        builder = builder.add_extension(each.value, each.critical)
    made = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    found.crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def test_without_etcds_data_up_says_so_and_starts_no_empty_cluster(precious: Lab) -> None:
    assert precious.gpulab("down").returncode == 0
    data = paths(precious).cluster / "etcd"
    data.rename(precious.root / "aside")
    what, do = said(precious.gpulab("up"))
    assert "data are gone" in what
    assert "gpulab checkpoint list" in do
    assert "gpulab down --delete" in do
    assert precious.processes() == []
    (precious.root / "aside").rename(data)


def test_damaged_data_are_named_with_etcds_own_words(precious: Lab) -> None:
    assert precious.gpulab("down").returncode == 0
    database = paths(precious).cluster / "etcd" / "member" / "snap" / "db"
    whole = database.read_bytes()
    database.write_bytes(b"x" * 100)
    try:
        what, _ = said(precious.gpulab("up", seconds=180))
    finally:
        assert precious.gpulab("down").returncode == 0
        database.write_bytes(whole)
    assert "etcd ends again and again" in what


def test_without_record_and_copy_nothing_is_made_over_the_data(precious: Lab) -> None:
    assert precious.gpulab("down").returncode == 0
    kept = {name: (precious.root / name).read_bytes() for name in ("lab.json", "lab.copy.json")}
    for name in kept:
        (precious.root / name).unlink()
    what, do = said(precious.gpulab("up"))
    assert "lab.json is gone" in what
    assert do == f"make the lab anew: gpulab down --delete --name {precious.name}"
    for name, content in kept.items():
        (precious.root / name).write_bytes(content)


# -- disk


@pytest.fixture
def full_lab(tmp_path: Path) -> Iterator[tuple[Lab, Path]]:
    """A lab on a file system of its own, and a file that can fill it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    try:
        for lab in make_lab(folder, "full"):
            yield lab, folder / "fills"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    with open(file, "wb") as out:
        try:
            while True:
                out.write(b"\0" * 2**20)
                out.flush()
        except OSError:
            return


def test_on_a_full_disk_up_says_so_and_afterwards_everything_is_there(
    full_lab: tuple[Lab, Path],
) -> None:
    lab, file = full_lab
    lab.kubectl("create", "configmap", "precious")
    fill(file)
    for name in ("etcd", "kube-scheduler"):
        psutil.Process(component(lab, name)["pid"]).kill()
    what, do = said(lab.gpulab("up"))
    assert "disk is full" in what
    assert "free at least" in do
    assert supervision.process(paths(lab)) is not None
    file.unlink()
    up(lab)
    assert lab.get("configmap", "precious")
