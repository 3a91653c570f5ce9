"""Random kills while a workload runs: nothing is lost, no GPU is handed out twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gpulab import supervision
from gpulab.paths import LabPaths
from tests.bench.measure import percentile
from tests.conftest import IMAGE, Lab, Object, devices, eventually, make_lab, pod
from tests.kills import PROCESSES, kill, open_lab, until_healed

FEW, MANY = 6, 200
WITHIN = 120.0  # for a busy machine; what is usual is printed, and measured by tests/bench
GPU = {"limits": {"nvidia.com/gpu": 1}}

pytestmark = [pytest.mark.live, pytest.mark.timeout(4 * 3600)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with GPU Pods that stay, a Deployment, and a Job that makes new ones all the time."""
    for lab in make_lab(tmp_path_factory.mktemp("chaos"), "chaos"):
        lab.make("default", *(pod(f"stays-{n}", "sleep", "99999", gpus=n) for n in (1, 3, 5)))
        lab.make("default", deployment(4), job(parallel=3))
        for n in (1, 3, 5):
            lab.wait("default", f"stays-{n}", "phase=Running", 90)
        yield lab


def deployment(replicas: int) -> Object:
    labels = {"app": "serves"}
    spec = {"containers": [container("sleep", "99999")], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "serves"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def job(parallel: int) -> Object:
    spec = {"restartPolicy": "Never", "containers": [container("sleep", "2")]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "goes-on"},
        "spec": {"parallelism": parallel, "completions": 100_000, "template": {"spec": spec}},
    }


def container(*command: str) -> Object:
    return {"name": "main", "image": IMAGE, "command": list(command), "resources": GPU}


@dataclass
class Seen:
    """What must not get lost, and how long healing took."""

    kept: dict[str, str] = field(default_factory=dict)
    """ConfigMap -> uid, as the API server acknowledged it."""
    killed: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)


def test_random_kills_lose_nothing_and_give_no_gpu_twice(
    loaded: Lab, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    draw, seen = random.Random(seed), Seen()
    count = MANY if request.config.getoption("--all", False) else FEW
    paths, record = open_lab(loaded.root)
    stays = {n: mark(loaded.get("pod", f"stays-{n}")) for n in (1, 3, 5)}
    with capsys.disabled():
        print(f"\n{count} kills, seed {seed}", flush=True)  # noqa: T201 (to repeat a failure)
    for number in range(count):
        keep_one(loaded, seen, number)
        time.sleep(draw.uniform(0, 2))
        victim = draw.choice((*PROCESSES, supervision.NAME))
        if kill(paths, victim) is None:
            continue  # it is just being healed
        seen.killed[victim] += 1
        if draw.random() < 0.25 and number + 1 < count:
            continue  # the next one dies while this one is healed
        seen.times.append(heal(loaded, paths, record))
        assert_nothing_is_lost(loaded, seen, stays)
    with capsys.disabled():
        print(f"  {dict(seen.killed)}")  # noqa: T201
        half, tail = (percentile(seen.times, share) for share in (0.5, 0.95))
        print(f"  healed p50 {half:.1f} s, p95 {tail:.1f} s")  # noqa: T201
    assert loaded.gpulab("up", seconds=180).returncode == 0
    done = loaded.get("job", "goes-on")["status"]
    eventually(lambda: loaded.get("job", "goes-on")["status"]["succeeded"] > done["succeeded"], 60)
    available = "availableReplicas"
    eventually(lambda: loaded.get("deployment", "serves")["status"].get(available) == 4, 60)


def heal(lab: Lab, paths: LabPaths, record: object) -> float:
    """By itself; the supervisor is brought back by the next `gpulab up`."""
    began = time.monotonic()
    if supervision.process(paths) is None:
        done = lab.gpulab("up", seconds=180)
        assert done.returncode == 0, done.stderr
    until_healed(paths, record, WITHIN)  # type: ignore[arg-type]
    return time.monotonic() - began


def keep_one(lab: Lab, seen: Seen, number: int) -> None:
    """An object that the API server says it has; while it is down, none."""
    done = lab.kubectl("create", "configmap", f"c-{number}", "-o", "jsonpath={.metadata.uid}")
    if done.returncode == 0:
        seen.kept[f"c-{number}"] = done.stdout


def assert_nothing_is_lost(lab: Lab, seen: Seen, stays: dict[int, object]) -> None:
    maps = {each["metadata"]["name"]: each for each in lab.get("configmaps")["items"]}
    for name, uid in seen.kept.items():
        assert maps[name]["metadata"]["uid"] == uid
    for n, before in stays.items():
        assert mark(lab.get("pod", f"stays-{n}")) == before
    pods = lab.get("pods", "--all-namespaces")["items"]
    running = [each for each in pods if each["status"]["phase"] not in ("Succeeded", "Failed")]
    given = Counter(uuid for each in running for uuid in devices(each))
    assert [uuid for uuid, times in given.items() if times > 1] == []


def mark(found: Object) -> tuple[object, ...]:
    status = found["status"]
    return found["metadata"]["uid"], status["phase"], status["podIP"], devices(found)
