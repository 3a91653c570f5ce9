"""Collect and decide: exercise 2 live and on 1,000 nodes, mutants offline, wrong beside right."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autograders.connect import Api, connect
from autograders.grade import gather
from autograders.load import Exercise, load_exercise
from autograders.model import Answers, Evidence
from autograders.mutants import mutants_of
from autograders.proof import Case, prove_offline
from autograders.run import decide
from gpulab import binaries, given
from gpulab.paths import ROOT, LabPaths
from tests.bench.measure import GPULAB, Row, command, percentile, surroundings, timed
from tests.recordings import RECORDED, recorded
from tests.served import Served, write_kubeconfig

NAME = "02-fix-broken-pytorch"
NODES, PODS = 1000, 4000
WARM = 100  # gradings of a small cluster in one process
AGAIN = 5  # times that each wrong answer is decided; the shortest counts, for others interrupt
MUTANT_SECONDS = 0.02


def measure(folder: Path, runs: int) -> list[Row]:
    """Those that take no lab first."""
    return [*_mutants(), *_wrong_and_right(), *_large(folder, runs), *_live(folder)]


def verify(folder: Path, runs: int) -> list[Row]:
    """One proof of every exercise: minutes."""
    env = surroundings(folder)
    seconds = timed(lambda: command([GPULAB, "verify"], env, seconds=900))
    return [Row("gpulab verify, all exercises", seconds, seconds, 180, "s")]


def _mutants() -> list[Row]:
    """Processor time of each mutant of each recorded solution."""
    cases: list[Case] = []
    for name in RECORDED:
        exercise, evidence, answers = recorded(name)
        found, faults = prove_offline(exercise, evidence, answers)
        assert not faults, faults
        cases += [each for each in found if each.kind.value.endswith("mutant")]
    took = [each.seconds for each in cases]
    name = f"a mutant offline, worst of {len(took)}"
    return [Row(name, max(took), max(took), MUTANT_SECONDS, "s", f"median {middle(took):.4f} s")]


def _wrong_and_right() -> list[Row]:
    """The slowest wrong answer of each exercise beside its solution."""
    return [_worst_ratio(*recorded(name)) for name in RECORDED]


def _worst_ratio(exercise: Exercise, evidence: Evidence, answers: Answers) -> Row:
    right = best(lambda: decide(exercise, evidence, answers))
    times = {
        each.name: best(lambda each=each: decide(exercise, each.evidence, each.answers))  # type: ignore[misc]
        for each in mutants_of(exercise, evidence, answers)
    }
    slowest = max(times, key=lambda name: times[name])
    ratio = times[slowest] / right
    note = f"right {right * 1000:.1f} ms; {slowest[:40]}"
    return Row(f"{exercise.id[:14]}: slowest wrong ÷ right", ratio, ratio, 2.0, "x", note)


def _large(folder: Path, runs: int) -> list[Row]:
    """As many plain objects as a large cluster has, all of them in the exercise's namespace."""
    exercise, evidence, answers = recorded(NAME)
    with _serving(folder, _many(evidence)) as config, connect(config) as api:

        def once() -> None:
            found = gather(api, exercise, "embedded", {}, before=evidence.phases[:1])
            assert len(found.phases[-1].objects) > NODES + PODS
            assert decide(exercise, found, answers).full_marks

        once()
        took = [timed(once) for _ in range(runs)]
    return [Row(f"collect, decide: {NODES} nodes, {PODS} Pods", middle(took), max(took), 1.0, "s")]


def _many(evidence: Evidence) -> dict[str, Any]:
    """What the API server answers by path: recorded objects, many times over."""
    phase = evidence.phases[-1]
    kinds = {
        kind: [each for each in phase.objects if each["kind"] == kind]
        for kind in ("Node", "Pod", "Namespace")
    }
    (pod,) = kinds["Pod"]
    space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    nodes = [*kinds["Node"], *(copy(kinds["Node"][0], f"n{i}") for i in range(NODES))]
    pods = [pod, *(copy(pod, f"p{i}") for i in range(PODS))]
    return {
        "/api/v1/nodes": {"kind": "NodeList", "items": nodes},
        f"/api/v1/namespaces/{space}/pods": {"kind": "PodList", "items": pods},
        "/api/v1/namespaces": {"kind": "NamespaceList", "items": kinds["Namespace"]},
        f"/api/v1/namespaces/{space}/pods/{name}/log": "True\n",
    }


def copy(thing: dict[str, Any], name: str) -> dict[str, Any]:
    return {**thing, "metadata": {**thing["metadata"], "name": name, "uid": name}}


@contextmanager
def _serving(folder: Path, answers: dict[str, Any]) -> Iterator[Path]:
    """A process of its own, so that its work is not counted as the grader's."""
    data = folder / "answers.json"
    data.write_text(json.dumps(answers))
    program = [sys.executable, "-m", "tests.served", str(data)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield write_kubeconfig(Served(url=server.stdout.readline().strip()), folder)
        finally:
            server.kill()


def _live(folder: Path) -> list[Row]:
    """As given, which is wrong, then solved."""
    env = surroundings(folder)
    command([GPULAB, "up"], env)
    try:
        paths = LabPaths("lab", folder / "home" / "labs" / "lab")
        command([GPULAB, "start", "02"], env)
        started = given.read(paths, NAME)
        assert started is not None
        exercise = load_exercise(ROOT / "exercises" / NAME, started.variant)
        wrong = _warm(paths, exercise, solved=False)
        _solve(paths, env)
        right = _warm(paths, exercise, solved=True)
    finally:
        command([GPULAB, "down", "--delete"], env)
    tail, ratio = percentile(right, 0.95), middle(wrong) / middle(right)
    return [
        Row(f"collect, decide 02, p50 of {WARM}", middle(right), max(right), 0.06, "s"),
        Row(f"collect, decide 02, p95 of {WARM}", tail, max(right), 0.15, "s"),
        Row("02 as given ÷ solved, live", ratio, ratio, 2.0, "x"),
    ]


def _solve(paths: LabPaths, env: dict[str, str]) -> None:
    shown = command([GPULAB, "variant", "02", "--learner", "self"], env)
    manifest = paths.root / "solution.yaml"
    manifest.write_text(shown.split("# solution/pod.yaml")[1])
    kubectl = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(paths.kubeconfig)]
    command([*kubectl, "replace", "--force", "-f", str(manifest)], env)
    done = "--for=jsonpath={.status.phase}=Succeeded"
    command([*kubectl, "-n", "gpu-access", "wait", "pods", "--all", done, "--timeout=60s"], env)


def _warm(paths: LabPaths, exercise: Exercise, *, solved: bool) -> list[float]:
    before = given.as_found(paths, exercise)

    def once(api: Api) -> None:
        report = decide(exercise, gather(api, exercise, "embedded", {}, before=before), {})
        assert report.full_marks is solved, report

    with connect(paths.grader_kubeconfig) as api:
        settled = time.monotonic() + 30
        while time.monotonic() < settled:
            if timed(lambda: once(api)) < 1:  # nothing is waited for any more
                break
        return [timed(lambda: once(api)) for _ in range(WARM)]


def best(work: Callable[[], object]) -> float:
    """Processor time, for a verdict waits for nothing."""
    return min(processor(work) for _ in range(AGAIN))


def processor(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def middle(values: list[float]) -> float:
    return statistics.median(values)
