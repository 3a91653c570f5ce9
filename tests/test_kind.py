"""Provider kind, on a real kind cluster: the same lab, the same grades, beside real nodes."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpulab import pki
from gpulab.pairs import Pair
from gpulab.paths import ROOT, LabPaths
from gpulab.providers import docker, kind, kind_cluster, kind_health
from tests.conftest import CUDA, Lab, Object, eventually, pod, remove_exercises
from tests.test_exercises import LIMIT, NAMES, proof

pytestmark = [pytest.mark.live, pytest.mark.kind, pytest.mark.timeout(LIMIT + 20)]
FIRST = "01-deploy-gpu-pod"
REAL = "gpulab.dev/real"
UP_SECONDS = 300
DNS = "10.96.0.10"  # kubeadm's address of the Service kube-dns
QUESTION = (
    bytes.fromhex("abcd01000001000000000000")
    + b"".join(
        bytes([len(word)]) + word.encode()
        for word in ("kubernetes", "default", "svc", "cluster", "local", "")
    )
    + b"\0\1\0\1"
)  # type A, class IN


def paths(lab: Lab) -> LabPaths:
    return LabPaths(lab.name, lab.root)


def inside(node: str, *command: str) -> str:
    return docker.run("exec", node, *command)


def nodes(lab: Lab) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in lab.get("nodes")["items"]}


def taints(node: Object) -> set[str]:
    return {each["key"] for each in node["spec"].get("taints") or ()}


@pytest.fixture
def at_work(kind_lab: Lab) -> Iterator[Lab]:
    """The lab, mended if a test before has hurt it."""
    up = kind_lab.gpulab("up", seconds=UP_SECONDS)
    assert up.returncode == 0, up.stderr
    yield kind_lab
    remove_exercises(kind_lab)


def test_real_nodes_stand_beside_the_fleet_and_only_they_are_tainted(at_work: Lab) -> None:
    found, real = nodes(at_work), set(kind_cluster.names(paths(at_work)))
    assert found.keys() - real == {"h100-1", "h100-2", "a100-1", "l40s-1", "cpu-1"}
    assert {name for name, each in found.items() if REAL in taints(each)} == real
    assert all(not taints(each) for name, each in found.items() if name not in real)
    assert at_work.status()["ready"]


def test_every_part_is_told_and_well(at_work: Lab) -> None:
    found = at_work.status()
    assert found["provider"] == "kind"
    assert {each["name"]: each["health"] for each in found["components"]} == dict.fromkeys(
        (
            *kind_cluster.names(paths(at_work)),
            "etcd",
            "kube-apiserver",
            *kind_health.STATIC,
            "kwok-controller",
            "simulator",
            "metrics",
        ),
        "ok",
    )


def test_an_exercise_scores_nothing_and_then_everything(at_work: Lab) -> None:
    assert at_work.gpulab("start", "01").returncode == 0
    before = at_work.gpulab("check", "01", "--json")
    assert (before.returncode, json.loads(before.stdout)["score"]) == (1, 0)
    solution = ROOT / "exercises" / FIRST / "solution"
    done = at_work.kubectl("apply", "-f", str(solution / "pod.yaml"))
    assert done.returncode == 0, done.stderr
    answers = Path(at_work.env["GPULAB_WORK"]) / "exercises" / FIRST / "answers.toml"
    shutil.copyfile(solution / "answers.toml", answers)
    after = at_work.gpulab("check", "01", "--json")
    found = json.loads(after.stdout)
    assert (after.returncode, found["score"], found["max_score"]) == (0, 10, 10)


@pytest.mark.sample
@pytest.mark.parametrize("exercise", NAMES)
def test_an_exercise_is_proven_as_on_any_lab(at_work: Lab, exercise: str) -> None:
    """Solutions, alternatives and wrong answers get the marks that they get without Docker."""
    proof(at_work, exercise, *(() if shares(exercise) else ("--provider", "kind")))


def shares(exercise: str) -> bool:
    return not (ROOT / "exercises" / exercise / "fleet.yaml").is_file()


def test_kinds_own_pods_stay_on_real_nodes_and_names_resolve(at_work: Lab) -> None:
    real = set(kind_cluster.names(paths(at_work)))
    every = at_work.get("pods", "-n", "kube-system")["items"]
    assert {each["spec"]["nodeName"] for each in every} <= real
    chosen = ("-n", "kube-system", "-l", "k8s-app=kube-dns")
    before = {each["metadata"]["uid"] for each in at_work.get("pods", *chosen)["items"]}
    assert at_work.kubectl("delete", "pods", *chosen).returncode == 0
    ready = ("wait", "pods", *chosen, "--for=condition=Ready", "--timeout=90s")
    assert at_work.kubectl(*ready, seconds=100).returncode == 0
    after = at_work.get("pods", *chosen)["items"]
    assert not before & {each["metadata"]["uid"] for each in after}
    assert {each["spec"]["nodeName"] for each in after} <= real
    eventually(lambda: resolved(kind_cluster.names(paths(at_work))[1]) == [10, 96, 0, 1], 30)


def resolved(node: str) -> list[int]:
    """The address that cluster DNS gives a node for the Service `kubernetes`; empty if none."""
    query = "".join(f"\\x{byte:02x}" for byte in QUESTION)
    send = f"printf '{query}' | dd obs=512 >&3"  # in one packet
    ask = f"exec 3<>/dev/udp/{DNS}/53; {send}; timeout 3 dd bs=512 count=1 <&3"
    done = subprocess.run(["docker", "exec", node, "bash", "-c", ask], capture_output=True)
    return list(done.stdout[-4:]) if len(done.stdout) > len(QUESTION) else []


def test_logs_and_exec_reach_simulated_and_real_kubelets(at_work: Lab) -> None:
    at_work.make("default", pod("speaks", "sleep", "600", image=CUDA))
    at_work.wait("default", "speaks", "phase=Running")
    said = at_work.kubectl("exec", "speaks", "--", "hostname")
    assert (said.returncode, said.stdout.strip()) == (0, "speaks"), said.stderr
    assert at_work.kubectl("logs", "speaks").returncode == 0
    chosen = ("-n", "kube-system", "-l", "k8s-app=kube-proxy", "-o", "name")
    for name in at_work.kubectl("get", "pods", *chosen).stdout.split():
        log = at_work.kubectl("logs", "-n", "kube-system", name)
        assert (log.returncode, bool(log.stdout)) == (0, True), log.stderr
    at_work.kubectl("delete", "pod", "speaks", "--now")


def test_a_container_of_a_real_node_runs_a_real_program(at_work: Lab) -> None:
    """Of an image that every node has, so that nothing is pulled."""
    chosen = ("-n", "kube-system", "-l", "component=kube-apiserver")
    (server,) = at_work.get("pods", *chosen)["items"]
    image = server["spec"]["containers"][0]["image"]
    one = pod("real", "kube-apiserver", "--version", image=image)
    one["spec"] |= {"tolerations": [{"key": REAL, "operator": "Exists"}]}
    one["spec"] |= {"nodeName": kind_cluster.names(paths(at_work))[1], "restartPolicy": "Never"}
    at_work.make("default", one)
    at_work.wait("default", "real", "phase=Succeeded", 60)
    assert at_work.kubectl("logs", "real").stdout.startswith("Kubernetes v1.")
    at_work.kubectl("delete", "pod", "real", "--now")


def test_only_the_api_server_is_let_into_what_listens_on_the_bridge(
    at_work: Lab, tmp_path: Path
) -> None:
    ports = json.loads((at_work.root / "lab.json").read_text())["ports"]
    cluster = paths(at_work).cluster_pki
    admin = Pair(cluster / "admin.crt", cluster / "admin.key")
    stranger = pki.make_kubelet_pki(tmp_path).client
    for port in (ports["kubelet"], ports["metrics"]):
        for client in (None, stranger, admin):
            for path in (
                "/healthz",
                "/containerLogs/default/x/main",
                "/apis/metrics.k8s.io/v1beta1",
            ):
                assert answer(docker.gateway(), port, path, client) in (0, 403)


def answer(host: str, port: int, path: str, client: Pair | None) -> int:
    """The HTTP status; 0 if the connection is refused on the way."""
    import http.client

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(client.crt, client.key)
    connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_the_lab_listens_on_loopback_and_the_bridge_alone(at_work: Lab) -> None:
    import psutil

    ports = json.loads((at_work.root / "lab.json").read_text())["ports"]
    listening = {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections(kind="inet")
        if each.status == psutil.CONN_LISTEN and each.laddr.port in ports.values()
    }
    bridge = docker.gateway()
    assert listening == {
        ("127.0.0.1", ports["kube-apiserver"]),
        ("127.0.0.1", ports["kwok-controller"]),
        (bridge, ports["kubelet"]),
        (bridge, ports["metrics"]),
    }


def test_top_shows_every_node(at_work: Lab) -> None:
    shown = at_work.kubectl("top", "nodes", "--no-headers")
    assert shown.returncode == 0, shown.stderr
    assert {line.split()[0] for line in shown.stdout.splitlines()} == nodes(at_work).keys()


def test_a_paused_scheduler_places_nothing_until_it_goes_on(at_work: Lab) -> None:
    assert at_work.gpulab("pause", "scheduler").returncode == 0
    assert "kube-scheduler: paused" in at_work.status()["missing"]
    assert "paused already" in at_work.gpulab("pause", "scheduler").stderr
    at_work.make("default", pod("waits", "sleep", "600", image=CUDA))
    assert at_work.get("pod", "waits")["status"]["phase"] == "Pending"
    assert "nodeName" not in at_work.get("pod", "waits")["spec"]
    assert at_work.gpulab("resume", "scheduler").returncode == 0
    at_work.wait("default", "waits", "phase=Running", 60)
    at_work.kubectl("delete", "pod", "waits", "--now")


def test_a_lab_that_was_down_has_what_it_had(at_work: Lab) -> None:
    at_work.kubectl("create", "configmap", "precious")
    at_work.make("default", pod("stays", "sleep", "6000", image=CUDA))
    at_work.wait("default", "stays", "phase=Running")
    assert at_work.gpulab("down").returncode == 0
    assert at_work.status()["state"] == "stopped"
    assert not any(each.running for each in kind.nodes(paths(at_work)))
    up = at_work.gpulab("up", seconds=UP_SECONDS)
    assert up.returncode == 0, up.stderr
    assert at_work.status()["ready"]
    assert at_work.kubectl("get", "configmap", "precious").returncode == 0
    at_work.wait("default", "stays", "phase=Running")
    at_work.kubectl("delete", "pod/stays", "configmap/precious", "--now")


def test_containers_that_were_killed_are_started_again(at_work: Lab) -> None:
    docker.run("kill", *kind_cluster.names(paths(at_work)))
    assert not at_work.status()["ready"]
    up = at_work.gpulab("up", seconds=UP_SECONDS)
    assert up.returncode == 0, up.stderr
    assert at_work.status()["ready"]
