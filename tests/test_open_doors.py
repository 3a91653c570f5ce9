"""A scan of every port of a lab: what answers a stranger is what SECURITY.md's tables say."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from gpulab import pki
from gpulab.pairs import Pair
from gpulab.paths import ROOT
from gpulab.ports import LOOPBACK
from tests.conftest import Lab

# process and the first word of its port in the table → the name of the port in lab.json
PORTS = {
    ("etcd", "client"): "etcd",
    ("etcd", "peer"): "etcd-peer",
    ("kube-apiserver", "API"): "kube-apiserver",
    ("kube-controller-manager", "health,"): "kube-controller-manager",
    ("kube-scheduler", "health,"): "kube-scheduler",
    ("kwok", "health,"): "kwok-controller",
    ("simulator", "kubelet"): "kubelet",
    ("simulator", "metrics"): "metrics",
    ("exporter, once `gpulab metrics` was used", "GPU"): "exporter",
}
JUPYTER = {"JupyterLab", "Jupyter kernels"}  # tests/test_jupyter.py
HEALTH = ("/health", "/healthz", "/livez", "/readyz", "/healthz/ping", "/metrics", "/version")
INSIDE = ("/configz", "/flagz", "/statusz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars")
KUBERNETES = (
    "/",
    "/api",
    "/apis",
    "/api/v1/pods",
    "/api/v1/secrets",
    "/apis/apps/v1/deployments",
    "/apis/metrics.k8s.io/v1beta1/nodes",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/.well-known/openid-configuration",
    "/logs/",
    "/ui",
)
KUBELET = (
    "/pods",
    "/runningpods/",
    "/spec/",
    "/stats/summary",
    "/containerLogs/default/x/main",
    "/exec/default/x/main?command=id&output=1",
    "/attach/default/x/main?output=1",
    "/portForward/default/x",
    "/run/default/x/main?cmd=id",
    "/logs/syslog",
    "/metrics/cadvisor",
    "/metrics/resource",
    "/discovery/prometheus",
)
ETCD = ("/v3/kv/range", "/v3/maintenance/snapshot", "/v2/keys", "/members", "/raft", "/version")
PATHS = sorted({*HEALTH, *INSIDE, *KUBERNETES, *KUBELET, *ETCD})


def table(heading: str) -> list[list[str]]:
    """The rows of the table in SECURITY.md that begins with this column."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    lines = text[text.index(f"| {heading} |") :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def allowed() -> dict[str, set[str]]:
    """Port → the paths that a stranger may read there."""
    open_ = {number: paths for number, paths, _ in table("Exception")}
    found = {}
    for process, port, proof in table("Process"):
        if process in JUPYTER:
            continue
        number = re.search(r"Exception (\d)", proof)
        text = open_[number[1]] if number else ""
        common, _, special = text.partition("; of the scheduler also")
        text = common + (special if process == "kube-scheduler" else "")
        found[PORTS[process, port.split()[0]]] = set(re.findall(r"`(/[^`]*)`", text))
    return found


def test_the_tables_are_read_as_they_are_meant() -> None:
    found = allowed()
    assert found.keys() == set(PORTS.values())
    assert found["etcd"] == found["etcd-peer"] == found["kubelet"] == found["metrics"] == set()
    assert found["exporter"] == set()
    assert found["kube-controller-manager"] == {"/healthz", "/metrics"}
    assert found["kube-scheduler"] == {"/healthz", "/metrics", "/livez", "/readyz"}
    assert "/version" in found["kube-apiserver"]


@pytest.fixture
def stranger(tmp_path: Path) -> Pair:
    """A certificate of an authority that nobody in the lab knows."""
    return pki.make_kubelet_pki(tmp_path / "stranger").client


def of_lab(lab: Lab) -> dict[str, int]:
    ports: dict[str, int] = json.loads((lab.root / "lab.json").read_text())["ports"]
    return ports | {"exporter": int((lab.root / "metrics.port").read_text())}


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Iterator[Lab]:
    """The lab that others share, with all that can listen in it."""
    started = lab.gpulab("metrics", "start")
    assert started.returncode == 0, started.stderr
    yield lab
    assert lab.gpulab("metrics", "stop").returncode == 0


@pytest.mark.live
def test_every_port_on_which_the_lab_listens_has_a_row(lab: Lab) -> None:
    listening = {
        connection.laddr.port
        for process in lab.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = of_lab(lab)
    jupyter = {each["port"] for each in lab.status()["components"] if each["name"] == "jupyterlab"}
    assert listening - jupyter == {ports[name] for name in allowed()}


@pytest.mark.live
@pytest.mark.parametrize("name", PORTS.values())
def test_a_stranger_reads_what_the_table_says_and_nothing_else(
    lab: Lab, stranger: Pair, name: str
) -> None:
    paths, port = {*PATHS, *allowed()[name]}, of_lab(lab)[name]
    ways = (None, tls(None), tls(stranger))
    with ThreadPoolExecutor(4) as pool:
        answered = set().union(*pool.map(lambda path: set(answers(port, path, ways)), paths))
    readable = {f"GET {path}" for path in allowed()[name]}
    # a subpath of a health check, and another way to ask for the same, say no more than it
    readable |= {f"POST {path}" for path in allowed()[name]}
    readable |= {f"{verb} /healthz/ping" for verb in ("GET", "POST") if allowed()[name]}
    assert answered <= readable
    assert {f"GET {path}" for path in allowed()[name]} <= answered  # or the table says too much


def answers(port: int, path: str, ways: Sequence[ssl.SSLContext | None]) -> Iterator[str]:
    """What is answered with success: without TLS, without a certificate, with a foreign one."""
    for verb in ("GET", "POST"):
        for context in ways:
            if 200 <= status(port, verb, path, context) < 400:
                yield f"{verb} {path}"


def tls(client: Pair | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.crt, client.key)
    return context


def status(port: int, verb: str, path: str, context: ssl.SSLContext | None) -> int:
    """The HTTP status; 0 if the connection is refused on the way."""
    connection = (
        http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        if context is None
        else http.client.HTTPSConnection(LOOPBACK, port, timeout=5, context=context)
    )
    try:
        connection.request(verb, path, body=b"{}" if verb == "POST" else None)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.live
def test_the_scan_sees_an_open_door(lab: Lab) -> None:
    """With the right certificate the same request is answered: so it is not the path."""
    ports, cluster = of_lab(lab), lab.root / "kwok" / "clusters" / lab.name / "pki"
    admin = tls(Pair(cluster / "admin.crt", cluster / "admin.key"))
    learner = tls(Pair(*(lab.root / "pki" / f"{pki.LEARNER}.{end}" for end in ("crt", "key"))))
    etcd = tls(Pair(*(lab.root / "pki" / f"{pki.ETCD_CLIENT}.{end}" for end in ("crt", "key"))))
    assert status(ports["kube-apiserver"], "GET", "/api/v1/secrets", admin) == 200
    assert status(ports["exporter"], "GET", "/metrics", learner) == 200
    assert status(ports["exporter"], "GET", "/metrics", admin) == 403
    assert status(ports["etcd"], "POST", "/v3/kv/range", etcd) in (200, 400)
    assert status(ports["etcd"], "GET", "/version", etcd) == 200
