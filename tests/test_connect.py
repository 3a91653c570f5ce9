"""The way to the cluster: reading only, and every fault with its remedy."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from autograders.connect import ApiAbsent, ApiProblem, ReadOnlyError, Unreachable, connect
from autograders.errors import InputError

ANSWERS = {
    "/api/v1/pods": (200, b'{"kind": "PodList", "items": []}'),
    "/api/v1/nodes": (403, b'{"message": "User cannot list nodes"}'),
    "/api/v1/events": (500, b"<html>"),
    "/api/v1/services": (200, b"<html>"),
    "/api/v1/namespaces/lab/pods/p/log": (400, b'{"message": "container is waiting to start"}'),
    "/apis/batch/v1/jobs": (401, b'{"message": "Unauthorized"}'),
}


class ApiServer(http.server.BaseHTTPRequestHandler):
    """Answers as an API server does, and remembers what it was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        code, body = ANSWERS.get(self.path.partition("?")[0], (404, b'{"message": "not found"}'))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (ApiServer,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", handler.asked  # type: ignore[attr-defined]
        running.shutdown()


def kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_an_answer_is_read(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    with connect(kubeconfig(tmp_path, server[0])) as api:
        assert api.json("/api/v1/pods")["kind"] == "PodList"
        assert server[1] == ["/api/v1/pods"]


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("/api/v1/pods/none", ApiAbsent, "not found"),
        ("/api/v1/namespaces/lab/pods/p/log", ApiAbsent, "waiting to start"),
        ("/api/v1/nodes", ApiProblem, "403: User cannot list nodes"),
        ("/api/v1/events", ApiProblem, "500: Internal Server Error"),
        ("/api/v1/services", ApiProblem, "not JSON"),
        ("/apis/batch/v1/jobs", Unreachable, "does not accept this kubeconfig's identity"),
    ],
)
def test_every_failure_has_its_name(
    tmp_path: Path, server: tuple[str, list[str]], path: str, error: type[Exception], said: str
) -> None:
    with connect(kubeconfig(tmp_path, server[0])) as api, pytest.raises(error, match=said):
        api.json(path)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_but_get_leaves_the_program(
    tmp_path: Path, server: tuple[str, list[str]], method: str
) -> None:
    with connect(kubeconfig(tmp_path, server[0])) as api, pytest.raises(ReadOnlyError):
        api.client.request(method, "/api/v1/pods")
    assert server[1] == []


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/nodes/n1/proxy/pods", "/api/v1/x"])
def test_no_other_path_leaves_the_program(
    tmp_path: Path, server: tuple[str, list[str]], path: str
) -> None:
    with connect(kubeconfig(tmp_path, server[0])) as api, pytest.raises(ReadOnlyError):
        api.json(path)
    assert server[1] == []


def test_no_upgrade_leaves_the_program(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    with connect(kubeconfig(tmp_path, server[0])) as api, pytest.raises(ReadOnlyError):
        api.client.get("/api/v1/pods", headers={"Upgrade": "websocket"})
    assert server[1] == []


def test_a_cluster_that_is_down_is_told_with_its_address(tmp_path: Path) -> None:
    with (
        connect(kubeconfig(tmp_path, "http://127.0.0.1:1")) as api,
        pytest.raises(Unreachable, match=r"cannot reach the cluster at http://127\.0\.0\.1:1"),
    ):
        api.json("/api/v1/pods")


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no kubeconfig") as refused:
        connect(tmp_path / "none")
    assert "gpulab up" in refused.value.do


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: b: c", "current-context: c\nclusters: []\ncontexts: []\n", "\x00", "x: 1"],
)
def test_a_broken_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(InputError, match=r"kubeconfig is broken: .+"):
        connect(tmp_path / "kubeconfig")


@pytest.mark.parametrize("text", ["certificate-authority-data: bm8=", "certificate-authority: /no"])
def test_a_kubeconfig_with_a_broken_certificate_is_named(tmp_path: Path, text: str) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    key, value = text.split(": ")
    config = yaml.safe_load(path.read_text())
    config["clusters"][0]["cluster"][key] = value
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="has no usable identity"):
        connect(path)


def test_an_unknown_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Context 'other' not found"):
        connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), "other")
