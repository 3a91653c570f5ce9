"""`--source`: download, build, a folder; what each needs, and what it says when it cannot."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpulab import binaries
from gpulab.binaries.releases import assets, here
from gpulab.versions import versions
from tests.conftest import Done, Lab, environment, eventually, run_clone, said
from tests.releases import Releases, digests, serving, sha256, sums, tar_gz

ALL = sorted(program for group in versions().groups.values() for program in group.programs)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Releases]:
    with serving(tmp_path / "pki") as found:
        yield found


@pytest.fixture
def learner(server: Releases, clone: Path, tmp_path: Path) -> Lab:
    """A learner with an empty cache, no Go on PATH, and a server with the real names."""
    serve_everything(server, {program: script(program) for program in ALL})
    forget_pins(clone)
    env = environment(tmp_path, "lab") | server.env
    env |= {"GPULAB_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    env |= {"PYTHONPATH": f"{clone}:{clone / 'cluster-setup'}"}  # for what is not run_clone()
    return Lab("lab", env)


def script(program: str) -> bytes:
    versions_ = {p: g.version for g in versions().groups.values() for p in g.programs}
    return f"#!/bin/sh\necho {program} v{versions_[program]}\n".encode()


def forget_pins(clone: Path) -> None:
    """The pinned sums are those of the files that the projects publish."""
    file = clone / "cluster-setup" / "versions.toml"
    lines = file.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(('"linux-', '"darwin-'))]
    assert len(kept) < len(lines)
    file.write_text("\n".join(kept))


def serve_everything(server: Releases, programs: dict[str, bytes]) -> None:
    """Each file under the name that it has on the internet."""
    for name, each in versions().groups.items():
        contents = {}
        for asset in assets(name, each, here()):
            inside = {
                f"{asset.file.removesuffix('.tar.gz')}/{p}": programs[p] for p in asset.programs
            }
            content = (
                tar_gz(inside) if asset.file.endswith(".tar.gz") else programs[asset.programs[0]]
            )
            contents[asset.file] = content
            server.files[asset.url.removeprefix("https://")] = content
            if asset.checksums.endswith(".sha256"):
                text = sha256(content).encode()
            else:
                text = (sums if asset.checksums.endswith("SUMS") else digests)(contents)
            server.files[asset.checksums.removeprefix("https://")] = text


MAKE = (  # what `gpulab up` does first
    "import sys; from gpulab.cli import run; from gpulab.cli.app import app; "
    "from gpulab import binaries; "
    "app.command('make')(lambda source: print(binaries.ensure(source or None))); "
    "sys.exit(run.run(['make', sys.argv[1]]))"
)


def make(learner: Lab, clone: Path, source: str) -> Done:
    return run_clone(clone, learner, source, command=MAKE)


def cached(learner: Lab) -> list[str]:
    return sorted(path.name for path in Path(learner.env["GPULAB_CACHE"]).glob("bin/*/*"))


@pytest.mark.parametrize("source", ["download", ""])
def test_without_go_everything_is_downloaded(learner: Lab, clone: Path, source: str) -> None:
    done = make(learner, clone, source)
    assert done.returncode == 0, done.stderr
    assert cached(learner) == ALL
    assert "Downloading kube-apiserver" in done.stderr
    again = make(learner, clone, source)
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.skipif(Path("/usr/bin/go").exists(), reason="there is a go in /usr/bin")
def test_what_cannot_be_downloaded_is_built_and_one_line_says_why(
    learner: Lab, clone: Path, server: Releases
) -> None:
    for path in [path for path in server.files if "kwokctl" in path]:
        del server.files[path]
    done = make(learner, clone, "")
    assert done.returncode == 2
    why = [line for line in done.stderr.splitlines() if line.startswith("Not downloaded")]
    assert len(why) == 1
    assert "kwok 0.8.0 (127.0.0.1" in why[0]
    assert "404" in why[0]
    assert "no `go` on PATH" in done.stderr.splitlines()[-2]
    assert {"etcd", "kubectl"} <= set(cached(learner))  # those need not be made again


def test_download_alone_never_builds(learner: Lab, clone: Path, server: Releases) -> None:
    server.files.clear()
    done = make(learner, clone, "download")
    assert done.returncode == 2
    assert "not downloaded: kubernetes" in done.stderr.splitlines()[-2]
    assert "--source build" in done.stderr.splitlines()[-1]
    assert "Building" not in done.stderr


def test_build_alone_never_asks_the_network(learner: Lab, clone: Path, server: Releases) -> None:
    done = make(learner, clone, "build")
    assert done.returncode == 2
    assert server.asked == []


def test_a_source_can_be_chosen_by_the_environment(
    learner: Lab, clone: Path, server: Releases
) -> None:
    learner.env["GPULAB_SOURCE"] = "build"
    make(learner, clone, "")
    assert server.asked == []


@pytest.mark.parametrize("command", ["up", "lab"])
def test_a_source_that_is_none_is_refused(no_lab: Lab, command: str) -> None:
    what, do = said(no_lab.gpulab(command, "--source", "dowload"))
    assert "'dowload' is no source" in what
    assert "download, build or a folder" in do


def test_a_mirror_without_tls_is_refused(learner: Lab, clone: Path, server: Releases) -> None:
    learner.env["GPULAB_MIRROR"] = "http://127.0.0.1:1"
    done = make(learner, clone, "download")
    assert done.returncode == 2
    assert "GPULAB_MIRROR" in done.stderr.splitlines()[-2]
    assert "https://" in done.stderr.splitlines()[-1]


def test_ctrl_c_keeps_what_has_arrived_and_nothing_else(
    learner: Lab, clone: Path, server: Releases
) -> None:
    slow = next(path for path in server.files if path.endswith("/kube-scheduler"))
    server.files[slow] = b"#" * 100_000
    server.faults[slow] = "slow"
    started = learner.begin("up", "--source", "download")
    eventually(lambda: (slow, None) in server.asked)
    time.sleep(1)
    began = time.monotonic()
    started.send_signal(signal.SIGINT)
    _, stderr = started.communicate(timeout=20)
    assert time.monotonic() - began < 5  # sooner than a slow source is given up
    assert started.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert list(Path(learner.env["GPULAB_CACHE"]).glob("bin/kubernetes-*")) == []
    assert any(path.stat().st_size for path in parts(learner) if "kube-scheduler" in path.name)


def parts(learner: Lab) -> list[Path]:
    return list(Path(learner.env["GPULAB_CACHE"]).glob("bin/.downloading/*"))


# -- a folder


def folder_of(tmp_path: Path, sub: str = "") -> Path:
    folder = tmp_path / "given"
    for program in ALL:
        path = folder / sub / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(script(program))
        path.chmod(0o755)
    return folder


@pytest.mark.parametrize("sub", ["", "below"])
def test_a_folder_is_a_source_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sub: str
) -> None:
    folder = folder_of(tmp_path, sub)
    monkeypatch.setenv("GPULAB_CACHE", str(tmp_path / "cache"))
    found = binaries.ensure(str(folder))
    shutil.rmtree(folder)  # they were copied
    assert sorted(found) == ALL
    assert found["etcd"].read_bytes() == script("etcd")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "holds no kubectl"),
        (lambda path: path.chmod(0o644), "holds no kubectl"),
        (lambda path: path.write_text("#!/bin/sh\necho v1.2.3\n"), "says 'v1.2.3', not version"),
        (lambda path: path.write_bytes(b"\x7fELF of another machine"), "cannot be run"),
    ],
)
def test_a_folder_that_lacks_a_program_is_refused(
    no_lab: Lab, tmp_path: Path, spoil: object, words: str
) -> None:
    folder = folder_of(tmp_path)
    spoil(folder / "kubectl")  # type: ignore[operator]
    env = no_lab.env | {"GPULAB_CACHE": str(tmp_path / "cache")}
    what, do = said(Lab("lab", env).gpulab("up", "--source", str(folder)))
    assert words in what
    assert versions().kubernetes.version in do
    assert cached(Lab("lab", env)) == []


# -- all of it


@pytest.mark.live
def test_a_download_starts_a_working_lab_without_go(
    learner: Lab, clone: Path, server: Releases
) -> None:
    """The server has the programs of the cache; nothing on PATH could make them."""
    programs = binaries.ensure()
    assert shutil.which("go", path=learner.env["PATH"]) is None
    serve_everything(server, {name: path.read_bytes() for name, path in programs.items()})
    try:
        up = run_clone(clone, learner, "up", "--source", "download", seconds=240)
        assert up.returncode == 0, up.stderr
        assert "is ready" in up.stderr
        assert "programs are there (" in up.stderr  # the two times are told apart
        status = run_clone(clone, learner, "status")
        assert status.returncode == 0, status.stdout
    finally:
        down = run_clone(clone, learner, "down", "--delete")
    assert down.returncode == 0, down.stderr
