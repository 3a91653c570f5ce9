"""Builds the control plane from Go modules, and says how far it is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from autograders.errors import InputError
from gpulab.binaries import disk
from gpulab.binaries.cache import Cache
from gpulab.paths import DATA
from gpulab.versions import Group, versions

NEEDED_GIB = 7  # module cache 1.4, build cache 3.6, binaries 0.6, and room to link
VARIABLES = "GPULAB_CACHE, GOCACHE and GOMODCACHE"
GO_DEV = "https://go.dev/dl"
console = Console(stderr=True)


def fill(cache: Cache, missing: Mapping[str, Group]) -> None:
    """Refuse early what cannot end well; say beforehand what is built and how long it takes."""
    go = _go()
    folders = {cache.root, _go_env(go, "GOCACHE"), _go_env(go, "GOMODCACHE")}
    disk.check(folders, NEEDED_GIB, "building the control plane", VARIABLES)
    programs = [program for group in missing.values() for program in group.programs]
    console.print(
        f"Building {', '.join(programs)} from their Go modules: about 7 minutes on 2 cores, "
        "once. Ctrl-C stops it; the next try goes on where this one stopped."
    )
    for name, group in missing.items():
        cache.fill(name, group, build)
    console.print(
        "Built. Go's own caches are no longer needed: "
        "`go clean -cache -modcache` frees about 5 GB, for all your Go projects."
    )


def build(name: str, group: Group, folder: Path) -> None:
    """Build one group's programs into `folder`."""
    go, module = _go(), DATA / "controlplane" / name
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(folder), "GOWORK": "off"}
    packages = _output(
        [go, "list", "-deps", "-f", "{{.ImportPath}}", "tool"], module, environment
    ).splitlines()
    command = [go, "install", "-v", "-buildvcs=false", "-trimpath", "-ldflags", _flags(name, group)]
    with _progress() as progress:
        task = progress.add_task(f"{name} {group.version}", total=len(packages), note="")
        known, lines = set(packages), []
        for line in _lines([*command, "tool"], module, environment):
            lines.append(line)
            if line in known:
                progress.advance(task)
            progress.update(task, note=_note(line))
        progress.update(task, completed=len(packages), note="done")
    if name == "etcd":  # `go install` names a program for its folder
        (folder / "server").rename(folder / "etcd")


def _progress() -> Progress:
    columns = (
        TextColumn("  {task.description:<19}"),
        BarColumn(30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    return Progress(*columns, console=console)


def _note(line: str) -> str:
    return line.removeprefix("go: ")[:40]


def _flags(name: str, group: Group) -> str:
    """Link flags; a Kubernetes program reads its version from them."""
    if name != "kubernetes":
        return "-s -w"
    major, minor, _ = group.version.split(".")
    package = "k8s.io/component-base/version"
    return (
        f"-s -w -X {package}.gitVersion=v{group.version}"
        f" -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )


def _go() -> str:
    """Path of a `go` that is new enough."""
    wanted = versions().go.version
    go = shutil.which("go")
    if go is None:
        raise InputError(
            "the control plane has to be built once, and there is no `go` on PATH",
            f"install Go {wanted} or newer from {GO_DEV}, then try again",
        )
    found = _go_version(go)
    if found < tuple(map(int, wanted.split("."))):
        raise InputError(
            f"{go} is Go {'.'.join(map(str, found))}, too old to build the control plane",
            f"install Go {wanted} or newer from {GO_DEV}, then try again",
        )
    return go


def _go_version(go: str) -> tuple[int, ...]:
    text = _output([go, "env", "GOVERSION"], DATA, os.environ | {"GOTOOLCHAIN": "local"})
    match = re.match(r"go(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else (0, 0)


def _go_env(go: str, name: str) -> Path:
    return Path(_output([go, "env", name], DATA, os.environ).strip())


def _output(command: list[str], cwd: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise _failure(done.stderr.splitlines() or [f"{command[0]} failed"])
    return done.stdout


def _lines(command: list[str], cwd: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """What the command prints, line by line; its whole process group ends with this generator."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        seen: list[str] = []
        try:
            for line in process.stdout:
                seen.append(line.rstrip())
                yield seen[-1]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    if process.returncode:
        raise _failure(seen)


def _failure(lines: list[str]) -> InputError:
    """The one thing that a person can do about what `go` printed last."""
    text = "\n".join(lines)
    last = lines[-1] if lines else "no output"
    if "no space left on device" in text:
        return InputError("the disk is full", f"free {NEEDED_GIB} GiB, then try again")
    if re.search(r"dial tcp|lookup .* no such host|connection refused|i/o timeout", text):
        return InputError(
            f"Go cannot reach its module proxy: {last}",
            "check the network and GOPROXY, then try again",
        )
    return InputError(f"building failed: {last}", "try again; if it stays, report that line")
