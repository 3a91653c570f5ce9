"""JupyterLab on the learner's folder: on loopback, with a token, kubectl and KUBECONFIG set."""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec

from autograders.errors import InputError
from gpulab.lab import Record
from gpulab.paths import LabPaths, private_dir, work
from gpulab.ports import LOOPBACK, is_free
from gpulab.private import write_private
from gpulab.processes import ProcessFile
from gpulab.waiting import eventually

FIRST = "course/00-start-here.ipynb"
PORTS = range(8888, 8988)
START_SECONDS = 90.0
# On a learner's first start, JupyterLab neither asks about news nor looks for them.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


def start(paths: LabPaths, record: Record, kubectl: Path, port: int | None) -> str:
    """Start JupyterLab detached, wait until it serves, return its URL; the same if it runs."""
    running = url(paths)
    if running is not None and serves(paths):
        return running
    chosen = _choose(port)
    token = secrets.token_urlsafe(24)
    folder = private_dir(paths.root / "jupyter")
    config = folder / "config.json"
    write_private(config, msgspec.json.encode(_settings(chosen, token, folder)))
    write_private(folder / "overrides.json", msgspec.json.encode(OVERRIDES))
    _install_kernel()
    process(paths).start(
        [sys.executable, "-m", "jupyterlab", f"--config={config}"],
        paths.logs / "jupyterlab.log",
        env=environment(paths, kubectl),
        port=chosen,
    )
    log = paths.logs / "jupyterlab.log"
    eventually(lambda: _missing(paths, log), START_SECONDS, f"read the last lines of {log}")
    found = url(paths)
    assert found is not None
    return found


def stop(paths: LabPaths) -> bool:
    """End JupyterLab with its kernels and terminals; False if it did not run."""
    return process(paths).stop()


def process(paths: LabPaths) -> ProcessFile:
    return ProcessFile(paths.processes / "jupyterlab.json")


def url(paths: LabPaths) -> str | None:
    """Where a running JupyterLab is to be opened, with its token."""
    running = process(paths).read()
    if running is None:
        return None
    return f"http://{LOOPBACK}:{running.port}/lab/tree/{FIRST}?token={_token(paths)}"


def serves(paths: LabPaths) -> bool:
    """Whether JupyterLab answers a request that shows the token."""
    running = process(paths).read()
    if running is None or running.port is None:
        return False
    try:
        with closing(http.client.HTTPConnection(LOOPBACK, running.port, timeout=5)) as connection:
            connection.request("GET", "/lab", headers={"Authorization": f"token {_token(paths)}"})
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def environment(paths: LabPaths, kubectl: Path) -> dict[str, str]:
    """What notebooks and terminals need: kubectl and gpulab on PATH, KUBECONFIG, the lab's name."""
    tools = private_dir(paths.root / "bin")
    link = tools / "kubectl"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(kubectl)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {
        "PATH": path,
        "KUBECONFIG": str(paths.kubeconfig),
        "GPULAB_NAME": paths.name,
    }


def _missing(paths: LabPaths, log: Path) -> str | None:
    if process(paths).read() is None:
        raise InputError("JupyterLab ended while it started", f"read the last lines of {log}")
    return None if serves(paths) else "no JupyterLab"


def _choose(port: int | None) -> int:
    if port is not None:
        if not is_free(port):
            raise InputError(
                f"port {port} is in use by another program",
                "stop that program, or choose another port with --port",
            )
        return port
    free = next((port for port in PORTS if is_free(port)), None)
    if free is None:
        raise InputError(
            f"no port from {PORTS.start} to {PORTS.stop - 1} is free", "choose one with --port"
        )
    return free


def _settings(port: int, token: str, folder: Path) -> dict[str, dict[str, object]]:
    return {
        "ServerApp": {
            "ip": LOOPBACK,
            "port": port,
            "port_retries": 0,
            "open_browser": False,
            "root_dir": str(work()),
            "default_url": f"/lab/tree/{FIRST}",
            "allow_root": os.geteuid() == 0,
            # no login shell: the system's profile may set PATH anew, and kubectl would be another
            "terminado_settings": {"shell_command": [os.environ.get("SHELL", "/bin/sh")]},
        },
        "IdentityProvider": {"token": token},
        "MappingKernelManager": {"default_kernel_name": "gpulab"},
        # files of this user instead of TCP ports, on which any local user could read outputs
        "KernelManager": {"transport": "ipc"},
        "LabApp": {
            "app_settings_dir": str(folder),  # where it looks for overrides.json
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        },
    }


def _token(paths: LabPaths) -> str:
    settings = msgspec.json.decode((paths.root / "jupyter" / "config.json").read_bytes())
    return str(settings["IdentityProvider"]["token"])


def _install_kernel() -> None:
    """Name this environment's kernel in this environment, where JupyterLab finds it."""
    spec = Path(sys.prefix) / "share" / "jupyter" / "kernels" / "gpulab" / "kernel.json"
    if spec.exists():
        return
    command = [sys.executable, "-m", "ipykernel", "install", "--sys-prefix", "--name", "gpulab"]
    done = subprocess.run(
        [*command, "--display-name", "gpulab"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"the Jupyter kernel could not be installed: {last}", "run `make clean`")
