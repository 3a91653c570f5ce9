"""The control plane's programs: a cache that is whole or empty, and a build that can be stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gpulab.binaries.cache import Cache
from gpulab.versions import Group, versions
from tests.conftest import GPULAB, INTERRUPTIBLE, Done, Lab, eventually, run, said

GROUP = Group(version="1.2.3", programs=("one", "two"), module="example.com/m")
ALL = {program for group in versions().groups.values() for program in group.programs}
NEEDS_GO = pytest.mark.skipif(shutil.which("go") is None, reason="needs go")


def source(name: str, group: Group, folder: Path) -> None:
    for program in group.programs:
        (folder / program).write_text("#!/bin/sh\n")
        (folder / program).chmod(0o755)


# -- the cache


def test_a_filled_group_is_there_and_belongs_to_its_owner(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert not cache.has("g", GROUP)
    cache.fill("g", GROUP, source)
    assert cache.has("g", GROUP)
    assert [path.name for path in tmp_path.iterdir()] == [cache.folder("g", GROUP).name]
    assert cache.folder("g", GROUP).stat().st_mode & 0o077 == 0


def test_a_new_version_does_not_take_the_old_ones_place(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.fill("g", GROUP, source)
    newer = Group(version="1.2.4", programs=GROUP.programs, module=GROUP.module)
    assert not cache.has("g", newer)
    cache.fill("g", newer, source)
    assert cache.has("g", GROUP)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError])
def test_a_source_that_fails_half_way_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def half(name: str, group: Group, folder: Path) -> None:
        (folder / "one").write_text("half")
        raise error

    with pytest.raises(error):
        Cache(tmp_path).fill("g", GROUP, half)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_forgets_a_program_is_a_fault_and_leaves_nothing(tmp_path: Path) -> None:
    def forgetful(name: str, group: Group, folder: Path) -> None:
        source(name, group, folder)
        (folder / "two").unlink()

    with pytest.raises(RuntimeError, match="two"):
        Cache(tmp_path).fill("g", GROUP, forgetful)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["lost", "not executable"])
def test_a_damaged_group_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.fill("g", GROUP, source)
    program = cache.folder("g", GROUP) / "two"
    program.unlink() if damage == "lost" else program.chmod(0o600)
    assert not cache.has("g", GROUP)
    cache.fill("g", GROUP, source)
    assert cache.has("g", GROUP)


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".making-x" / "deep").mkdir(parents=True)
    with Cache(tmp_path).locked():
        assert not (tmp_path / ".making-x").exists()


# -- the build, with a stand-in for Go


@pytest.fixture
def builder(no_lab: Lab, tmp_path: Path) -> Lab:
    """A learner with an empty cache and, on PATH, only what a test puts into `bin`."""
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    own = {"GPULAB_CACHE": str(tmp_path / "cache"), "GPULAB_SOURCE": "build", "PATH": path}
    return Lab("lab", no_lab.env | own)


def stand_in(builder: Lab, install: str, version: str = "go1.99.1") -> None:
    """Put a `go` on PATH that answers what is asked before `install`, and then does that."""
    go = Path(builder.env["PATH"].split(":")[0]) / "go"
    go.write_text(
        f"""#!/bin/sh
case "$1 $2" in
  "env GOVERSION") echo {version} ;;
  env*) echo "$TMPDIR" ;;
  list*) echo a/b; echo c/d ;;
  install*) echo a/b >&2; {install} ;;
