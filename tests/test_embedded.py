"""The control plane as processes: who listens where, who may ask, what a crash or Ctrl-C leaves."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gpulab.paths import LabPaths
from gpulab.pki import Pair
from gpulab.ports import LOOPBACK
from gpulab.providers import embedded

from tests.conftest import Lab, environment, eventually, make_lab, said

pytestmark = pytest.mark.live
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that the tests of this file hurt; each leaves it running."""
    yield from make_lab(tmp_path_factory.mktemp("mine"), "mine")


def paths(lab: Lab) -> LabPaths:
    return LabPaths(lab.name, lab.root)


def ports(lab: Lab) -> dict[str, int]:
    return {each["name"]: each["port"] for each in lab.status()["components"]}


def test_every_listening_socket_is_on_loopback(lab: Lab) -> None:
    listening = [
        connection.laddr
        for process in lab.processes()
        for connection in process.net_connections(kind="all")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 7  # six components, and etcd's peer port
    assert {address.ip for address in listening} == {LOOPBACK}


def test_the_lab_opens_no_socket_that_its_status_does_not_name(lab: Lab) -> None:
    listening = {
        connection.laddr.port
        for process in lab.processes()
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening - set(ports(lab).values())) == 1  # etcd's peer port


def test_nobody_else_can_read_a_file_of_the_lab(lab: Lab) -> None:
    home = Path(lab.env["GPULAB_HOME"])
    readable = [
        f"{stat.filemode(info.st_mode)} {path.relative_to(home)}"
        for path in [home, *home.rglob("*")]
        if not stat.S_ISLNK((info := path.lstat()).st_mode) and not stat.S_ISSOCK(info.st_mode)
        if info.st_mode & 0o077
    ]
    assert readable == []


def test_etcd_speaks_to_nobody_without_a_certificate(lab: Lab) -> None:
    found = psutil.Process(embedded.component_pids(paths(lab))["etcd"])
    listening = [
        connection.laddr.port
        for connection in found.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 2  # clients and peers
    for port in listening:
        assert not answers(port, tls=False)
        assert not answers(port)


def test_etcd_answers_the_api_servers_certificate(lab: Lab) -> None:
    """The opposite of the test above: so it is the certificate that decides there."""
    cluster = paths(lab).cluster / "pki"
    admin = Pair(cluster / "admin.crt", cluster / "admin.key")
    assert answers(ports(lab)["etcd"], client=admin)


@pytest.mark.parametrize("foreign", ["kubelet", "kube-apiserver-kubelet-client"])
def test_etcd_refuses_a_certificate_of_the_kubelets(lab: Lab, foreign: str) -> None:
    pki = paths(lab).pki
    pair = Pair(pki / f"{foreign}.crt", pki / f"{foreign}.key")
    assert not answers(ports(lab)["etcd"], client=pair)


def answers(port: int, *, tls: bool = True, client: Pair | None = None) -> bool:
    """Whether a server answers an HTTP request at all."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.crt, client.key)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as plain:
            connection = context.wrap_socket(plain) if tls else plain
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(100)
    except (ssl.SSLError, OSError):
        return False
    return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 404"))


def test_an_anonymous_request_may_read_nothing(lab: Lab) -> None:
    import http.client

    context = ssl._create_unverified_context()
    for path, allowed in (("/api/v1/secrets", {401, 403}), ("/api/v1/pods", {401, 403})):
        client = http.client.HTTPSConnection(
            LOOPBACK, ports(lab)["kube-apiserver"], timeout=5, context=context
        )
        client.request("GET", path)
        assert client.getresponse().status in allowed
        client.close()


def test_a_pid_of_another_program_is_not_taken_for_a_component(lab: Lab, tmp_path: Path) -> None:
    other = LabPaths("other", tmp_path)
    (other.cluster / "pids").mkdir(parents=True)
    etcd = embedded.component_pids(paths(lab))["etcd"]
    for name, text in (("etcd", str(etcd)), ("kube-scheduler", "x"), ("kube-apiserver", "")):
        (other.cluster / "pids" / f"{name}.pid").write_text(text)
    assert embedded.component_pids(other) == {}


@pytest.mark.parametrize("name", [*CONTROL_PLANE, "kwok-controller", "simulator"])
def test_a_killed_component_is_named_and_up_starts_it_and_no_other(mine: Lab, name: str) -> None:
    before = {each["name"]: each["pid"] for each in mine.status()["components"]}
    psutil.Process(before[name]).kill()
    eventually(lambda: name in (mine.status()["missing"] or ""))
    done = mine.gpulab("up")
    assert done.returncode == 0, done.stderr
    found = mine.status()
    assert found["ready"]
    after = {each["name"]: each["pid"] for each in found["components"]}
    assert after.pop(name) != before.pop(name)
    assert after == before


def test_a_port_that_was_taken_meanwhile_is_named_and_nothing_is_lost(mine: Lab) -> None:
    mine.kubectl("create", "configmap", "precious")
    port = ports(mine)["kube-apiserver"]
    assert mine.gpulab("down").returncode == 0
    with socket.create_server((LOOPBACK, port)):
        what, do = said(mine.gpulab("up"))
    assert str(port) in what
    assert "stop that program" in do
    assert mine.processes() == []
    assert mine.gpulab("up").returncode == 0
    assert mine.kubectl("get", "configmap", "precious").returncode == 0


def test_what_the_environment_says_about_kwok_and_proxies_does_not_matter(mine: Lab) -> None:
    """A learner may have another kwok cluster, another cluster, and a proxy at work."""
    assert mine.gpulab("down").returncode == 0
    strange = {
        "KWOK_WORKDIR": "/nonexistent",
        "KWOK_KUBE_APISERVER_PORT": "1",
        "KUBECONFIG": "/nonexistent",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    other = Lab(mine.name, mine.env | strange)
    try:
        done = other.gpulab("up")
        assert done.returncode == 0, done.stderr
        assert other.status()["ready"]
    finally:
        mine.gpulab("up")


@pytest.mark.parametrize("seconds", [0.6, 1.2, 2.2])
def test_ctrl_c_while_a_lab_is_made_leaves_no_process_and_the_next_try_works(
    tmp_path: Path, seconds: float
) -> None:
    made = Lab("lab", environment(tmp_path, "lab"))
    with made.begin("up") as making:
        eventually(made.root.exists)
        time.sleep(seconds)
        making.send_signal(signal.SIGINT)
        _, stderr = making.communicate(timeout=60)
    assert making.returncode == 130, stderr
    assert "Traceback" not in stderr
    try:
        if not made.kubeconfig.exists():  # interrupted while it was made, not while waited for
            eventually(lambda: made.processes() == [])
        assert made.gpulab("up").returncode == 0
        assert made.status()["ready"]
    finally:
        made.gpulab("down", "--delete")
    assert made.processes() == []


def test_a_terminal_that_closes_does_not_take_the_lab_with_it(lab: Lab) -> None:
    own = os.getsid(0)
    assert all(os.getsid(process.pid) != own for process in lab.processes())
