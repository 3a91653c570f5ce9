"""The control plane as processes: who listens where, who may ask, what a crash or Ctrl-C leaves."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import stat
import time
from pathlib import Path

import psutil
import pytest

from gpulab.pairs import Pair
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.providers import components
from tests.conftest import Lab, eventually, said, waits_for_lock

ABOUT = (
    "cluster-setup/gpulab/providers/",
    "cluster-setup/gpulab/supervis",
    "cluster-setup/gpulab/programs.py",
    "cluster-setup/gpulab/lifecycle.py",
    "cluster-setup/gpulab/ready.py",
)
pytestmark = [pytest.mark.live, pytest.mark.sample(*ABOUT)]


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


def test_the_lab_listens_on_the_ports_of_its_record_and_on_no_other(lab: Lab) -> None:
    listening = {
        connection.laddr.port
        for process in lab.processes()
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == set(json.loads((lab.root / "lab.json").read_text())["ports"].values())


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
    found = psutil.Process(components.pids(paths(lab))["etcd"])
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
    name = "kube-apiserver-etcd-client"
    pair = Pair(paths(lab).pki / f"{name}.crt", paths(lab).pki / f"{name}.key")
    assert answers(ports(lab)["etcd"], client=pair)


@pytest.mark.parametrize("foreign", ["pki/kubelet", "pki/gpulab-grader", "cluster/pki/admin"])
def test_etcd_refuses_every_other_certificate_of_the_lab(lab: Lab, foreign: str) -> None:
    """Whoever reads etcd reads every secret, and no audit log says so."""
    folder = paths(lab).cluster if foreign.startswith("cluster") else lab.root
    name = foreign.removeprefix("cluster/")
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    assert not answers(ports(lab)["etcd"], client=pair)


def answers(port: int, *, tls: bool = True, client: Pair | None = None) -> bool:
    """Whether a server answers an HTTP request at all."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.crt, client.key)
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as plain:
            if not tls:
                plain.sendall(request)
                return plain.recv(100).startswith(b"HTTP/1.1 200")
            with context.wrap_socket(plain) as connection:
                connection.sendall(request)
                return connection.recv(100).startswith((b"HTTP/1.1 200", b"HTTP/1.1 404"))
    except (ssl.SSLError, OSError):
        return False


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


def test_the_components_of_another_lab_are_not_taken_for_ones_own(lab: Lab, tmp_path: Path) -> None:
    """Nor is another process that has the pid of one of ours, from before a reboot."""
    other = LabPaths("other", tmp_path)
    (other.cluster / "pids").mkdir(parents=True)
    etcd = components.pids(paths(lab))["etcd"]
    (other.cluster / "pids" / "etcd.pid").write_text(str(etcd))
    text = (paths(lab).cluster / "kwok.yaml").read_text()
    renamed = text.replace(str(paths(lab).cluster), str(other.cluster))
    (other.cluster / "kwok.yaml").write_text(renamed.replace(str(lab.root), str(other.root)))
    assert components.pids(other) == {}


def pids(lab: Lab) -> dict[str, int]:
    return {each["name"]: each["pid"] for each in lab.status()["components"]}


def test_a_port_that_was_taken_meanwhile_is_named_and_nothing_is_lost(spare_lab: Lab) -> None:
    spare_lab.kubectl("create", "configmap", "precious")
    port = ports(spare_lab)["kube-apiserver"]
    assert spare_lab.gpulab("down").returncode == 0
    with socket.create_server((LOOPBACK, port)):
        what, do = said(spare_lab.gpulab("up"))
    assert str(port) in what
    assert "stop that program" in do
    assert spare_lab.processes() == []
    assert spare_lab.gpulab("up").returncode == 0
    assert spare_lab.kubectl("get", "configmap", "precious").returncode == 0


def test_what_the_environment_says_about_kwok_and_proxies_does_not_matter(spare_lab: Lab) -> None:
    """A learner may have another kwok cluster, another cluster, and a proxy at work."""
    assert spare_lab.gpulab("down").returncode == 0
    strange = {
        "KWOK_WORKDIR": "/nonexistent",
        "KWOK_KUBE_APISERVER_PORT": "1",
        "KUBECONFIG": "/nonexistent",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    other = Lab(spare_lab.name, spare_lab.env | strange)
    try:
        done = other.gpulab("up")
        assert done.returncode == 0, done.stderr
        assert other.status()["ready"]
    finally:
        spare_lab.gpulab("up")


def test_ctrl_c_while_a_lab_is_made_leaves_no_process_and_the_next_try_works(no_lab: Lab) -> None:
    for seconds in (0.1, 0.4, 0.8, 1.6):
        interrupt_up(no_lab, seconds)
    try:
        assert no_lab.gpulab("up").returncode == 0
        assert no_lab.status()["ready"]
        assert len(no_lab.processes()) == 7
    finally:
        no_lab.gpulab("down", "--delete")
    assert no_lab.processes() == []


def interrupt_up(lab: Lab, seconds: float) -> None:
    """Press Ctrl-C some time after it has begun."""
    with lab.begin("up") as making:
        eventually(lambda: waits_for_lock(making.pid))
        time.sleep(seconds)
        making.send_signal(signal.SIGINT)
        _, stderr = making.communicate(timeout=60)
    assert making.returncode == 130, stderr
    assert "Traceback" not in stderr
    if not (lab.root / "lab.json").exists():  # else it was interrupted while it waited
        eventually(lambda: lab.processes() == [], 5)
