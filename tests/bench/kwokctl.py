"""The reference: a bare kwokctl with its defaults and our binaries."""

from __future__ import annotations

from pathlib import Path

from gpulab import binaries
from gpulab.providers.kwokctl import BINARIES
from tests.bench.measure import command, surroundings

FLAG = {"kwok": "--kwok-controller-binary"}
SKIPPED = ("etcdctl", "etcdutl", "kubectl")  # not flags of `create cluster`


class Kwokctl:
    """One cluster with stock KWOK stages and open ports on loopback."""

    def __init__(self, folder: Path, *flags: str) -> None:
        programs = binaries.ensure()
        self._program = str(programs["kwokctl"])
        kubectl = programs["kubectl"].parent
        self._env = surroundings(folder) | {"KWOK_WORKDIR": str(folder / "kwok")}
        self._env["PATH"] = f"{kubectl}:{self._env['PATH']}"
        self.kubeconfig = folder / "kwokctl.kubeconfig"
        self._flags = [
            "--runtime=binary",
            "--wait=60s",
            f"--kubeconfig={self.kubeconfig}",
            *flags,
            *(
                f"{FLAG.get(name, f'--{name}-binary')}={programs[name]}"
                for name in BINARIES
                if name not in SKIPPED
            ),
        ]

    def create(self) -> None:
        self._run("create", "cluster", *self._flags)

    def start(self) -> None:
        self._run("start", "cluster", "--wait=60s")

    def stop(self) -> None:
        self._run("stop", "cluster")

    def delete(self) -> None:
        self._run("delete", "cluster")

    def _run(self, *arguments: str) -> None:
        command([self._program, *arguments, "--name=bench"], self._env)
