"""JupyterLab: only with the token, only on loopback, with kubectl and the cluster at hand."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import shutil
import signal
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from gpulab import jupyter
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.processes import is_running
from tests.conftest import GPULAB, Done, Lab, environment, eventually

pytestmark = pytest.mark.live
# What a learner's own settings must not open: another address, no token, any origin.
HOSTILE = {
    "ServerApp": {"ip": "0.0.0.0", "token": "", "password": "", "allow_remote_access": True},
    "IdentityProvider": {"token": ""},
}


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    lab: Lab
    done: Done
    """How `gpulab lab --detach` ended."""
    url: str
    """Without the path."""
    token: str

    def get(self, path: str, token: str | None = None, method: str = "GET") -> int:
        """Ask for a path with this token; the status, redirections not followed."""
        headers = {"Authorization": f"token {token}"} if token is not None else {}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        try:
            with OPENER.open(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    @property
    def pid(self) -> int:
        component = next(c for c in self.lab.status()["components"] if c["name"] == "jupyterlab")
        return int(component["pid"])


class NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirection)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab as a learner starts it whose own settings are careless."""
    folder = tmp_path_factory.mktemp("jupyter")
    for name in ("jupyter_config.json", "jupyter_server_config.json"):
        (folder / name).write_text(json.dumps(HOSTILE))
    # its sockets lie there, whose paths may have about 100 letters
    runtime = tempfile.mkdtemp(prefix="j", dir="/tmp")
    more = {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_TOKEN": "", "JUPYTER_RUNTIME_DIR": runtime}
    lab = Lab("jupyter", environment(folder, "jupyter") | more)
    try:
        done = lab.gpulab("lab", "--no-browser", "--detach")
        assert done.returncode == 0, done.stderr
        url = done.stderr.splitlines()[-1].removeprefix("JupyterLab: ")
        parts = urllib.parse.urlsplit(url)
        token = urllib.parse.parse_qs(parts.query)["token"][0]
        yield Server(lab, done, f"http://{parts.netloc}", token)
    finally:
        lab.gpulab("down", "--delete")
        shutil.rmtree(runtime, ignore_errors=True)


def test_it_serves_the_first_lesson_and_the_cluster_is_ready(server: Server) -> None:
    lesson = "course/00-start-here.ipynb"
    assert lesson in server.done.stderr.splitlines()[-1]
    assert server.get(f"/api/contents/{lesson}", server.token) == 200
    found = server.lab.status()
    assert found["ready"]
    assert found["jupyterlab"] == server.done.stderr.splitlines()[-1].removeprefix("JupyterLab: ")
    assert found["components"][-1]["health"] == "ok"


@pytest.mark.parametrize("path", ["/lab", "/api/contents", "/api/kernels", "/files/course"])
@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_without_the_token_it_serves_nothing(server: Server, path: str, token: str | None) -> None:
    assert server.get(path, token) in (302, 401, 403)


def test_without_the_token_nobody_starts_a_kernel_or_a_terminal(server: Server) -> None:
    for path in ("/api/kernels", "/api/terminals"):
        assert server.get(path, method="POST") in (302, 401, 403)
    assert not psutil.Process(server.pid).children(recursive=True)


def test_the_token_is_not_on_any_command_line(server: Server) -> None:
    """Every user of the machine can read those."""
    assert len(server.token) >= 24
    words = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    assert not [line for line in words if server.token in line]


def test_a_second_start_shows_the_running_one(server: Server) -> None:
    pid = server.pid
    again = server.lab.gpulab("lab", "--no-browser", "--detach")
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1] == server.done.stderr.splitlines()[-1]
    assert server.pid == pid


def test_a_notebook_has_kubectl_and_the_cluster(server: Server) -> None:
    code = (
        "import os, shutil, sys\n"
        "print(os.environ['KUBECONFIG'], shutil.which('kubectl'), shutil.which('gpulab'))\n"
        "print(sys.executable)\n"
        "!kubectl get nodes --no-headers | wc -l\n"
    )
    kubeconfig, kubectl, gpulab, python, nodes = asyncio.run(in_kernel(server, code)).split()
    assert kubeconfig == str(server.lab.kubeconfig)
    assert Path(kubectl).is_relative_to(server.lab.root)
    assert Path(gpulab).parent == Path(python).parent
    assert nodes == "5"


