"""What a kubelet knows of a Pod besides its containers, and the status that follows. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpulab.sim.messages import Verdict
from gpulab.sim.status import Conditions, Container, container_status, phase, pod_resources
from gpulab.sim.times import parse, stamp

Pod = dict[str, Any]
FINAL = ("Succeeded", "Failed")


@dataclass
class Report:
    """One Pod's; `compose` gives the whole `status`."""

    phase: str
    started: dt.datetime
    ip: str = ""
    initialized: bool = False  # whether the init containers have once let the main ones start
    verdict: Verdict | None = None  # of a Pod failed whole
    conditions: Conditions = field(default_factory=Conditions)

    @classmethod
    def of(cls, status: dict[str, Any]) -> Report:
        """As an earlier simulator wrote it in the Pod's status."""
        began = parse(status["startTime"]) if "startTime" in status else dt.datetime.now(dt.UTC)
        report = cls(status.get("phase", "Pending"), began, status.get("podIP", ""))
        known = status.get("conditions") or []
        report.conditions.restore(known)
        now = {condition["type"]: condition["status"] for condition in known}
        report.initialized = now.get("Initialized") == "True"
        return report

    @property
    def final(self) -> bool:
        return self.phase in FINAL

    def compose(
        self,
        pod: Pod,
        inits: Sequence[Container],
        mains: Sequence[Container],
        extras: Sequence[Container],
        host_ip: str,
        *,
        terminal: bool,
        sick: Collection[str] = (),
    ) -> dict[str, Any]:
        """The status now; it becomes Succeeded or Failed only with the `terminal` one, the last.

        `sick` has the UUIDs of devices that are not healthy.
        """
        self._move(pod["spec"]["restartPolicy"], inits, mains, terminal)
        self.conditions.generation = pod["metadata"].get("generation", 1)
        status: dict[str, Any] = {
            "phase": self.phase,
            "observedGeneration": self.conditions.generation,
            "conditions": self._conditions(pod, inits, mains),
            "startTime": stamp(self.started),
            "hostIP": host_ip,
            "hostIPs": [{"ip": host_ip}],
            "containerStatuses": [container_status(c, pod, sick) for c in mains],
            **pod_resources(mains),
        }
        if inits:
            status["initContainerStatuses"] = [container_status(c, pod, sick) for c in inits]
        if extras:
            status["ephemeralContainerStatuses"] = [
                container_status(c, pod) | {"ready": False} for c in extras
            ]
        if self.ip:
            status |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        return status | self._words()

    def reject(self, verdict: Verdict) -> dict[str, Any]:
        """The status of a Pod that the node does not admit."""
        self.phase, self.verdict = "Failed", verdict
        return {"phase": self.phase, "startTime": stamp(self.started), **self._words()}

    def _words(self) -> dict[str, str]:
        if self.verdict is None:
            return {}
        return {"reason": self.verdict[0], "message": self.verdict[1]}

    def _move(
        self, policy: str, inits: Sequence[Container], mains: Sequence[Container], terminal: bool
    ) -> None:
        found = phase(policy, inits, mains, self.initialized, terminal)
        if terminal or found not in FINAL:
            self.phase = "Failed" if self.verdict else found

    def _conditions(
        self, pod: Pod, inits: Sequence[Container], mains: Sequence[Container]
    ) -> list[dict[str, Any]]:
        sandbox = bool(self.ip) and not self.final
        found = self.conditions.compute(
            self.phase,
            inits,
            mains,
            sandbox,
            self.initialized,
            dt.datetime.now(dt.UTC),
            readiness_gates(pod),
        )
        if not placed(pod):
            since = stamp(self.started)
            found.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": since})
        return found


def readiness_gates(pod: Pod) -> dict[str, str | None]:
    """Status of the conditions that the Pod's readiness waits for; others write them."""
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions") or []}
    wanted = (gate["conditionType"] for gate in pod["spec"].get("readinessGates") or [])
    return {gate: conditions.get(gate) for gate in wanted}


def placed(pod: Pod) -> bool:
    """Whether a scheduler has bound the Pod; else somebody has set its `nodeName` by hand."""
    conditions = pod["status"].get("conditions") or []
    return any(condition["type"] == "PodScheduled" for condition in conditions)
