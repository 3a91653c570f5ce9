"""Events, states and error texts of a node, word for word, so that learners meet the real ones.

Sources, all Go: Kubernetes v1.36.3 (`pkg/kubelet/...`), containerd v2.3.7 (CRI plugin), and runc
v1.5.2, the runc that containerd v2.3.7 names in `script/setup/runc-version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """What kubelet records: reason, message, and whether it is Normal or Warning."""

    reason: str
    message: str
    type: str = "Normal"


class Backoff(msgspec.Struct, frozen=True):
    """An exponential delay: doubles after each failure, forgotten after `reset_s` of quiet."""

    initial_s: float
    max_s: float
    factor: float
    reset_s: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row, at least one."""
        return min(self.initial_s * self.factor ** (failures - 1), self.max_s)


# pkg/kubelet/kubelet.go: imageBackOffPeriod, MaxImageBackOff. client-go util/flowcontrol/backoff.go
# doubles, and forgets after twice the maximum.
IMAGE_PULL_BACKOFF = Backoff(initial_s=10, max_s=300, factor=2, reset_s=600)

# pkg/kubelet/kubelet.go: initialCrashLoopBackOff, MaxCrashLoopBackOff, HasExpiredFunc (600 s). The
# gate ReduceDefaultCrashLoopBackOffDecay (1 s to 60 s) is alpha and off in 1.36.
CRASH_LOOP_BACKOFF = Backoff(initial_s=10, max_s=300, factor=2, reset_s=600)

# pkg/kubelet/kubelet.go: how soon the kubelet looks again at a Pod that it could not sync; the
# workqueue adds up to half of the sync frequency (1 min) as jitter, so 10 s to 15 s are seen.
SYNC_SECONDS = 12.0

# Reasons of containerStatuses[].state.waiting: pkg/kubelet/kubelet_pods.go, images/types.go,
# container/sync_result.go, kuberuntime/kuberuntime_container.go.
CONTAINER_CREATING = "ContainerCreating"
POD_INITIALIZING = "PodInitializing"
ERR_IMAGE_PULL = "ErrImagePull"
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
RUN_CONTAINER_ERROR = "RunContainerError"
CREATE_CONTAINER_ERROR = "CreateContainerError"
CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"

# Reasons of state.terminated: containerd internal/cri/server/{helpers,events}.go.
COMPLETED = "Completed"
ERROR = "Error"
OOM_KILLED = "OOMKilled"
START_ERROR = "StartError"
START_ERROR_EXIT_CODE = 128

# pkg/volume/util/operationexecutor, exponential backoff: 500 ms, doubled up to 2 min 2 s
MOUNT_RETRY, MOUNT_RETRY_MAX = 0.5, 122.0

# pkg/kubelet/kubelet_pods.go: a container of a Pod that ends before the container ever ran
NOT_LOCATED = {
    "terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
}

Verdict = tuple[str, str]  # reason and message of a Pod that failed as a whole

# pkg/kubelet/active_deadline.go
DEADLINE_EXCEEDED: Verdict = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
)

# pkg/kubelet/eviction/eviction_manager.go: immediateEvictionGracePeriodSeconds
EVICTION_GRACE = 1.0

# pkg/kubelet/lifecycle/predicate.go
UNEXPECTED_ADMISSION_ERROR = "UnexpectedAdmissionError"


# Containers: pkg/kubelet/kuberuntime/kuberuntime_container.go. 1.36 says "Container created", no
# longer "Created container: NAME" as 1.35 and earlier did.


def created() -> Event:
    """Report a container made but not started."""
    return Event("Created", "Container created")


def started() -> Event:
    """Report a running container."""
    return Event("Started", "Container started")


def container_error(cause: str) -> Event:
    """Report that a container did not start, with the reason or the runtime's words."""
    return Event("Failed", f"Error: {cause}", "Warning")


def killing(container: str) -> Event:
    """Announce that a container is stopped because its Pod goes away."""
    return Event("Killing", f"Stopping container {container}")


def killing_unhealthy(container: str, probe: str, init: bool) -> Event:
    """Announce a restart after a probe (`liveness` or `startup`) has failed often enough."""
    if init:
        return Event("Killing", f"Init container {container} failed {probe} probe")
    return Event("Killing", f"Container {container} failed {probe} probe, will be restarted")


def killing_changed(container: str) -> Event:
    """Announce a restart because the Pod's spec has another image now."""
    return Event("Killing", f"Container {container} definition changed, will be restarted")


def crash_back_off(container: str, pod: str, namespace: str, uid: str) -> Event:
    """Hold back a restart (pkg/kubelet/kuberuntime/kuberuntime_manager.go: doBackOff)."""
    message = f"Back-off restarting failed container {container} in pod {pod}_{namespace}({uid})"
    return Event("BackOff", message, "Warning")


def crash_back_off_waiting(
    delay_s: float, container: str, pod: str, namespace: str, uid: str
) -> str:
    """Waiting message during CrashLoopBackOff."""
    return (
        f"back-off {go_duration(delay_s)} restarting failed container={container} "
        f"pod={pod}_{namespace}({uid})"
    )


