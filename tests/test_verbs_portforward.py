"""`kubectl port-forward`: who answers, and how a port refuses where nobody listens."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Lab, make_namespace, pod

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def where(lab: Lab) -> Iterator[str]:
    made = make_namespace(lab)
    namespace = next(made)
    opaque = pod("opaque", image="example.com/team/server:1")
    opaque["spec"]["containers"][0]["ports"] = [{"containerPort": 8000}]
    lab.make(
        namespace,
        pod("web", "sh", "-c", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp"),
        pod("server", image="nginx:1.29"),
        opaque,
    )
    for name in ("web", "server", "opaque"):
        lab.wait(namespace, name, "phase=Running")
    yield namespace
    next(made, None)


@contextmanager
def forwarded(
    lab: Lab, where: str, name: str, port: int
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A local port that leads to the Pod's, and the kubectl that does it."""
    with subprocess.Popen(
        [*lab.kubectl_command, "port-forward", "-n", where, f"pod/{name}", f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as kubectl:
        try:
            assert kubectl.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", kubectl.stdout.readline())
            assert found
            yield int(found[1]), kubectl
        finally:
            kubectl.terminate()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_server_in_a_shell_serves_its_files(lab: Lab, where: str) -> None:
    with forwarded(lab, where, "web", 8080) as (port, _):
        assert get(port, "/") == (200, "hello\n")
        assert get(port, "/index.html") == (200, "hello\n")
        assert get(port, "/none")[0] == 404


@pytest.mark.parametrize(("name", "port"), [("server", 80), ("opaque", 8000)])
def test_a_port_that_answers_says_that_it_is_simulated(
    lab: Lab, where: str, name: str, port: int
) -> None:
    with forwarded(lab, where, name, port) as (local, _):
        status, body = get(local, "/")
    assert status == 200
    assert f"port {port} of container main in Pod {name}" in body
    assert "simulates" in body


def test_a_port_where_nobody_listens_is_refused_in_containerds_words(lab: Lab, where: str) -> None:
    with forwarded(lab, where, "server", 81) as (port, kubectl):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            get(port, "/")
        _, text = kubectl.communicate(timeout=20)
    assert kubectl.returncode == 1
    assert "an error occurred forwarding" in text
    assert "IPv4: dial tcp4 127.0.0.1:81: connect: connection refused" in text
    assert text.endswith("error: lost connection to pod\n")


def test_many_connections_at_once_each_get_their_answer(lab: Lab, where: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with forwarded(lab, where, "web", 8080) as (port, _), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(port, "/"), range(40)))
    assert answers == [(200, "hello\n")] * 40
