"""`kubectl logs` and `kubectl exec` on simulated containers, and who may ask a kubelet at all."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import pty
import re
import select
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gpulab.pairs import KubeletPki, Pair
from gpulab.ports import LOOPBACK
from tests.conftest import CUDA, Done, Lab, devices, eventually, make_namespace, pod

pytestmark = pytest.mark.live
TALK = "echo one; sleep 1; echo two; sleep 1; echo three; sleep 600"


@pytest.fixture(scope="module")
def where(lab: Lab) -> Iterator[str]:
    """A namespace with Pods that the tests of this file only look at."""
    made = make_namespace(lab)
    namespace = next(made)
    lab.make(
        namespace,
        pod("smi", "nvidia-smi", image=CUDA, gpus=1),
        pod("talker", "sh", "-c", TALK),
        pod("gpus", "sleep", "600", image=CUDA, gpus=2),
        pod("plain", "sleep", "600"),
        pod("umlaut", "echo", "äöü"),
        pod("crash", "sh", "-c", "echo out; exit 3", restartPolicy="Always"),
        pod("missing", "true", image="nvidia/cuda:0.0"),
    )
    for name in ("talker", "gpus", "plain"):
        lab.wait(namespace, name, "phase=Running")
    for name in ("smi", "umlaut"):
        lab.wait(namespace, name, "phase=Succeeded")
    eventually(lambda: "three" in lab.kubectl("logs", "talker", "-n", namespace).stdout)
    yield namespace
    next(made, None)


def logs(lab: Lab, where: str, *arguments: str) -> str:
    done = lab.kubectl("logs", "-n", where, *arguments, seconds=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def execute(lab: Lab, where: str, name: str, *command: str, options: str = "") -> Done:
    return lab.kubectl("exec", "-n", where, name, *options.split(), "--", *command, seconds=30)


# -- logs


def test_the_log_of_nvidia_smi_names_the_gpu_of_the_pod(lab: Lab, where: str) -> None:
    text = logs(lab, where, "smi")
    node = lab.get("pod", "smi", "-n", where)["spec"]["nodeName"]
    product = lab.get("node", node)["metadata"]["labels"]["nvidia.com/gpu.product"]
    assert product.replace("-", " ") in text.replace("-", " ")
    assert len(re.findall(r"^\|\s+\d+\s+NVIDIA ", text, re.MULTILINE)) == 1


def test_a_log_does_not_change_when_it_is_read_again(lab: Lab, where: str) -> None:
    assert logs(lab, where, "smi") == logs(lab, where, "smi")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "one\ntwo\nthree\n"),
        ("--tail=1", "three\n"),
        ("--tail=0", ""),
        ("--tail=99", "one\ntwo\nthree\n"),
        ("--limit-bytes=5", "one\nt"),
        ("--limit-bytes=999", "one\ntwo\nthree\n"),
        ("--since=1h", "one\ntwo\nthree\n"),
        ("--since-time=2020-01-01T00:00:00Z", "one\ntwo\nthree\n"),
        ("--since-time=2100-01-01T00:00:00Z", ""),
        ("--tail=2 --limit-bytes=3", "two"),
        ("-c main", "one\ntwo\nthree\n"),
    ],
)
def test_a_log_can_be_cut_as_with_a_real_kubelet(
    lab: Lab, where: str, options: str, text: str
) -> None:
    assert logs(lab, where, "talker", *options.split()) == text


def test_since_leaves_out_what_is_older(lab: Lab, where: str) -> None:
    eventually(lambda: logs(lab, where, "talker", "--since=1s") == "")


def test_timestamps_say_when_each_line_was_written(lab: Lab, where: str) -> None:
    lines = logs(lab, where, "talker", "--timestamps").splitlines()
    assert [line.split()[1] for line in lines] == ["one", "two", "three"]
    times = [dt.datetime.fromisoformat(line.split()[0]) for line in lines]
    assert [(later - times[0]).total_seconds() for later in times] == [0, 1, 2]


def test_a_limit_counts_bytes_and_not_letters(lab: Lab, where: str) -> None:
    done = subprocess.run(
        [*lab.kubectl_command, "logs", "umlaut", "-n", where, "--limit-bytes=3"],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "äöü".encode()[:3]


def test_following_a_log_ends_with_its_container(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sh", "-c", "echo one; sleep 2; echo two; sleep 1; echo three"))
    lab.wait(namespace, "p", "phase=Running")
    assert logs(lab, namespace, "p", "-f") == "one\ntwo\nthree\n"
    assert lab.get("pod", "p", "-n", namespace)["status"]["phase"] == "Succeeded"


def test_following_with_tail_starts_at_the_end(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sh", "-c", "echo one; echo two; sleep 3; echo three"))
    lab.wait(namespace, "p", "phase=Running")
    assert logs(lab, namespace, "p", "-f", "--tail=1") == "two\nthree\n"


def test_following_ends_when_the_pod_is_deleted(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sh", "-c", "echo one; sleep 600"))
    lab.wait(namespace, "p", "phase=Running")
    follow = [*lab.kubectl_command, "logs", "-f", "p", "-n", namespace]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            assert following.stdout.readline() == "one\n"
            lab.kubectl("delete", "pod", "p", "-n", namespace)
            rest, _ = following.communicate(timeout=20)
        finally:
            following.kill()
    assert (following.returncode, rest) == (0, "")


def test_the_log_of_the_run_before_is_kept(lab: Lab, where: str) -> None:
    path = "containerStatuses[0].state.waiting.reason"
    lab.wait(where, "crash", f"{path}=CrashLoopBackOff")
    assert logs(lab, where, "crash", "--previous") == "out\n"
    assert logs(lab, where, "crash") == "out\n"


def test_without_a_run_before_there_is_no_such_log(lab: Lab, where: str) -> None:
    done = lab.kubectl("logs", "talker", "-n", where, "--previous")
    assert done.returncode == 1
    assert 'previous terminated container "main" in pod "talker" not found' in done.stderr


def test_a_container_that_waits_for_its_image_has_no_log_and_says_why(lab: Lab, where: str) -> None:
    path = "containerStatuses[0].state.waiting.reason"
    lab.wait(where, "missing", f"{path}=ImagePullBackOff")
    done = lab.kubectl("logs", "missing", "-n", where)
    assert (done.returncode, done.stdout) == (1, "")
    text = 'container "main" in pod "missing" is waiting to start: trying and failing to pull image'
    assert text in done.stderr


# -- exec


def test_nvidia_smi_lists_exactly_the_gpus_in_the_pods_status(lab: Lab, where: str) -> None:
    done = execute(lab, where, "gpus", "nvidia-smi", "-L")
    listed = re.findall(r"\(UUID: (GPU-[0-9a-f-]+)\)", done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(listed) == sorted(devices(lab.get("pod", "gpus", "-n", where)))
    assert len(listed) == 2


def test_fields_can_be_queried_as_csv(lab: Lab, where: str) -> None:
    query = ("nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits")
    lines = [line.split(", ") for line in execute(lab, where, "gpus", *query).stdout.splitlines()]
    assert sorted(u for u, _ in lines) == sorted(devices(lab.get("pod", "gpus", "-n", where)))
    assert all(memory.isdigit() for _, memory in lines)


@pytest.mark.parametrize("command", ["nvidia-smi", "/usr/bin/nvidia-smi"])
def test_without_a_gpu_there_is_no_nvidia_smi(lab: Lab, where: str, command: str) -> None:
    done = execute(lab, where, "plain", command)
    assert done.returncode != 0
    assert done.stdout == ""
    assert f'exec: "{command}"' in done.stderr


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_of_a_command_is_kubectls(lab: Lab, where: str, code: int) -> None:
    done = execute(lab, where, "plain", "sh", "-c", f"echo a; exit {code}")
    assert (done.returncode, done.stdout) == (code, "a\n")


def test_stderr_comes_apart_from_stdout(lab: Lab, where: str) -> None:
    done = execute(lab, where, "plain", "sh", "-c", "echo a; sleep soon; echo b")
    assert done.stdout == "a\nb\n"
    assert "sleep: invalid time interval" in done.stderr
    assert done.returncode == 0


def test_an_unmodelled_command_says_so_and_exits_with_127(lab: Lab, where: str) -> None:
    done = execute(lab, where, "plain", "python", "-V")
    assert (done.returncode, done.stdout) == (127, "")
    assert "gpulab does not simulate 'python -V'" in done.stderr


def test_a_command_sees_the_environment_of_its_container(lab: Lab, where: str) -> None:
    assert "HOSTNAME=plain\n" in execute(lab, where, "plain", "env").stdout


def test_standard_input_may_be_given_and_end(lab: Lab, where: str) -> None:
    run = ("exec", "-i", "-n", where, "plain", "--", "echo", "a")
    assert lab.kubectl(*run, given="ignored").stdout == "a\n"


def test_a_container_that_has_ended_runs_no_command(lab: Lab, where: str) -> None:
    done = execute(lab, where, "smi", "nvidia-smi")
    assert done.returncode == 1
    assert "completed pod" in done.stderr


@pytest.mark.parametrize("command", [("attach", "plain"), ("port-forward", "plain", ":80")])
def test_what_the_server_does_not_offer_is_refused(
    lab: Lab, where: str, command: tuple[str, ...]
) -> None:
    """Nobody waits in vain; a port is refused at the first connection to it."""
    with subprocess.Popen(
        [*lab.kubectl_command, *command, "-n", where],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as trying:
        try:
            trying.wait(timeout=3)
        except subprocess.TimeoutExpired:
            trying.terminate()
        text = trying.communicate(timeout=10)[0].decode()
    assert "panic" not in text
    assert text.strip()


class Terminal:
    """`kubectl exec -it` on a pseudo-terminal of its own."""

    def __init__(self, lab: Lab, where: str, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*lab.kubectl_command, "exec", "-it", "plain", "-n", where, "--", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read(self, until: bytes | None = None, seconds: float = 20) -> bytes:
        """Everything until it ends, or until something was printed."""
        text, deadline = b"", time.monotonic() + seconds
        while until is None or until not in text:
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select([self._ours], [], [], left)
            assert ready, f"neither {until!r} nor an end after {text!r}"
            try:
                chunk = os.read(self._ours, 1024)
            except OSError:  # Linux says so that the other side has closed
                break
            if not chunk:
                break
            text += chunk
        return text

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.wait(timeout=10)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._ours)


def test_on_a_terminal_lines_end_as_a_terminal_wants_and_it_ends(lab: Lab, where: str) -> None:
    with Terminal(lab, where, "sh", "-c", "echo one; sleep 1; echo two; exit 4") as terminal:
        text = terminal.read()
    assert text.startswith(b"one\r\ntwo\r\n")
    assert terminal.process.returncode == 4


def test_ctrl_c_ends_a_command_on_a_terminal_with_130(lab: Lab, where: str) -> None:
    with Terminal(lab, where, "sh", "-c", "echo ready; sleep 600") as terminal:
        terminal.read(until=b"ready")
        terminal.press(b"\x03")
        terminal.read()
    assert terminal.process.returncode == 130


# -- who may ask


def ask(lab: Lab, client: Pair | None, path: str = "/healthz") -> int | None:
    """The kubelet server's HTTP status, or None if it does not even speak with this client."""
    port = next(e["port"] for e in lab.status()["components"] if e["name"] == "simulator")
    context = ssl.create_default_context(cafile=KubeletPki(lab.root / "pki").ca.crt)
    if client is not None:
        context.load_cert_chain(client.crt, client.key)
    connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return None
    finally:
        connection.close()


