"""Pod status as a kubelet writes it, computed from the states of its containers. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autograders.cluster.quantities import parse as quantity
from gpulab.sim import image_messages, messages
from gpulab.sim.device_map import Device, is_device
from gpulab.sim.times import stamp

State = dict[str, Any]


def devices_of(container: Mapping[str, Any]) -> dict[str, int]:
    """How many devices of each resource a container asks for."""
    limits = (container.get("resources") or {}).get("limits") or {}
    wanted = {name: int(quantity(amount)) for name, amount in limits.items() if is_device(name)}
    return {name: count for name, count in wanted.items() if count}


@dataclass
class Container:
    """One container as the kubelet sees it. `state` and `last` have the API's shape."""

    spec: dict[str, Any]
    init: bool = False
    state: State = field(default_factory=dict)
    last: State = field(default_factory=dict)
    restarts: int = 0
    container_id: str = ""
    image_id: str = ""
    devices: tuple[Device, ...] = ()
    ephemeral: bool = False  # added by `kubectl debug`
    started: bool = False  # past its startup probe, if it has one
    ready: bool = False  # and its readiness probe says so

    @property
    def sidecar(self) -> bool:
        """An init container that stays."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def memory_limit(self) -> float | None:
        """Bytes above which the process is killed; None without a limit."""
        limit = ((self.spec.get("resources") or {}).get("limits") or {}).get("memory")
        return None if limit is None else float(quantity(limit))

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """Exit code of a terminated container."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)


def waiting(reason: str, message: str = "") -> State:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(since: dt.datetime) -> State:
    return {"running": {"startedAt": stamp(since)}}


def terminated(
    code: int, reason: str, since: dt.datetime, until: dt.datetime, cid: str, message: str = ""
) -> State:
    ended = {
        "exitCode": code,
        "reason": reason,
        "startedAt": stamp(since),
        "finishedAt": stamp(until),
        "containerID": cid,
    }
    return {"terminated": ended | ({"message": message} if message else {})}


def exit_reason(code: int) -> str:
    return messages.COMPLETED if code == 0 else messages.ERROR


def container_status(
    container: Container, pod: Mapping[str, Any], sick: Collection[str] = ()
) -> dict[str, Any]:
    """One entry of containerStatuses or initContainerStatuses; the fields are a real kubelet's.

    `sick` has the UUIDs of GPUs that are not healthy.
    """
    resources = container.spec.get("resources") or {}
    done = container.init and not container.sidecar and container.exit_code == 0
    made = bool(container.container_id)
    image = str(container.spec["image"])
    entry = {
        "name": container.name,
        "image": image_messages.reference(image) if made else image,
        "imageID": container.image_id,
        "restartCount": container.restarts,
        "ready": done or container.ready,
        "started": container.started,
        "state": container.state,
        "lastState": container.last,
        "volumeMounts": [_mount(mount) for mount in container.spec.get("volumeMounts") or []],
    }
    if made:
        user = {"linux": _user(container.spec, pod["spec"])}
        entry |= {"containerID": container.container_id, "resources": resources, "user": user}
    if resources.get("requests"):
        entry["allocatedResources"] = resources["requests"]
    if container.devices:
        entry["allocatedResourcesStatus"] = list(_given(container.devices, sick))
    return entry


def _given(devices: Sequence[Device], sick: Collection[str]) -> Iterator[dict[str, Any]]:
    for resource in dict.fromkeys(device.resource for device in devices if device.resource):
        mine = [device for device in devices if device.resource == resource]
        health = ["Unhealthy" if each.gpu.uuid in sick else "Healthy" for each in mine]
        found = [
            {"resourceID": each.id, "health": word} for each, word in zip(mine, health, strict=True)
        ]
        yield {"name": resource, "resources": found}


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        kept |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return kept


