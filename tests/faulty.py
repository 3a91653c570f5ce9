"""Every fault as it is met: what runs before, what shows it, who explains it, when it is over.

`tests/test_faults.py` asserts it, `tests/bench/faults.py` measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conftest import CUDA, Lab, Object, eventually, pod

NODE, GPU, HOST = "h100-2", "nvidia.com/gpu", "kubernetes.io/hostname"
CUDA13 = "pytorch/pytorch:2.9.1-cuda13.0-cudnn9-runtime"
AVAILABLE = ("python", "-c", "import torch; print(torch.cuda.is_available())")
ON_NODE = {HOST: NODE}
DRIVER = "nvidia-driver-daemonset"
Holds = Callable[[Lab], bool]


@dataclass(frozen=True)
class Met:
    """One fault, from its injection to its end."""

    seen: Holds
    """What kubectl shows of it."""
    asked: str
    """What `gpulab why` is asked about."""
    words: str
    """What it says of the cause."""
    healed: Holds
    before: tuple[Object, ...] = ()
    """Pods that run when it happens."""
    after: tuple[Object, ...] = ()
    """What is made once it has happened."""
    whole: bool = True
    """Whether it is about one node, and is injected there."""


def make(lab: Lab, *objects: Object) -> None:
    if objects:
        lab.make("default", *objects)


def allocatable(amount: int) -> Holds:
    return lambda lab: lab.get("node", NODE)["status"]["allocatable"].get(GPU) == str(amount)


def ready(value: str) -> Holds:
    def holds(lab: Lab) -> bool:
        conditions = lab.get("node", NODE)["status"]["conditions"]
        return any((c["type"], c["status"]) == ("Ready", value) for c in conditions)

    return holds


def phase(name: str, value: str) -> Holds:
    return lambda lab: lab.get("pod", "-n", "default", name)["status"].get("phase") == value


def told(name: str, words: str) -> Holds:
    """By an event about the Pod."""
    return lambda lab: any(words in each["message"] for each in lab.events("default", name))


def logged(name: str, words: str) -> Holds:
    return lambda lab: words in lab.kubectl("logs", "-n", "default", name).stdout


def smi(words: str, *options: str, shown: bool = True) -> Holds:
    """In the Pod that holds GPUs."""
    command = ("exec", "-n", "default", "p", "--", "nvidia-smi", *options)

    def holds(lab: Lab) -> bool:
        done = lab.kubectl(*command)
        return (words in " ".join((done.stdout + done.stderr).split())) is shown

    return holds


def operand(lab: Lab, app: str) -> Object:
    """Its Pod on the node; empty without one."""
    field = f"--field-selector=spec.nodeName={NODE}"
    found = lab.get("pods", "-n", "gpu-operator", "-l", f"app={app}", field)["items"]
    alive = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return alive[0] if alive else {}


def states(lab: Lab) -> list[Object]:
    """Of the containers of the driver's Pod."""
    status = operand(lab, DRIVER).get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses")
    return [each["state"] for kind in kinds for each in status.get(kind) or []]


def driver_waits(*reasons: str) -> Holds:
    return lambda lab: any(s.get("waiting", {}).get("reason") in reasons for s in states(lab))


def driver_runs(lab: Lab) -> bool:
    """Its main container: the kernel modules take their time from here on."""
    found = states(lab)
    return bool(found) and "running" in found[-1]


def waits(*reasons: str) -> Holds:
    def holds(lab: Lab) -> bool:
        found = lab.get("pod", "-n", "default", "new")["status"].get("containerStatuses") or []
        return any(each["state"].get("waiting", {}).get("reason") in reasons for each in found)

    return holds


def ended(app: str, reason: str, code: int) -> Holds:
    """A container of the Deployment's Pod has ended so."""

    def holds(lab: Lab) -> bool:
        for each in lab.get("pods", "-n", "default", "-l", f"app={app}")["items"]:
            for status in each["status"].get("containerStatuses") or []:
                for state in (status["state"], status["lastState"]):
                    done = state.get("terminated") or {}
                    if (done.get("reason"), done.get("exitCode")) == (reason, code):
                        return True
        return False

    return holds


def no_pod(app: str) -> Holds:
    return lambda lab: not lab.get("pods", "-n", "default", "-l", f"app={app}")["items"]


def label(key: str, value: str) -> Holds:
    return lambda lab: lab.get("node", NODE)["metadata"]["labels"].get(key) == value


def refused(lab: Lab) -> bool:
    words = 'RuntimeClass "nvidia" not found'
    events = lab.get("events", "-n", "default", "--field-selector=reason=FailedCreate")["items"]
    return any(words in each["message"] for each in events)


def has_class(lab: Lab) -> bool:
    return lab.kubectl("get", "runtimeclass", "nvidia").returncode == 0


def deployment(name: str, template: Object) -> Object:
    spec = {key: value for key, value in template["spec"].items() if key != "restartPolicy"}
    labels = {"matchLabels": {"app": name}}
    pods = {"metadata": {"labels": {"app": name}}, "spec": spec}
    body = {"selector": labels, "template": pods}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


