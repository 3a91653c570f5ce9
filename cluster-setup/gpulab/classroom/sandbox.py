"""kubectl with a submission's lines and files, shut in by bubblewrap.

Inside there are the submission's own files, kubectl, a kubeconfig, and one port of loopback; no
network, no other process, no other file of this machine's users.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from autograders.errors import InputError
from gpulab import binaries
from gpulab.classroom import inside
from gpulab.classroom.relay import relay

INSTALL = "install it: apt-get install bubblewrap (dnf, pacman and zypper call it so, too)"
KIT = "gpulab-kit-"
NOBODY = 65534
SECONDS = 120.0
"""For all lines of one submission."""
GRACE = 15.0
"""More, until what does not end by itself is killed."""
LARGEST_OUTPUT = 1024 * 1024
"""Bytes that are read of what comes out."""
LIMITS = {
    "nproc": 512,  # threads of this user, kubectl's and the relay's among them
    "as": 3 * 2**30,  # Go sets much aside that it never touches; GOMEMLIMIT is the nearer bound
    "fsize": 4 * 2**20,
    "nofile": 512,
    "cpu": 90,
    "core": 0,
}
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
STEP_DOWN = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
Line = Sequence[str]


@dataclass(frozen=True)
class Kit:
    """What every sandbox of a batch shares: programs that another user can read."""

    folder: Path
    user: int | None
    """Whom it runs as, when the grader is root; else as the grader."""


def expect() -> None:
    """There is no way to run a submission's lines without it."""
    for program in ("bwrap", "prlimit", *(["setpriv"] if os.geteuid() == 0 else [])):
        if not shutil.which(program):
            package = "bubblewrap" if program == "bwrap" else "util-linux"
            what = f"{package} is not installed, and submissions are not run without it"
            raise InputError(what, INSTALL.replace("bubblewrap", package))


@contextmanager
def kit() -> Iterator[Kit]:
    """Lay the programs out once."""
    expect()
    user = NOBODY if os.geteuid() == 0 else None
    sweep()
    with tempfile.TemporaryDirectory(prefix=f"{KIT}{os.getpid()}-") as made:
        folder = Path(made)
        shutil.copyfile(binaries.ensure()["kubectl"], folder / "kubectl")
        shutil.copyfile(inside.__file__, folder / "inside.py")
        (folder / "kubectl").chmod(0o555)
        (folder / "inside.py").chmod(0o444)
        folder.chmod(0o711)  # another user must get through to its own folder, and lists nothing
        yield Kit(folder, user)


def sweep() -> None:
    """Remove what a killed grader has left."""
    for each in Path(tempfile.gettempdir()).glob(f"{KIT}*"):
        pid = each.name.removeprefix(KIT).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and each.stat().st_uid == os.geteuid():
            shutil.rmtree(each, ignore_errors=True)


def run(shared: Kit, files: Path, kubeconfig: Path, port: int, lines: Sequence[Line]) -> list[str]:
    """Run the lines; for each that did not work, what it was and what kubectl said."""
    if not lines:
        return []
    with tempfile.TemporaryDirectory(prefix="s-", dir=shared.folder) as made:
        place = Path(made)
        shutil.copytree(files, place / "work")
        (place / "kubeconfig").write_text(self_contained(kubeconfig))
        with relay(place / "relay.sock", port, shared.user):
            if shared.user is not None:
                for each in (place, *place.rglob("*")):
                    os.chown(each, shared.user, shared.user)
            found = spoken(command(shared, place, port), json.dumps([list(one) for one in lines]))
    return told(lines, found)


def told(lines: Sequence[Line], found: list[dict[str, object]]) -> list[str]:
    said = [
        f"replay: kubectl {' '.join(line)}: {one['said']}"
        for line, one in zip(lines, found, strict=False)
        if one["code"] != 0
    ]
    if len(found) < len(lines):
        left = " ".join(lines[len(found)])
        said.append(f"replay: time, memory or output ran out; left from kubectl {left}")
    return said