def test_the_api_server_may_ask_a_kubelet(lab: Lab) -> None:
    assert ask(lab, KubeletPki(lab.root / "pki").client) == 200


def test_without_a_certificate_a_kubelet_does_not_even_speak(lab: Lab) -> None:
    assert ask(lab, None) is None


def test_the_cluster_administrators_certificate_is_worth_nothing_there(lab: Lab) -> None:
    folder = lab.root / "kwok" / "clusters" / lab.name / "pki"
    assert ask(lab, Pair(folder / "admin.crt", folder / "admin.key")) is None


@pytest.mark.parametrize("name", ["gpulab-grader", "etcd", "kube-apiserver-etcd-client"])
def test_nor_is_any_other_certificate_of_the_lab(lab: Lab, name: str) -> None:
    pki = lab.root / "pki"
    assert ask(lab, Pair(pki / f"{name}.crt", pki / f"{name}.key")) is None


@pytest.mark.parametrize(
    "path", ["/healthz", "/containerLogs/default/p/main", "/exec/default/p/main", "/metrics"]
)
def test_another_name_from_the_right_authority_is_forbidden(
    lab: Lab, tmp_path: Path, path: str
) -> None:
    assert ask(lab, signed(KubeletPki(lab.root / "pki").ca, "somebody", tmp_path), path) == 403


def signed(authority: Pair, name: str, folder: Path) -> Pair:
    """A client certificate for `name` from a lab's own authority."""
    issuer = x509.load_pem_x509_certificate(authority.crt.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(issuer.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(issuer_key, hashes.SHA256())
    )
    pair, pem = Pair(folder / "c.crt", folder / "c.key"), serialization.Encoding.PEM
    form = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pair.crt.write_bytes(certificate.public_bytes(pem))
    pair.key.write_bytes(key.private_bytes(*form))
    return pair
