"""Programs beside Python: the control plane's, and those that make, build and test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from autograders.errors import InputError
from gpulab.binaries import BUILD, VARIABLE
from gpulab.binaries.cache import Cache
from gpulab.binaries.releases import assets, here
from gpulab.doctor.line import Line
from gpulab.paths import cache
from gpulab.versions import versions

SECONDS = 10.0
GO_DEV = "https://go.dev/dl"
SANDBOX = ("bwrap", "--ro-bind", "/", "/", "--unshare-net", "true")


def lines(root: Path) -> list[Line]:
    go = _go()
    return [control_plane(go), go, docker(), bubblewrap(), tool("make"), tool("git")]


def control_plane(go: Line) -> Line:
    missing = Cache(cache() / "bin").missing()
    published = all(assets(name, group, here()) for name, group in missing.items())
    may_download = published and os.environ.get(VARIABLE) != BUILD
    way = "it can be downloaded" if may_download else "it can be built"
    can = may_download or go.ok
    there = f"in {cache() / 'bin'}" if not missing else f"{', '.join(missing)} not there yet"
    return Line(
        name="control plane",
        ok=not missing or can,
        needed=True,
        use="the lab",
        found=f"{there}; {way}" if missing and can else there,
        do=f"install Go {versions().go.version} or newer from {GO_DEV}, or name a folder that has "
        "the programs: gpulab up --source FOLDER",
    )


def _go() -> Line:
    wanted = versions().go.version
    said = _ask("go", "env", "GOVERSION", GOTOOLCHAIN="local")
    match = re.match(r"go(\d+)\.(\d+)", said or "")
    version = tuple(map(int, match.groups())) if match else (0, 0)
    return Line(
        name="Go",
        ok=version >= tuple(map(int, wanted.split("."))),
        needed=False,
        use="building the control plane where it cannot be downloaded",
        found=f"{said} ({shutil.which('go')})" if said else "no go on PATH",
        do=f"install Go {wanted} or newer from {GO_DEV}",
    )


def docker() -> Line:
    said = _ask("docker", "version", "--format", "{{.Server.Version}}")
    why = None if said else _refusal()
    return Line(
        name="Docker",
        ok=bool(said),
        needed=False,
        use="labs of the provider kind, and their tests",
        found=f"server {said}" if said else why.what if why else "docker reaches no server",
        do=why.do if why else "install Docker and start it; the usual lab needs none",
    )


def _refusal() -> InputError | None:
    from gpulab.providers.docker import run

    try:
        run("version", within=SECONDS)
    except InputError as error:
        return error
    return None


def bubblewrap() -> Line:
    there = shutil.which("bwrap") is not None
    works = there and _ask(*SANDBOX) is not None
    return Line(
        name="bubblewrap",
        ok=works,
        needed=False,
        use="instructors: running what learners send in without trusting it",
        found="makes a sandbox" if works else "bwrap makes no sandbox" if there else "no bwrap",
        do="install the package bubblewrap; if it is there, allow user namespaces",
    )


def tool(name: str) -> Line:
    path = shutil.which(name)
    return Line(
        name=name,
        ok=path is not None,
        needed=False,
        use="setting up and updating the clone",
        found=path or f"no {name} on PATH",
        do=f"install the package {name}",
    )


def _ask(*command: str, **environment: str) -> str | None:
    """What a program says on its first line; None if it is not there or fails."""
    try:
        done = subprocess.run(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip().partition("\n")[0]