def command(shared: Kit, place: Path, port: int) -> list[str]:
    """Limits, then walls, then another user where the grader is root."""
    limits = [f"--{name}={value}" for name, value in LIMITS.items()]
    interpreter = os.path.realpath(sys.executable)
    return [
        *("prlimit", *limits, "bwrap", *walls(shared.user)),
        *("--die-with-parent", "--new-session", "--clearenv", "--setenv", "HOME", "/tmp"),
        *(word for each in places() for word in ("--perms", "0755", "--dir", each)),
        *(word for each in system() for word in ("--ro-bind", each, each)),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(64 * 2**20), "--tmpfs", "/tmp"),
        *("--chmod", "1777", "/tmp"),
        *("--ro-bind", str(place / "work"), "/work", "--chdir", "/"),
        *("--ro-bind", str(place / "kubeconfig"), "/gpulab/kubeconfig"),
        *("--ro-bind", str(place / "relay.sock"), "/gpulab/relay.sock"),
        *("--ro-bind", str(shared.folder / "kubectl"), "/gpulab/kubectl"),
        *("--ro-bind", str(shared.folder / "inside.py"), "/gpulab/inside.py"),
        *demoted(shared.user),
        *(interpreter, "-I", "/gpulab/inside.py", str(port), str(SECONDS)),
    ]


def walls(user: int | None) -> list[str]:
    """Namespaces; root needs none for users, and keeps for one step what makes it another."""
    if user is None:
        return ["--unshare-all", "--cap-drop", "ALL"]
    apart = [f"--unshare-{each}" for each in ("ipc", "pid", "net", "uts", "cgroup-try")]
    kept = [word for each in STEP_DOWN for word in ("--cap-add", each)]
    return [*apart, "--cap-drop", "ALL", *kept]


def demoted(user: int | None) -> list[str]:
    if user is None:
        return []
    ids = (f"--reuid={user}", f"--regid={user}", "--clear-groups")
    return ["/usr/bin/setpriv", *ids, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def system() -> list[str]:
    """What programs need: libraries, and this Python."""
    python = Path(sys.base_prefix)
    found = [each for each in SYSTEM if Path(each).exists()]
    return found if python.is_relative_to("/usr") else [*found, str(python)]


def places() -> list[str]:
    """Folders above what is bound: whoever it runs as must get through them."""
    above = {each for one in (*system(), "/gpulab/x", "/work") for each in Path(one).parents}
    return sorted(map(str, above - {Path("/")}))


def spoken(words: list[str], given: str) -> list[dict[str, object]]:
    """Run it to its end; of what it prints no more is read than a grader can hold."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=complaint,
            text=True,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        try:
            process.communicate(given, timeout=SECONDS + GRACE)
        except subprocess.TimeoutExpired:
            process.kill()  # bubblewrap dies, and with it everything in its PID namespace
            process.wait()
        out.seek(0)
        found = parsed(out.read(LARGEST_OUTPUT).decode(errors="replace"))
        if process.returncode and not found:
            complaint.seek(0)
            said = complaint.read(2000).decode(errors="replace").strip().splitlines()
            raise SandboxBroken(said[-1] if said else f"exit code {process.returncode}")
        return found


class SandboxBroken(Exception):
    """Bubblewrap itself did not come up: nobody's submission is at fault."""


def parsed(text: str) -> list[dict[str, object]]:
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def self_contained(kubeconfig: Path) -> str:
    """The kubeconfig with what its files hold, for inside there are no such files."""
    document = yaml.safe_load(kubeconfig.read_text())
    for part in (document["clusters"][0]["cluster"], document["users"][0]["user"]):
        for key in FILES & part.keys():
            data = Path(part.pop(key)).read_bytes()
            part[f"{key}-data"] = base64.b64encode(data).decode()
    return str(yaml.safe_dump(document))


FILES = frozenset({"certificate-authority", "client-certificate", "client-key"})