async def in_kernel(server: Server, code: str) -> str:
    """Run a cell in a new kernel, as the browser does; what it printed."""
    headers = {"Authorization": f"token {server.token}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as http:
        async with http.post("/api/kernels", json={}) as answer:
            kernel = (await answer.json())["id"]
        try:
            async with http.ws_connect(f"/api/kernels/{kernel}/channels") as channels:
                await channels.send_json(execute_request(code))
                return await asyncio.wait_for(printed(channels), 60)
        finally:
            await http.delete(f"/api/kernels/{kernel}")


def execute_request(code: str) -> dict[str, Any]:
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    header |= {"username": "", "session": uuid.uuid4().hex}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
    content |= {"allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "content": content, "channel": "shell"}
    return message | {"parent_header": {}, "metadata": {}}


async def printed(channels: aiohttp.ClientWebSocketResponse) -> str:
    text = ""
    async for frame in channels:
        message = frame.json()
        kind, content = message["header"]["msg_type"], message["content"]
        assert kind != "error", content
        if kind == "stream":
            text += content["text"]
        if kind == "execute_reply":
            return text
    raise AssertionError("the kernel went away")


def test_a_terminal_has_kubectl_gpulab_and_the_cluster_too(server: Server) -> None:
    """Also where the system's shell profile sets PATH anew, as Debian's does."""
    line = "command -v kubectl; command -v gpulab; echo $KUBECONFIG; kubectl get nodes -o name"
    text = asyncio.run(in_terminal(server, line))
    lines = re.sub(r"\x1b\[\?2004[hl]|\r", "", text).splitlines()
    wanted = (server.lab.root / "bin" / "kubectl", GPULAB, server.lab.kubeconfig, "node/h100-1")
    for each in map(str, wanted):  # a line may begin with the prompt, if the shell was slow
        assert any(line.endswith(each) for line in lines), text


async def in_terminal(server: Server, line: str) -> str:
    headers = {"Authorization": f"token {server.token}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as http:
        async with http.post("/api/terminals") as answer:
            name = (await answer.json())["name"]
        async with http.ws_connect(f"/terminals/websocket/{name}") as terminal:
            await terminal.send_json(["stdin", f"{line}; echo en''d\r"])
            text = await asyncio.wait_for(until_end(terminal), 60)
        await http.delete(f"/api/terminals/{name}")
        return text


async def until_end(terminal: aiohttp.ClientWebSocketResponse) -> str:
    text = ""
    async for frame in terminal:
        kind, *rest = frame.json()
        text += rest[0] if kind == "stdout" else ""
        if "\nend" in text:
            break
    return text


def test_server_kernels_and_terminals_listen_on_loopback_only(server: Server) -> None:
    headers = {"Authorization": f"token {server.token}"}
    request = urllib.request.Request(f"{server.url}/api/kernels", b"{}", headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201
    parent = psutil.Process(server.pid)
    eventually(lambda: parent.children(recursive=True))
    listening = {
        connection.laddr.ip
        for process in (parent, *parent.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {LOOPBACK}


def test_asking_whether_it_serves_leaves_no_connection_open(server: Server) -> None:
    """Warnings are errors here, so a connection that is left to the collector fails this."""
    paths = LabPaths(server.lab.name, server.lab.root)
    assert jupyter.serves(paths)
    gc.collect()


def test_the_learners_notebooks_are_there_and_nobody_else_may_look(server: Server) -> None:
    work = server.lab.work
    assert (work / "course" / "00-start-here.ipynb").is_file()
    assert (work / "exercises" / "01-deploy-gpu-pod" / "exercise.ipynb").is_file()
    assert work.stat().st_mode & 0o077 == 0


def test_down_stops_it_with_its_kernels_and_keeps_the_work(server: Server) -> None:
    """The last test of this server."""
    (server.lab.work / "mine.txt").write_text("mine")
    parent = psutil.Process(server.pid)
    everybody = [parent, *parent.children(recursive=True)]
    assert server.lab.gpulab("down").returncode == 0
    eventually(lambda: not [each.pid for each in everybody if is_running(each.pid)])
    found = server.lab.status()
    assert (found["state"], found["jupyterlab"]) == ("stopped", None)
    assert (server.lab.work / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_in_the_foreground_a_signal_ends_jupyterlab_and_leaves_the_cluster(
    spare_lab: Lab, number: signal.Signals
) -> None:
    """Ctrl-C, and a terminal that is closed."""
    with spare_lab.begin("lab", "--no-browser") as running:
        try:
            pid = eventually(lambda: serving(spare_lab), 60)
            assert running.poll() is None
        finally:
            running.send_signal(number)
        _, stderr = running.communicate(timeout=30)
    assert running.returncode == 0, stderr
    assert "token=" in stderr
    assert not is_running(pid)
    found = spare_lab.status()
    assert (found["ready"], found["jupyterlab"]) == (True, None)


def serving(lab: Lab) -> int | None:
    """Pid of a JupyterLab that answers."""
    healthy = [c for c in lab.status()["components"] if c["health"] == "ok"]
    return next((c["pid"] for c in healthy if c["name"] == "jupyterlab"), None)


def test_a_taken_port_is_named_and_another_one_can_be_chosen(lab: Lab) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = str(other.getsockname()[1])
        done = lab.gpulab("lab", "--no-browser", "--detach", "--port", port)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    what, do = done.stderr.splitlines()[-2:]
    assert what == f"gpulab: port {port} is in use by another program"
    assert "--port" in do
    assert lab.status()["jupyterlab"] is None


def test_a_learners_folder_that_is_a_file_is_refused_in_two_lines(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "work"
    file.write_text("precious")
    other = Lab(lab.name, lab.env | {"GPULAB_WORK": str(file)})
    done = other.gpulab("lab", "--no-browser", "--detach")
    assert done.returncode == 2
    assert str(file) in done.stderr.splitlines()[-2]
    assert "GPULAB_WORK" in done.stderr.splitlines()[-1]
    assert file.read_text() == "precious"
