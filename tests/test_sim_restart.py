"""What a killed simulator, or an API server that is away, must not cost: GPUs, addresses, Pods."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from gpulab.processes import is_running
from tests.conftest import CUDA, Lab, Object, devices, eventually, make_namespace, pod, state

ABOUT = ("cluster-setup/gpulab/sim/",)
pytestmark = [pytest.mark.live, pytest.mark.sample(*ABOUT)]
SLOW = "nvidia/cuda:13.0.2-runtime-ubuntu22.04"  # its size is known: the pull takes 11 s
FINAL = ("Succeeded", "Failed")


@pytest.fixture
def where(spare_lab: Lab) -> Iterator[str]:
    yield from make_namespace(spare_lab)


def kill(lab: Lab, component: str) -> None:
    pid = next(e["pid"] for e in lab.status()["components"] if e["name"] == component)
    psutil.Process(pid).kill()
    eventually(lambda: not is_running(pid))


def up(lab: Lab) -> None:
    done = lab.gpulab("up")
    assert done.returncode == 0, done.stderr


def pods(lab: Lab, where: str) -> list[Object]:
    return lab.get("pods", "-n", where)["items"]  # type: ignore[no-any-return]


def held(found: list[Object]) -> list[str]:
    """GPUs of Pods that are not over."""
    return [u for each in found if each["status"]["phase"] not in FINAL for u in devices(each)]


def addresses(found: list[Object]) -> list[str]:
    return [each["status"]["podIP"] for each in found if each["status"]["phase"] not in FINAL]


def wait_all(lab: Lab, where: str, count: int) -> list[Object]:
    """Wait until so many Pods run."""

    def running() -> list[Object]:
        found = pods(lab, where)
        up = [each for each in found if each["status"]["phase"] == "Running"]
        return found if len(up) == count else []

    return eventually(running, 40)  # type: ignore[no-any-return]


def test_pods_live_on_as_they_were_and_new_ones_get_what_is_free(
    spare_lab: Lab, where: str
) -> None:
    spare_lab.make(where, *(pod(f"old-{n}", "sleep", "600", gpus=2) for n in range(8)))
    spare_lab.make(where, pod("done", "nvidia-smi", image=CUDA, gpus=1))
    before = {each["metadata"]["name"]: each for each in wait_all(spare_lab, where, 8)}
    spare_lab.wait(where, "done", "phase=Succeeded")
    log = spare_lab.kubectl("logs", "done", "-n", where).stdout
    events = [e["metadata"]["uid"] for e in spare_lab.events(where, "old-5")]
    kill(spare_lab, "simulator")
    gone = [f"old-{n}" for n in range(3)]
    spare_lab.kubectl("delete", "pod", *gone, "-n", where, "--force", "--grace-period=0")
    spare_lab.make(where, *(pod(f"new-{n}", "sleep", "600", gpus=2) for n in range(7)))
    up(spare_lab)
    after = wait_all(spare_lab, where, 12)
    assert len(held(after)) == len(set(held(after))) == 24
    assert len(addresses(after)) == len(set(addresses(after))) == 12
    for each in after:
        if (name := each["metadata"]["name"]).startswith("old"):
            assert devices(each) == devices(before[name])
            assert each["status"]["podIP"] == before[name]["status"]["podIP"]
            assert state(each) == state(before[name])
    assert [e["metadata"]["uid"] for e in spare_lab.events(where, "old-5")] == events
    assert spare_lab.kubectl("logs", "done", "-n", where).stdout == log


def test_a_pod_that_was_pulling_keeps_its_gpus_and_is_not_refused(
    spare_lab: Lab, where: str
) -> None:
    """All eight of a node: were they counted twice, the kubelet would refuse the Pod."""
    node = {"kubernetes.io/hostname": "h100-2"}
    spare_lab.make(where, pod("p", "sleep", "600", image=SLOW, gpus=8, nodeSelector=node))
    waiting = "containerStatuses[0].state.waiting.reason=ContainerCreating"
    before = devices(spare_lab.wait(where, "p", waiting))
    assert len(before) == 8
    eventually(lambda: pulls(spare_lab, where) == 1)
    kill(spare_lab, "simulator")
    up(spare_lab)
    eventually(lambda: pulls(spare_lab, where) == 2 or held(pods(spare_lab, where)) == [])
    (found,) = pods(spare_lab, where)
    assert found["status"]["phase"] == "Pending", found["status"].get("message")
    assert devices(found) == before


def pulls(lab: Lab, where: str) -> int:
    return sum(e["count"] for e in lab.events(where, "p") if e["reason"] == "Pulling")


def test_no_gpu_is_held_twice_while_pods_come_and_go_and_the_simulator_dies(
    spare_lab: Lab, where: str
) -> None:
    spec = {
        "completions": 60,
        "parallelism": 28,
        "template": {"spec": pod("x", "sleep", "1", image=CUDA, gpus=1)["spec"]},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    spare_lab.make(where, job)
    looks = 0
    for _ in range(3):
        for _ in range(6):
            looks += look(spare_lab, where)
        kill(spare_lab, "simulator")
        up(spare_lab)
    complete = ("wait", "job/j", "-n", where, "--for=condition=Complete", "--timeout=60s")
    assert spare_lab.kubectl(*complete, seconds=70).returncode == 0
    found = pods(spare_lab, where)
    assert looks > 0
    assert {each["status"]["phase"] for each in found} == {"Succeeded"}
    assert len(found) == 60  # none was refused and replaced


def look(lab: Lab, where: str) -> bool:
    """Compare all Pods of one moment; whether there was anything to compare."""
    found = pods(lab, where)
    assert len(held(found)) == len(set(held(found)))
    given = [each["status"]["podIP"] for each in found if is_up(each)]
    assert len(given) == len(set(given))
    return len(held(found)) > 1


def is_up(each: Object) -> bool:
    return "podIP" in each["status"] and each["status"]["phase"] not in FINAL


def test_a_pod_that_was_being_deleted_goes(spare_lab: Lab, where: str) -> None:
    spare_lab.make(where, pod("p", "sleep", "600", terminationGracePeriodSeconds=10))
    spare_lab.wait(where, "p", "phase=Running")
    spare_lab.kubectl("delete", "pod", "p", "-n", where, "--wait=false")
    kill(spare_lab, "simulator")
    assert spare_lab.get("pod", "p", "-n", where)["metadata"]["deletionTimestamp"]
    up(spare_lab)
    eventually(lambda: pods(spare_lab, where) == [], 40)


def test_while_the_api_server_is_away_nothing_gets_stuck(spare_lab: Lab, where: str) -> None:
    """One Pod pulls, one ends, one is deleted and one crashes just then."""
    spare_lab.make(
        where,
        pod("ends", "sh", "-c", "sleep 4; echo a"),
        pod("goes", "sleep", "600", terminationGracePeriodSeconds=3),
        pod("crashes", "sh", "-c", "sleep 4; exit 1", restartPolicy="OnFailure"),
    )
    for name in ("ends", "goes", "crashes"):
        spare_lab.wait(where, name, "phase=Running")
    spare_lab.make(where, pod("pulls", "sleep", "600", image=f"example.com/{where}:1"))
    spare_lab.kubectl("delete", "pod", "goes", "-n", where, "--wait=false")
    kill(spare_lab, "kube-apiserver")
    time.sleep(4.5)  # until all of it has happened
    up(spare_lab)
    spare_lab.wait(where, "pulls", "phase=Running")
    spare_lab.wait(where, "ends", "phase=Succeeded")
    crashes = ("pod", "crashes", "-n", where)
    eventually(lambda: state(spare_lab.get(*crashes))["restartCount"] > 0, 40)
    eventually(lambda: "goes" not in {each["metadata"]["name"] for each in pods(spare_lab, where)})
