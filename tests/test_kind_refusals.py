"""What provider kind says when it cannot go on: one line what, one what to do, nothing lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from autograders.errors import InputError
from gpulab.paths import LabPaths
from gpulab.providers import docker, kind, kind_cluster
from gpulab.providers.docker import Info
from tests.conftest import Lab, eventually, need_kind, said

SOCKET = "/var/run/docker.sock"
UP = ("up", "--provider", "kind")
NOBODY = 65534


@pytest.fixture
def here() -> None:
    need_kind()


def within(lab: Lab, **more: str) -> Lab:
    return Lab(lab.name, lab.env | more)


def paths(lab: Lab) -> LabPaths:
    return LabPaths(lab.name, lab.root)


def without_docker(tmp_path: Path) -> str:
    """A PATH with what git and Python need and no docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "kind", "go"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def test_no_docker(no_lab: Lab, tmp_path: Path) -> None:
    what, do = said(within(no_lab, PATH=without_docker(tmp_path)).gpulab(*UP))
    assert what == "there is no docker on PATH"
    assert "--provider embedded" in do
    assert no_lab.processes() == []


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker on PATH")
def test_no_daemon(no_lab: Lab, tmp_path: Path) -> None:
    lab = within(no_lab, DOCKER_HOST=f"unix://{tmp_path / 'none.sock'}")
    what, do = said(lab.gpulab(*UP))
    assert what == "Docker does not answer"
    assert "start it" in do
    assert not lab.kubeconfig.exists()


@pytest.mark.kind
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_may_not_use_the_socket(here: None) -> None:
    """Docker's own words, told to somebody who is not in its group."""
    done = subprocess.run(
        ["docker", "info"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    error = docker.failure("docker info", done.stderr)
    assert error.what == "this user may not use Docker: permission denied"
    assert "usermod" in error.do


@pytest.mark.parametrize(
    ("info", "what"),
    [
        (Info(mem_total=2**30), "Docker has 1.0 GiB of memory; a kind cluster needs 2 GiB"),
        (Info(mem_total=2**40, docker_root_dir="SMALL"), "GiB free; a kind cluster needs 3 GiB"),
    ],
)
def test_too_little_memory_or_disk(small_disk: Path, info: Info, what: str) -> None:
    root = info.docker_root_dir.replace("SMALL", str(small_disk))
    with pytest.raises(InputError, match=what):
        docker.expect_room(Info(mem_total=info.mem_total, docker_root_dir=root))


@pytest.mark.kind
@pytest.mark.parametrize(
    ("version", "what"),
    [(None, "is no node image of kind"), ("v1.31.0", "has Kubernetes v1.31.0; this lab is about")],
)
def test_an_image_that_makes_no_node(
    here: None, no_lab: Lab, tmp_path: Path, version: str | None, what: str
) -> None:
    name = f"gpulab-test/no-node:{version or 'plain'}"
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as made:
        text = (version or "hello").encode()
        member = tarfile.TarInfo("kind/version" if version else "hello")
        member.size = len(text)
        made.addfile(member, io.BytesIO(text))
    docker.run("import", str(archive), name)
    try:
        seen, do = said(no_lab.gpulab(*UP, "--node-image", name))
        assert what in seen
        assert "--node-image" in do
    finally:
        docker.run("rmi", name)


@pytest.mark.kind
def test_an_image_that_cannot_be_had(here: None, no_lab: Lab) -> None:
    done = no_lab.gpulab(*UP, "--node-image", "localhost:1/none/such:1", seconds=200)
    pulling, _, done.stderr = done.stderr.partition("\n")
    assert pulling == "Pulling localhost:1/none/such:1, once"
    what, do = said(done)
    assert "localhost:1/none/such:1 is not there" in what
    assert "--node-image" in do


@pytest.mark.kind
def test_a_cluster_of_that_name_that_somebody_else_made(here: None, no_lab: Lab) -> None:
    name = kind_cluster.name(paths(no_lab))
    image = os.environ.get("GPULAB_NODE_IMAGE") or kind_cluster.versions().kind.node_image
    label = f"{kind_cluster.LABEL}={name}"
    foreign = docker.run("create", "--label", label, "--name", f"{name}-theirs", image).strip()
    try:
        what, do = said(no_lab.gpulab(*UP))
        assert what == f"there is a kind cluster {name!r} that this lab did not make"
        assert "--name other" in do
        assert no_lab.gpulab("down", "--delete").returncode == 0
        assert (
            docker.run("ps", "-aq", "--no-trunc", "--filter", f"label={label}").strip() == foreign
        )
    finally:
        docker.run("rm", foreign)


@contextmanager
def way_to_docker(folder: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A socket that leads to the daemon until the event is set; then nobody answers there."""
    path, ended = folder / "d.sock", threading.Event()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(64)
    server.settimeout(0.2)
    worker = threading.Thread(target=forward, args=(server, ended))
    worker.start()
    try:
        yield path, ended
    finally:
        ended.set()
        worker.join()
        server.close()


def forward(server: socket.socket, ended: threading.Event) -> None:
    pumps: list[threading.Thread] = []
    open_: list[socket.socket] = []
    while not ended.is_set():
        with suppress(TimeoutError):
            one, other = server.accept()[0], socket.socket(socket.AF_UNIX)
            other.connect(SOCKET)
            open_ += [one, other]
            for source, target in ((one, other), (other, one)):
                pumps.append(threading.Thread(target=pump, args=(source, target)))
                pumps[-1].start()
    server.close()
    for each in open_:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in pumps:
        thread.join()
    for each in open_:
        each.close()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.kind
@pytest.mark.timeout(600)
def test_a_daemon_that_goes_while_the_cluster_is_made(
    here: None, no_lab: Lab, tmp_path: Path
) -> None:
    with way_to_docker(tmp_path) as (path, ended):
        lab = within(no_lab, DOCKER_HOST=f"unix://{path}")
        with lab.begin(*UP) as making:
            eventually(lambda: kind.nodes(paths(lab)) != [], 60)
            ended.set()
            _, stderr = making.communicate(timeout=200)
    assert making.returncode == 2, stderr
    assert "Traceback" not in stderr
    assert "Docker does not answer" in stderr
    assert no_lab.processes() == []
    done = no_lab.gpulab("down", "--delete")
    assert done.returncode == 0, done.stderr
    assert kind.nodes(paths(no_lab)) == []


@pytest.mark.kind
@pytest.mark.timeout(600)
def test_a_port_that_was_taken_while_the_lab_was_down(here: None, no_lab: Lab) -> None:
    up = no_lab.gpulab(*UP, seconds=300)
    try:
        assert up.returncode == 0, up.stderr
        port = json.loads((no_lab.root / "lab.json").read_text())["ports"]["kube-apiserver"]
        assert no_lab.gpulab("down").returncode == 0
        with socket.create_server(("127.0.0.1", port)):
            what, do = said(no_lab.gpulab("up"))
        assert f"port {port}" in what
        assert "stop that program" in do
        what, do = said(no_lab.gpulab("checkpoint", "save", "now"))
        assert what == "a lab of provider kind has no checkpoints"
        what, do = said(no_lab.gpulab("up", "--provider", "embedded"))
        assert "is of provider kind" in what
        assert "notebooks, answers, progress stay" in do
    finally:
        assert no_lab.gpulab("down", "--delete").returncode == 0
    assert docker.containers(f"{kind_cluster.LABEL}={kind_cluster.name(paths(no_lab))}") == []
