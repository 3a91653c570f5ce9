"""What a Pod's object says, in the words of a learner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autograders.cluster.quantities import parse
from autograders.model import KubeObject

GPU = "nvidia.com/gpu"
PULL_TROUBLES = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
TROUBLES = PULL_TROUBLES | {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "RunContainerError",
}
"""Waiting reasons that more waiting will not mend."""


@dataclass(frozen=True)
class Container:
    """One container: what was asked for, and what the kubelet says of it."""

    spec: KubeObject
    """From spec.containers or spec.initContainers."""
    status: KubeObject
    """From status.containerStatuses; empty before the kubelet spoke."""

    @property
    def name(self) -> str:
        return str(self.spec.get("name", ""))

    @property
    def image(self) -> str:
        return str(self.spec.get("image", ""))

    @property
    def command(self) -> tuple[str, ...]:
        """Command and arguments in one; empty when the image's own are used."""
        return (*self.spec.get("command", ()), *self.spec.get("args", ()))

    @property
    def env(self) -> dict[str, str]:
        return {each["name"]: str(each.get("value", "")) for each in self.spec.get("env", ())}

    @property
    def privileged(self) -> bool:
        return bool((self.spec.get("securityContext") or {}).get("privileged"))

    def asks(self, resource: str = GPU) -> int:
        """Whole units that the limits name; the API keeps an extended resource's request equal."""
        limits = (self.spec.get("resources") or {}).get("limits") or {}
        return int(parse(limits.get(resource, 0)))

    @property
    def waiting(self) -> tuple[str, str]:
        """Reason and message; empty when it does not wait."""
        state = (self.status.get("state") or {}).get("waiting") or {}
        return str(state.get("reason", "")), str(state.get("message", ""))

    @property
    def exit_code(self) -> int | None:
        """Of the container that ended; None while it runs or waits."""
        ended = (self.status.get("state") or {}).get("terminated")
        return None if ended is None else int(ended.get("exitCode", 0))

    @property
    def exit_reason(self) -> str:
        """`Completed`, `Error: message` …; empty while it runs or waits."""
        ended = (self.status.get("state") or {}).get("terminated") or {}
        return ": ".join(str(ended[key]) for key in ("reason", "message") if ended.get(key))

    @property
    def has_started(self) -> bool:
        """Did a process of it ever run? A container that could not be started never did."""
        states = (self.status.get("state") or {}, self.status.get("lastState") or {})
        ended = (state.get("terminated") or {} for state in states)
        return "running" in states[0] or any(
            one and one.get("reason") not in {"StartError", "ContainerCannotRun"} for one in ended
        )

    @property
    def is_pulled(self) -> bool:
        """Did its node get the image? The kubelet names the image's digest once it has it."""
        return bool(self.status.get("imageID")) or self.has_started

    def devices(self, resource: str = GPU) -> tuple[str, ...]:
        """IDs of the devices that the kubelet gave it (KEP-4680)."""
        return tuple(
            str(device.get("resourceID", ""))
            for allocated in self.status.get("allocatedResourcesStatus") or ()
            if allocated.get("name") == resource
            for device in allocated.get("resources") or ()
        )


@dataclass(frozen=True)
class Pod:
    """A Pod as the API returned it."""

    object: KubeObject
    """The whole object."""

    @property
    def meta(self) -> KubeObject:
        return self.object.get("metadata") or {}

    @property
    def spec(self) -> KubeObject:
        return self.object.get("spec") or {}

    @property
    def status(self) -> KubeObject:
        return self.object.get("status") or {}

    @property
    def name(self) -> str:
        return str(self.meta.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.meta.get("namespace", "default"))

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", "Pending"))

    @property
    def node(self) -> str | None:
        """The name of the node that it is bound to."""
        return self.spec.get("nodeName") or None

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        return self._pair("containers", "containerStatuses")

    @cached_property
    def init_containers(self) -> tuple[Container, ...]:
        return self._pair("initContainers", "initContainerStatuses")

    def _pair(self, specs: str, statuses: str) -> tuple[Container, ...]:
        by_name = {each.get("name"): each for each in self.status.get(statuses) or ()}
        return tuple(
            Container(each, by_name.get(each.get("name"), {}))
            for each in self.spec.get(specs) or ()
        )

    @property
    def all_containers(self) -> tuple[Container, ...]:
        return self.init_containers + self.containers

    def asks(self, resource: str = GPU) -> int:
        """Units that the scheduler sets aside: init containers run one after another, before."""
        beside = peak = 0
        for each in self.init_containers:
            stays = each.spec.get("restartPolicy") == "Always"  # a sidecar
            peak = max(peak, beside + each.asks(resource))
            beside += each.asks(resource) if stays else 0
        return max(peak, beside + sum(each.asks(resource) for each in self.containers))

    def devices(self, resource: str = GPU) -> tuple[str, ...]:
        return tuple(one for each in self.all_containers for one in each.devices(resource))

    @property
    def is_finished(self) -> bool:
        """Finished Pods hold no GPU; terminating ones still do."""
        return self.phase in {"Succeeded", "Failed"}

    def condition(self, kind: str) -> KubeObject:
        found: list[dict[str, Any]] = [
            each for each in self.status.get("conditions") or () if each.get("type") == kind
        ]
        return found[0] if found else {}

    @property
    def is_ready(self) -> bool:
        return self.condition("Ready").get("status") == "True"

    @property
    def unschedulable(self) -> str:
        """The scheduler's reason; empty when it has placed the Pod or not yet looked at it."""
        found = self.condition("PodScheduled")
        if found.get("status") != "False":
            return ""
        return str(found.get("message") or found.get("reason") or "the scheduler gave no reason")

    @property
    def trouble(self) -> tuple[Container, str, str] | None:
        """The first container that waits for something that waiting will not mend."""
        for each in self.all_containers:
            reason, message = each.waiting
            if reason in TROUBLES and not is_stale(each):
                return each, reason, message
        return None

    @property
    def in_flight(self) -> str:
        """What the Pod is still on its way to; empty once it can be judged."""
        if self.meta.get("deletionTimestamp"):
            return f"Pod {self.name} to be gone"
        if self.is_finished or self.trouble or self.unschedulable:
            return ""
        if not self.node:
            return f"Pod {self.name} to be scheduled"
        if self.spec.get("restartPolicy", "Always") != "Always":
            return f"Pod {self.name} to finish"
        return "" if self.is_ready else f"Pod {self.name} to be ready"

    @property
    def placed_by_hand(self) -> bool:
        """Say whether a client wrote spec.nodeName itself.

        The scheduler binds through the Binding subresource, which leaves no entry in
        managedFields; a client that names the node in its manifest is recorded there as the
        owner of `f:nodeName`. Unlike the Event `Scheduled`, that neither expires after an hour
        nor can it be created by the stock `edit` role.
        """
        fields = (each.get("fieldsV1") or {} for each in self.meta.get("managedFields") or ())
        return any("f:nodeName" in (each.get("f:spec") or {}) for each in fields)


def is_stale(container: Container) -> bool:
    """Say whether this trouble is about an image that the container no longer names."""
    reason, message = container.waiting
    return reason in PULL_TROUBLES and bool(message) and container.image not in message
