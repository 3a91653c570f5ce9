"""Docker's command line, and what a person can do when it refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import msgspec

from autograders.errors import InputError
from gpulab.ports import is_free

SECONDS = 60.0
NETWORK = "kind"  # kind's own name for the network of all its clusters
MEMORY_GIB, DISK_GIB = 2, 3  # two nodes use 0.7 GiB at rest; their image has 1 GiB unpacked
EMBEDDED = "take a lab that needs no Docker: gpulab up --provider embedded"
DENIED = re.compile(r"permission denied", re.IGNORECASE)
SILENT = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
    r"|unexpected EOF|failed to connect to the docker|docker\.sock: connect",
    re.IGNORECASE,
)


class Info(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker info` says of the daemon; sizes in bytes."""

    cgroup_version: str = "2"
    mem_total: int = 0
    docker_root_dir: str = ""


class Container(msgspec.Struct, frozen=True):
    """One container; `mounts` are folders of this machine by where they are in it.

    `address` is the IPv4 address on kind's network, or empty.
    """

    name: str
    running: bool
    pid: int | None
    mounts: dict[str, str]
    address: str


def run(*arguments: str, given: str | None = None, within: float = SECONDS) -> str:
    """What docker prints; InputError with the next step if it fails."""
    if shutil.which("docker") is None:
        raise InputError("there is no docker on PATH", f"install Docker, or {EMBEDDED}")
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=given if given is not None else "",
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        what = f"docker {arguments[0]} did not end within {within:.0f} s"
        raise InputError(what, "look whether Docker works: docker ps") from None
    if done.returncode:
        raise failure(f"docker {arguments[0]}", done.stderr)
    return done.stdout


def failure(command: str, said: str) -> InputError:
    """The one thing that a person can do about what Docker, or kind, has printed."""
    if DENIED.search(said) and "docker" in said.lower():
        do = "join its group, `sudo usermod -aG docker $USER`, and log in again"
        return InputError("this user may not use Docker: permission denied", f"{do}; or {EMBEDDED}")
    if SILENT.search(said):
        return InputError("Docker does not answer", f"start it, then try again; or {EMBEDDED}")
    lines = [line for line in said.strip().splitlines() if line.strip()]
    last = lines[-1].removeprefix("Error response from daemon: ") if lines else "no output"
    return InputError(f"{command} failed: {last[:300]}", "look whether Docker works: docker ps")


def info() -> Info:
    """Ask the daemon about itself; InputError if it does not answer."""
    said = run("info", "--format", "{{json .}}")
    errors = json.loads(said).get("ServerErrors") or ()
    if errors:
        raise failure("docker info", "\n".join(errors))
    return msgspec.json.decode(said, type=Info)


def expect_room(found: Info) -> None:
    """Refuse early what little memory or disk would end."""
    if found.mem_total < MEMORY_GIB * 2**30:
        have = found.mem_total / 2**30
        what = f"Docker has {have:.1f} GiB of memory; a kind cluster needs {MEMORY_GIB} GiB"
        raise InputError(what, f"give Docker more, or {EMBEDDED}")
    root = Path(found.docker_root_dir)
    if root.is_dir():
        free = shutil.disk_usage(root).free / 2**30
        if free < DISK_GIB:
            what = f"{root} has {free:.1f} GiB free; a kind cluster needs {DISK_GIB} GiB"
            raise InputError(what, f"free some space (docker system df), or {EMBEDDED}")


def containers(label: str) -> list[Container]:
    """All containers with a label, running or not, in the order of their names."""
    ids = run("ps", "--all", "--quiet", "--filter", f"label={label}").split()
    found = [each for one in ids for each in _inspect(one)]
    return sorted(map(_container, found), key=lambda each: each.name)


def _inspect(container: str) -> list[dict[str, Any]]:
    """One that somebody has removed since it was listed is none."""
    try:
        found: list[dict[str, Any]] = json.loads(run("inspect", container))
        return found
    except InputError as error:
        if "No such object" in error.what:
            return []
        raise


def _container(found: dict[str, Any]) -> Container:
    state = found["State"]
    return Container(
        name=found["Name"].lstrip("/"),
        running=bool(state["Running"]),
        pid=state["Pid"] or None,
        mounts={each["Destination"]: each.get("Source", "") for each in found["Mounts"]},
        address=found["NetworkSettings"]["Networks"].get(NETWORK, {}).get("IPAddress", ""),
    )


def gateway() -> str:
    """Return the IPv4 address that this machine has on the network of kind's nodes."""
    networks = json.loads(run("network", "inspect", NETWORK))
    found: list[str] = [each.get("Gateway", "") for each in networks[0]["IPAM"]["Config"] or ()]
    address = next((each for each in found if "." in each), None)
    if address is None or not is_free(0, address):
        what = f"the address {address or 'of the bridge'} of Docker's network {NETWORK!r} is not on"
        raise InputError(
            f"{what} this machine, as with Docker Desktop, rootless or remote Docker",
            f"use a Docker daemon of this very machine, or {EMBEDDED}",
        )
    return address


def image_file(image: str, path: str) -> str | None:
    """The text of a file of an image, of which nothing is run; None if it has no such file."""
    made = run("create", "--network", "none", image, "nothing").strip()
    try:
        copied = run("cp", f"{made}:{path}", "-")
    except InputError as error:
        if "could not find" not in error.what.lower():
            raise
        return None
    finally:
        run("rm", made)
    with tarfile.open(fileobj=io.BytesIO(copied.encode())) as archive:
        member = archive.extractfile(archive.next() or tarfile.TarInfo())
        return member.read().decode().strip() if member else None


def has_image(image: str) -> bool:
    return bool(run("images", "--quiet", image).strip())