esac
"""
    )
    go.chmod(0o755)


def build(builder: Lab) -> Done:
    """What every command does that needs the programs; ends before a lab is made."""
    command = "from gpulab import binaries; binaries.ensure()"
    wrapped = (
        "import sys; from gpulab.cli import run; from gpulab.cli.app import app; "
        f"app.command('make')(lambda: exec({command!r})); sys.exit(run.run(['make']))"
    )
    return run([sys.executable, "-c", wrapped], with_tmp(builder), 60)


def with_tmp(builder: Lab) -> dict[str, str]:
    return builder.env | {"TMPDIR": str(Path(builder.env["GPULAB_CACHE"]).parent)}


def cached(builder: Lab) -> set[str]:
    """What stands in the cache of programs, apart from its lock."""
    folder = Path(builder.env["GPULAB_CACHE"]) / "bin"
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()


PROGRAMS = " ".join(sorted(ALL - {"etcd"} | {"server"}))
MAKE = f'for p in {PROGRAMS}; do echo "#!/bin/sh" > $GOBIN/$p; chmod +x $GOBIN/$p; done'


def test_a_build_says_beforehand_what_it_does_and_how_long_it_takes(builder: Lab) -> None:
    stand_in(builder, MAKE)
    done = build(builder)
    assert done.returncode == 0, done.stderr
    assert "about 7 minutes on 2 cores" in done.stderr
    assert all(program in done.stderr.partition("about 7 minutes")[0] for program in ALL)
    assert {name.split("-")[0] for name in cached(builder)} == {"kubernetes", "kwok", "etcd"}
    again = build(builder)
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.skipif(Path("/usr/bin/go").exists(), reason="there is a go in /usr/bin")
def test_without_go_it_says_which_to_install(builder: Lab) -> None:
    what, do = said(builder.gpulab("up"))
    assert "no `go` on PATH" in what
    assert "https://go.dev/dl" in do
    assert cached(builder) == set()


@pytest.mark.parametrize("version", ["go1.21", "go1.9.7", "devel", ""])
def test_an_old_go_is_named_with_the_version_that_is_needed(builder: Lab, version: str) -> None:
    stand_in(builder, MAKE, version)
    what, do = said(builder.gpulab("up"))
    assert "too old" in what
    assert f"{builder.env['PATH'].split(':')[0]}/go" in what
    assert versions().go.version in do
    assert cached(builder) == set()


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("write $GOBIN/etcd: no space left on device", "the disk is full"),
        ("dial tcp: lookup proxy.example.com: no such host", "cannot reach its module proxy"),
        ("x.go:1:1: syntax error", "building failed"),
    ],
)
def test_a_build_that_fails_says_why_in_two_lines_at_the_end(
    builder: Lab, message: str, what: str
) -> None:
    stand_in(builder, f'echo half > $GOBIN/kubectl; echo "{message}" >&2; exit 1')
    done = build(builder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert what in done.stderr.splitlines()[-2]
    assert cached(builder) == set()


def test_ctrl_c_in_a_build_ends_go_and_leaves_nothing_half_made(builder: Lab) -> None:
    stand_in(builder, "echo half > $GOBIN/kubectl; sleep 600")
    code, stderr, children = interrupt(builder, lambda: made(builder, "kubectl"))
    assert code == 130, stderr
    assert "Traceback" not in stderr
    eventually(lambda: not any(child.is_running() for child in children))
    assert cached(builder) == set()


def made(builder: Lab, program: str) -> list[Path]:
    return list(Path(builder.env["GPULAB_CACHE"]).glob(f"bin/.making-*/{program}"))


def interrupt(builder: Lab, ready: object) -> tuple[int, str, list[psutil.Process]]:
    """Start a lab, press Ctrl-C once `ready`; exit code, stderr and the processes it had."""
    command = [*INTERRUPTIBLE, GPULAB, "up"]
    with subprocess.Popen(
        command, env=with_tmp(builder), stderr=subprocess.PIPE, text=True
    ) as building:
        eventually(ready)  # type: ignore[arg-type]
        children = psutil.Process(building.pid).children(recursive=True)
        building.send_signal(signal.SIGINT)
        _, stderr = building.communicate(timeout=30)
    return building.returncode, stderr, children


@NEEDS_GO
def test_ctrl_c_in_a_real_build_leaves_nothing_half_made(no_lab: Lab, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    if free < 8 * 2**30:
        pytest.skip(f"needs 8 GiB of disk, {free / 2**30:.1f} are free")
    own = {"GPULAB_CACHE": str(tmp_path / "cache"), "GPULAB_SOURCE": "build"}
    builder = Lab("lab", no_lab.env | own)
    code, stderr, children = interrupt(builder, lambda: compiling(builder))
    assert code == 130, stderr
    assert "Building kube-apiserver" in stderr
    assert len(children) > 0
    eventually(lambda: not any(child.is_running() for child in children))
    assert cached(builder) == set()


def compiling(builder: Lab) -> bool:
    """Go has been at work for two seconds."""
    folders = list(Path(builder.env["GPULAB_CACHE"]).glob("bin/.making-*"))
    return bool(folders) and time.time() - folders[0].stat().st_ctime > 2


def test_a_disk_that_is_too_small_is_named_before_anything_is_built(
    builder: Lab, small_disk: Path
) -> None:
    stand_in(builder, MAKE)
    tight = Lab("lab", builder.env | {"GPULAB_CACHE": str(small_disk / "cache")})
    what, do = said(tight.gpulab("up"))
    assert str(small_disk) in what
    assert "0.0 GiB free" in what
    assert "GPULAB_CACHE" in do
    assert cached(tight) == set()
