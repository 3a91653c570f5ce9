"""`gpulab up` and resume, beside a bare kwokctl with the same programs."""

from __future__ import annotations

from pathlib import Path

from gpulab import binaries
from gpulab.providers.kwokctl import BINARIES
from tests.bench.measure import GPULAB, Row, command, interleave, surroundings, versus


def measure(folder: Path, runs: int) -> list[Row]:
    """Create and resume; a lab counts as up when a Pod runs and every GPU is allocatable."""
    ours, theirs = _Ours(folder), _Kwokctl(folder)
    created = interleave(
        {"ours": ours.up, "theirs": theirs.create},
        runs,
        {"ours": ours.delete, "theirs": theirs.delete},
    )
    ours.up(), ours.down(), theirs.create(), theirs.stop()  # type: ignore[func-returns-value]
    resumed = interleave(
        {"ours": ours.up, "theirs": theirs.start}, runs, {"ours": ours.down, "theirs": theirs.stop}
    )
    ours.delete()
    theirs.delete()
    return [
        versus("gpulab up, new lab", created["ours"], created["theirs"], 3),
        versus("gpulab up, resume", resumed["ours"], resumed["theirs"], 2),
    ]


class _Ours:
    def __init__(self, folder: Path) -> None:
        self._env = surroundings(folder)

    def up(self) -> None:
        command([GPULAB, "up"], self._env)

    def down(self) -> None:
        command([GPULAB, "down"], self._env)

    def delete(self) -> None:
        command([GPULAB, "down", "--delete"], self._env)


class _Kwokctl:
    """The reference: its defaults, our binaries."""

    def __init__(self, folder: Path) -> None:
        programs = binaries.ensure()
        self._program = str(programs["kwokctl"])
        self._env = surroundings(folder) | {"KWOK_WORKDIR": str(folder / "kwok")}
        flag = {"kwok": "--kwok-controller-binary"}
        skipped = ("etcdctl", "etcdutl", "kubectl")  # not flags of `create cluster`
        self._flags = [
            f"{flag.get(name, f'--{name}-binary')}={programs[name]}"
            for name in BINARIES
            if name not in skipped
        ]
        kubectl = programs["kubectl"].parent
        self._env["PATH"] = f"{kubectl}:{self._env['PATH']}"
        self._kubeconfig = str(folder / "kubeconfig")

    def create(self) -> None:
        more = ["--runtime=binary", "--wait=60s", f"--kubeconfig={self._kubeconfig}"]
        self._run("create", "cluster", *more, *self._flags)

    def start(self) -> None:
        self._run("start", "cluster", "--wait=60s")

    def stop(self) -> None:
        self._run("stop", "cluster")

    def delete(self) -> None:
        self._run("delete", "cluster")

    def _run(self, *arguments: str) -> None:
        command([self._program, *arguments, "--name=bench"], self._env)