def non_root_problem(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    """Refuse to run as root where the Pod forbids it (verifyRunAsNonRoot in security_context.go).

    All images count as running as root: what an image says of its user is not in the catalogue.
    """
    whole, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    user = own.get("runAsUser", whole.get("runAsUser"))
    if not own.get("runAsNonRoot", whole.get("runAsNonRoot")) or user:
        return None
    meta = pod["metadata"]
    where = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: '
    why = (
        "container has runAsNonRoot and image will run as root"
        if user is None
        else "container's runAsUser breaks non-root policy"
    )
    return f"{why} {where}{container['name']})"


# containerd internal/cri/server/container_start.go, core/runtime/v2/task_manager.go,
# cmd/containerd-shim-runc-v2/process/init.go; runc create.go, libcontainer/container_linux.go and
# process_linux.go; Go os/exec.


def start_failed(command: str) -> str:
    """Runtime's words where the image lacks a command, for `container_error` and StartError.

    kubelet waits with RUN_CONTAINER_ERROR and this message, then shows the container terminated
    with START_ERROR, START_ERROR_EXIT_CODE and this message.
    """
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: "
        f"{_not_executable(command)}"
    )


def exec_failed(container_id: str, command: str) -> str:
    """Runtime's words where `kubectl exec` names a command that the image lacks.

    containerd internal/cri/server/container_execsync.go, runc exec.go.
    """
    return (
        f'failed to exec in container: failed to start exec "{container_id}": OCI runtime exec '
        f"failed: exec failed: unable to start container process: {_not_executable(command)}"
    )


def _not_executable(command: str) -> str:
    """Say that a command is missing: by name it was searched for, by path it was looked at."""
    if "/" in command:
        return f'exec: "{command}": stat {command}: no such file or directory'
    return f'exec: "{command}": executable file not found in $PATH'


# Admission: a rejected Pod has phase Failed, this reason, and `rejected(message)` as its message;
# its Warning event carries reason and message alone (pkg/kubelet/kubelet.go: rejectPod).


def rejected(message: str) -> str:
    """Message in the status of a Pod that kubelet refused."""
    return f"Pod was rejected: {message}"


def devices_unavailable(resource: str, requested: int, available: int) -> Event:
    """Refuse a Pod that asks for more devices than are free.

    pkg/kubelet/cm/devicemanager/manager.go, cm/admission/errors.go. This check runs before the one
    for `out_of`, so a Pod forced onto a full GPU node fails here.
    """
    message = (
        f"requested number of devices unavailable for {resource}. "
        f"Requested: {requested}, Available: {available}"
    )
    return allocate_failed(message)


def no_runtime(handler: str) -> Event:
    """Fail to make a sandbox under a RuntimeClass whose handler containerd does not know.

    containerd internal/cri/server/sandbox_run.go and internal/cri/config/config.go.
    """
    cause = f'failed to get sandbox runtime: no runtime for "{handler}" is configured'
    text = f"Failed to create pod sandbox: rpc error: code = Unknown desc = {cause}"
    return Event("FailedCreatePodSandBox", text, "Warning")


def devices_unregistered(resource: str) -> Event:
    """Refuse a Pod whose device plugin has not registered since kubelet started."""
    return allocate_failed(f"cannot allocate unregistered device {resource}")


def shared_too_many(resource: str, asked: int) -> Event:
    """Refuse a container that asks for more than one shared device, where that is not allowed.

    NVIDIA/k8s-device-plugin 1b826acc, internal/rm/rm.go: ValidateRequest, over gRPC.
    """
    cause = (
        f'rpc error: code = Unknown desc = invalid allocation request for "{resource}": '
        f"invalid request: maximum request size for shared resources is 1; found {asked}"
    )
    return allocate_failed(cause)


def claims_unprepared(cause: str) -> Event:
    """Report claims that cannot be prepared (kuberuntime_manager.go, cm/dra/manager.go)."""
    text = f"Failed to prepare dynamic resources: prepare dynamic resources: {cause}"
    return Event("FailedPrepareDynamicResources", text, "Warning")


def devices_unhealthy(resource: str) -> Event:
    """Refuse a Pod when every device of the resource is unhealthy."""
    return allocate_failed(
        f"no healthy devices present; cannot allocate unhealthy devices {resource}"
    )


def allocate_failed(cause: str) -> Event:
    """Refuse a Pod because a device plugin or the device manager said no."""
    message = f"Allocate failed due to {cause}, which is unexpected"
    return Event(UNEXPECTED_ADMISSION_ERROR, message, "Warning")


def out_of(resource: str, requested: int, used: int, capacity: int) -> Event:
    """Refuse a Pod that does not fit the node: OutOfcpu, OutOfnvidia.com/gpu, OutOfpods.

    pkg/kubelet/lifecycle/predicate.go; cpu is counted in thousandths, memory in bytes.
    """
    message = (
        f"Node didn't have enough resource: {resource}, requested: {requested}, "
        f"used: {used}, capacity: {capacity}"
    )
    return Event(f"OutOf{resource}", message, "Warning")


def go_duration(seconds: float) -> str:
    """Write a time span as Go does, to the millisecond.

    >>> [go_duration(s) for s in (0, 0.85, 2.5, 80, 300)]
    ['0s', '850ms', '2.5s', '1m20s', '5m0s']
    """
    millis = int(round(seconds * 1000, 3))  # kubelet truncates to the millisecond
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