HOLDER = pod("p", "sleep", "3600", image=CUDA, gpus=8, nodeSelector=ON_NODE)
WAITER = pod("waits", "true", image=CUDA, gpus=1, nodeSelector=ON_NODE)
RUNTIME = pod("asks", "true", image=CUDA, nodeSelector=ON_NODE, runtimeClassName="nvidia")
HOT = "HW Thermal Slowdown : Active"
UNKNOWN = "Failed to initialize NVML: Unknown Error"
PERFORMANCE = ("-q", "-d", "PERFORMANCE")

MET = {
    "cuda-out-of-memory": Met(
        ended("big-batch", "Error", 1),
        "deployment/big-batch",
        "wants more memory than the GPU has",
        no_pod("big-batch"),
        whole=False,
    ),
    "deploy-label-stale": Met(
        allocatable(0), "waits", "paused-for-driver-upgrade", allocatable(8), after=(WAITER,)
    ),
    "driver-crash-loop": Met(
        driver_waits("CrashLoopBackOff"),
        "waits",
        "CrashLoopBackOff",
        driver_runs,
        after=(WAITER,),
    ),
    "driver-image-missing": Met(
        driver_waits("ErrImagePull", "ImagePullBackOff"),
        "waits",
        "ImagePull",
        driver_runs,
        after=(WAITER,),
    ),
    "driver-too-old": Met(
        logged("asks", "too old (found version 12020)"),
        "asks",
        "the driver of its node is too old",
        label("nvidia.com/cuda.driver-version.full", "595.91.07"),
        after=(pod("asks", *AVAILABLE, image=CUDA13, gpus=1, nodeSelector=ON_NODE),),
    ),
    "driver-upgrade-stuck": Met(
        driver_waits("CrashLoopBackOff"),
        "waits",
        "Init:CrashLoopBackOff",
        driver_runs,
        after=(WAITER,),
    ),
    "gpu-ecc-error": Met(allocatable(7), "p", "is Unhealthy", allocatable(8), before=(HOLDER,)),
    "gpu-fallen-off-bus": Met(
        allocatable(7), "p", "is Unhealthy", allocatable(8), before=(HOLDER,)
    ),
    "gpu-thermal-slowdown": Met(
        smi(HOT, *PERFORMANCE),
        "p",
        "nvidia-smi -q -d PERFORMANCE",
        smi(HOT, *PERFORMANCE, shown=False),
        before=(HOLDER,),
    ),
    "node-runtime-down": Met(ready("False"), "waits", "not-ready", ready("True"), after=(WAITER,)),
    "nvml-unknown-error": Met(
        smi(UNKNOWN),
        "p",
        "nvidia-smi -q -d PERFORMANCE",
        smi(UNKNOWN, shown=False),
        before=(HOLDER,),
    ),
    "operands-repelled": Met(
        allocatable(0), "waits", "team=research:NoExecute", allocatable(8), after=(WAITER,)
    ),
    "out-of-memory": Met(
        ended("data-loader", "OOMKilled", 137),
        "deployment/data-loader",
        "OOMKilled): its limit is 512Mi",
        no_pod("data-loader"),
        whole=False,
    ),
    "registry-unreachable": Met(
        waits("ErrImagePull", "ImagePullBackOff"),
        "new",
        "its node does not reach the registry",
        phase("new", "Succeeded"),
        after=(pod("new", "true", image="alpine:3.22", nodeSelector=ON_NODE),),
    ),
    "runtime-unconfigured": Met(
        told("asks", 'no runtime for "nvidia" is configured'),
        "asks",
        "does not know the handler of its RuntimeClass",
        phase("asks", "Succeeded"),
        after=(RUNTIME,),
    ),
    "runtimeclass-gone": Met(
        refused,
        "deployment/wants",
        'RuntimeClass "nvidia" not found',
        has_class,
        after=(deployment("wants", RUNTIME),),
        whole=False,
    ),
    "shm-too-small": Met(
        ended("many-workers", "Error", 1),
        "deployment/many-workers",
        "/dev/shm is too small",
        no_pod("many-workers"),
        whole=False,
    ),
    "toolkit-missing": Met(
        told("asks", 'no runtime for "nvidia" is configured'),
        "asks",
        "nvidia.com/gpu.deploy.container-toolkit=false",
        phase("asks", "Succeeded"),
        after=(RUNTIME,),
    ),
}
LATE = {"node-silent"}
"""Nothing is seen of them for minutes, by their nature."""


def begin(lab: Lab, name: str) -> None:
    """Make what runs before."""
    make(lab, *MET[name].before)
    for each in MET[name].before:
        lab.wait("default", each["metadata"]["name"], "phase=Running")


def inject(lab: Lab, name: str) -> None:
    where = ("--node", NODE) if MET[name].whole else ()
    done = lab.gpulab("break", name, *where)
    assert done.returncode == 0, done.stderr
    make(lab, *MET[name].after)


def heal(lab: Lab, name: str) -> None:
    done = lab.gpulab("heal", name)
    assert done.returncode == 0, done.stderr


def finish(lab: Lab) -> None:
    """Leave the lab as it was: every GPU allocatable, nothing of ours there."""
    quick = ("--force", "--grace-period=0", "--ignore-not-found")
    lab.kubectl("delete", "deployments,jobs,pods", "--all", "-n", "default", *quick)
    lab.kubectl("delete", "events", "--all", "-n", "default")
    eventually(lambda: ready("True")(lab) and allocatable(8)(lab), 60)
