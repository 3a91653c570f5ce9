"""Fixtures: real labs on a real control plane, each in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpulab import binaries

Done = subprocess.CompletedProcess[str]
GPULAB = str(Path(sys.executable).with_name("gpulab"))


@dataclass(frozen=True)
class Lab:
    """A lab with GPULAB_HOME and GPULAB_WORK of its own."""

    name: str
    env: dict[str, str]

    def gpulab(self, *arguments: str, seconds: float = 120, **more: Any) -> Done:
        """Run `gpulab`; the caller looks at the exit code."""
        return run([GPULAB, *arguments], self.env, seconds, **more)

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = 60) -> Done:
        """Run `kubectl` against this lab."""
        command = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(self.kubeconfig)]
        return run([*command, *arguments], self.env, seconds, input=given)

    def apply(self, manifest: str, namespace: str = "default") -> None:
        done = self.kubectl("apply", "-n", namespace, "-f", "-", given=manifest)
        assert done.returncode == 0, done.stderr

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`."""
        done = self.kubectl("get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    @property
    def root(self) -> Path:
        return Path(self.env["GPULAB_HOME"]) / "labs" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def work(self) -> Path:
        return Path(self.env["GPULAB_WORK"])


def run(command: list[str], env: dict[str, str], seconds: float, **more: Any) -> Done:
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=seconds, check=False, **more
    )


def eventually(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first true value of `holds()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {holds}"
        time.sleep(0.1)
    return value


def environment(folder: Path, name: str) -> dict[str, str]:
    """The environment of a learner whose folders are under `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GPULAB_", "KUBE"))}
    kept |= {k: os.environ[k] for k in ("GPULAB_CACHE",) if k in os.environ}
    return kept | {
        "GPULAB_HOME": str(folder / "home"),
        "GPULAB_WORK": str(folder / "work"),
        "GPULAB_NAME": name,
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab that most tests share: they use namespaces of their own and leave no Pod behind."""
    yield from make_lab(tmp_path_factory.mktemp("lab"), "shared")


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab that a test may stop, break and delete."""
    yield from make_lab(tmp_path, "own")


@pytest.fixture
def no_lab(tmp_path: Path) -> Lab:
    """The surroundings of a learner who has started nothing."""
    return Lab("lab", environment(tmp_path, "lab"))


@pytest.fixture
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace; what was in it is deleted, itself it goes in the background."""
    number = time.monotonic_ns() % 10**9
    name = f"t-{number}"
    assert lab.kubectl("create", "namespace", name).returncode == 0
    yield name
    lab.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force")
    lab.kubectl("delete", "namespace", name, "--wait=false")


def make_lab(folder: Path, name: str) -> Iterator[Lab]:
    made = Lab(name, environment(folder, name))
    up = made.gpulab("up")
    assert up.returncode == 0, up.stderr
    yield made
    down = made.gpulab("down", "--delete")
    assert down.returncode == 0, down.stderr
    assert not made.root.exists()