def _user(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """Whom the process runs as: the container's word, else the Pod's, else root."""
    whole, own = pod.get("securityContext") or {}, container.get("securityContext") or {}
    uid, gid = (own.get(key, whole.get(key, 0)) for key in ("runAsUser", "runAsGroup"))
    groups = [gid, *([whole["fsGroup"]] if "fsGroup" in whole else [])]
    groups += whole.get("supplementalGroups") or []
    return {"uid": uid, "gid": gid, "supplementalGroups": list(dict.fromkeys(groups))}


def pod_resources(containers: Sequence[Container]) -> dict[str, Any]:
    """`resources` and `allocatedResources` of the whole Pod: the sums over its containers."""
    sums = {kind: _sum(containers, kind) for kind in ("requests", "limits")}
    status: dict[str, Any] = {"resources": {kind: total for kind, total in sums.items() if total}}
    if sums["requests"]:
        status["allocatedResources"] = sums["requests"]
    return status


def _sum(containers: Sequence[Container], kind: str) -> dict[str, str]:
    """The sum of each resource; a limit counts only if every container has it."""
    parts = [(c.spec.get("resources") or {}).get(kind) or {} for c in containers]
    names = dict.fromkeys(name for part in parts for name in part)
    if kind == "limits":
        names = dict.fromkeys(name for name in names if all(name in part for part in parts))
    return {name: _total([part[name] for part in parts if name in part]) for name in names}


def _total(amounts: Sequence[Any]) -> str:
    """One amount as it was written; several in the smallest unit that stays whole."""
    if len(amounts) == 1:
        return str(amounts[0])
    total = sum(quantity(amount) for amount in amounts)
    return str(int(total)) if total == int(total) else f"{int(total * 1000)}m"


def phase(
    policy: str,
    inits: Sequence[Container],
    mains: Sequence[Container],
    initialized: bool,
    terminal: bool = False,
) -> str:
    """The Pod's phase, after getPhase in pkg/kubelet/kubelet_pods.go.

    `initialized` says whether the init containers have once let the main ones start, `terminal`
    that no container will start again, whatever the policy.
    """
    if _initializing(inits, initialized):
        failed = any(_last_code(c) for c in inits if not c.sidecar)
        return "Failed" if terminal or (failed and policy == "Never") else "Pending"
    if terminal:
        return "Succeeded" if all(c.exit_code == 0 for c in mains) else "Failed"
    if any(not c.running and _last_code(c) is None for c in mains):
        return "Pending"
    if any(c.running for c in mains) or policy == "Always":
        return "Running"
    if any(c.exit_code is None for c in mains):  # in back-off, to be restarted
        return "Running"
    if all(c.exit_code == 0 for c in mains):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _initializing(inits: Sequence[Container], initialized: bool) -> bool:
    if initialized:
        return False
    return any(not c.started if c.sidecar else c.exit_code != 0 for c in inits)


def _last_code(container: Container) -> int | None:
    """Exit code of this run or, if it waits for a restart, of the one before."""
    ended = container.state.get("terminated") or container.last.get("terminated")
    return int(ended["exitCode"]) if ended else None


@dataclass
class Conditions:
    """The kubelet's four conditions; each keeps the time of its last transition."""

    since: dict[str, tuple[str, str]] = field(default_factory=dict)  # type → (status, time)
    generation: int = 1  # of the Pod's spec that the kubelet has acted on

    def restore(self, existing: Iterable[Mapping[str, Any]]) -> None:
        for condition in existing:
            self.since[condition["type"]] = (condition["status"], condition["lastTransitionTime"])

    def compute(
        self,
        phase: str,
        inits: Sequence[Container],
        mains: Sequence[Container],
        sandbox: bool,
        initialized_once: bool,
        now: dt.datetime,
        gates: Mapping[str, str | None],
    ) -> list[dict[str, Any]]:
        """All four in the kubelet's order; `sandbox` says whether the Pod has its network.

        `gates` has the status of each condition that is a readiness gate, None without one.
        """
        unfinished = [] if initialized_once else _unfinished(inits)
        initialized = _missing("ContainersNotInitialized", "incomplete", unfinished)
        counted = [*(c for c in inits if c.sidecar), *mains]
        ready = _missing("ContainersNotReady", "unready", [c.name for c in counted if not c.ready])
        if phase == "Succeeded":
            initialized, ready = {"reason": "PodCompleted"}, {"reason": "PodCompleted"}
        elif phase == "Failed" and any(c.container_id for c in (*inits, *mains)):
            ready = {"reason": "PodFailed"}
        whole = ready or _closed(gates)
        verdicts = {
            "PodReadyToStartContainers": (sandbox, {}),
            "Initialized": ("message" not in initialized, initialized),
            "Ready": (not whole, whole),
            "ContainersReady": (not ready, ready),
        }
        return [self._condition(kind, *verdict, now) for kind, verdict in verdicts.items()]

    def _condition(
        self, kind: str, holds: bool, why: Mapping[str, str], now: dt.datetime
    ) -> dict[str, Any]:
        value = "True" if holds else "False"
        status, since = self.since.get(kind, ("", ""))
        if status != value:
            since = stamp(now)
            self.since[kind] = (value, since)
        # null deletes what an earlier write said
        words = {"reason": why.get("reason"), "message": why.get("message")}
        seen = {"observedGeneration": self.generation}
        return {"type": kind, "status": value, "lastTransitionTime": since, **words, **seen}


def _unfinished(inits: Sequence[Container]) -> list[str]:
    return [c.name for c in inits if (not c.started if c.sidecar else c.exit_code != 0)]


def _closed(gates: Mapping[str, str | None]) -> dict[str, str]:
    """After GeneratePodReadyCondition in pkg/kubelet/status/generate.go."""
    words = [
        f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        if status is None
        else f'the status of pod readiness gate "{gate}" is not "True", but {status}'
        for gate, status in gates.items()
        if status != "True"
    ]
    return {"reason": "ReadinessGatesNotReady", "message": ", ".join(words)} if words else {}


def _missing(reason: str, word: str, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    listed = " ".join(names)
    return {"reason": reason, "message": f"containers with {word} status: [{listed}]"}
