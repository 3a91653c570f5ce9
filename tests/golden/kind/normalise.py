"""From raw objects to what two clusters can be compared by. Pure; recorder and test use it alike.

Generated names become numbered ones in the order in which they were first seen
(`web-6d4cf56db6-x7k2p` → `web-<rs1>-<id1>`). In texts UIDs, container ids, digests, addresses,
namespaces, nodes, pull times, image sizes and counts of nodes become placeholders. Delays that
the kubelet chooses (`back-off 20s`) stay: they are part of its behaviour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]

GO_DURATION = r"(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?(?:ns|µs|ms|s|m)"
PATTERNS = [
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<UID>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<ID>"),
    (re.compile(r"\bkube-api-access-[a-z0-9]{5}\b"), "kube-api-access-<ID>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<IP>"),
    (
        re.compile(rf"in {GO_DURATION} \({GO_DURATION} including waiting\)\. Image size: \d+"),
        "in <DURATION> (<DURATION> including waiting). Image size: <N>",
    ),
    (re.compile(r"used: \d+, capacity: \d+"), "used: <N>, capacity: <N>"),
    (re.compile(r"\b\d+/\d+ nodes are available"), "<N>/<N> nodes are available"),
    (re.compile(r"(?<=[:,] )\d+(?= (?:Insufficient|node|No preemption|Preemption))"), "<N>"),
]
# events that only say that the machine was slow, or that a probe was running as its Pod ended
NOISE = re.compile(r"context canceled|timed out waiting for the condition")
# what differs between any two runs, or is the object's own bookkeeping
VOLATILE = {
    "collisionCount",
    "completionTime",
    "currentRevision",
    "lastProbeTime",
    "lastScheduleTime",
    "lastSuccessfulTime",
    "lastTransitionTime",
    "lastUpdateTime",
    "resourceVersion",
    "startTime",
    "uid",
    "updateRevision",
}


class Names:
    """Generated names of one namespace, and what the goldens call them."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def learn(self, pod: Object) -> None:
        """Take in a Pod as it appears, and with it the ReplicaSet or Job that owns it."""
        meta = pod["metadata"]
        owners = meta.get("ownerReferences") or []
        if meta["name"] in self._known or "generateName" not in meta:
            return
        if any(owner["kind"] == "StatefulSet" for owner in owners):
            return  # its Pods are numbered
        prefix = meta["generateName"]
        for owner in owners:
            prefix = self._owner(owner["name"], meta) + prefix.removeprefix(owner["name"])
        self._known[meta["name"]] = self._next(prefix, "id")

    def normal(self, name: str) -> str:
        return self._known.get(name, name)

    def real(self, normal: str) -> str:
        return next((name for name, known in self._known.items() if known == normal), normal)

    def replace(self, text: str) -> str:
        for name in sorted(self._known, key=len, reverse=True):
            text = text.replace(name, self._known[name])
        return text

    def _owner(self, name: str, pod_meta: Object) -> str:
        if name in self._known:
            return self._known[name]
        template = (pod_meta.get("labels") or {}).get("pod-template-hash")
        if template and name.endswith(f"-{template}"):
            self._known[name] = self._next(name.removesuffix(template), "rs")
        elif made := re.fullmatch(r"(.+-)\d{8}", name):  # a CronJob's Job, after its minute
            self._known[name] = self._next(made[1], "minute")
        return self.normal(name)

    def _next(self, prefix: str, word: str) -> str:
        count = self._counts[prefix] = self._counts.get(prefix, 0) + 1
        return f"{prefix}<{word}{count}>"


def text(words: str, names: Names, surroundings: Mapping[str, str]) -> str:
    """A message without what differs between runs; `surroundings` maps words to placeholders."""
    words = names.replace(words)
    for word in sorted(surroundings, key=len, reverse=True):
        words = re.sub(rf"(?<![a-z0-9-]){re.escape(word)}(?![a-z0-9-])", surroundings[word], words)
    for pattern, placeholder in PATTERNS:
        words = pattern.sub(placeholder, words)
    return words.strip()


def story_line(status: Object) -> str:
    """Phase and containers of a Pod status in one line, without messages.

    >>> story_line({"phase": "Running", "containerStatuses": [{"name": "a", "ready": True,
    ...     "started": True, "restartCount": 1, "state": {"running": {}},
    ...     "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]})
    'Running | a: running ready started restarts=1 last=(terminated Error 1)'
    """
    parts = [status.get("phase", "")]
    for key, mark in (("initContainerStatuses", "init "), ("containerStatuses", "")):
        parts += [mark + _container_line(entry) for entry in status.get(key) or []]
    return " | ".join(parts)


def _container_line(entry: Object) -> str:
    words = [f"{entry['name']}: {_state(entry.get('state'))}"]
    words += [word for word in ("ready", "started") if entry.get(word)]
    if entry.get("restartCount"):
        words.append(f"restarts={entry['restartCount']}")
    if entry.get("lastState"):
        words.append(f"last=({_state(entry['lastState'])})")
    return " ".join(words)


def _state(state: Object | None) -> str:
    for kind, detail in (state or {}).items():
        words = [kind, detail.get("reason"), detail.get("exitCode"), _signal(detail)]
        return " ".join(str(word) for word in words if word is not None)
    return "none"


def _signal(detail: Object) -> str | None:
    return f"signal {detail['signal']}" if detail.get("signal") else None


def messages(status: Object) -> list[str]:
    """The texts in a Pod status: the Pod's own, then those of its containers' states."""
    found = [f"Pod {status.get('reason')}: {status['message']}"] if status.get("message") else []
    for key in ("initContainerStatuses", "containerStatuses"):
        for entry in status.get(key) or []:
            for kind, detail in (entry.get("state") or {}).items():
                if detail.get("message"):
                    reason = f"{kind} {detail.get('reason')}"
                    found.append(f"{entry['name']} {reason}: {detail['message'].strip()}")
    return found


def condition(entry: Object) -> str:
    """A condition without its times: 'False ContainersNotReady: containers with unready …'."""
    words = " ".join(word for word in (entry["status"], entry.get("reason")) if word)
    return f"{words}: {entry['message']}" if entry.get("message") else words


def event_line(event: Object) -> str:
    """An event in one line; the field path, if it has one, names the container."""
    path = event["involvedObject"].get("fieldPath")
    where = f" {path}" if path else ""
    return f"{event['type']} {event['reason']}{where}: {(event.get('message') or '').strip()}"


def event_order(event: Object) -> int:
    """When an event was made, in nanoseconds: recorders put it, in hex, after the name's last dot.

    The timestamps have whole seconds only.
    """
    return int(event["metadata"]["name"].rpartition(".")[2], 16)


def event_count(event: Object) -> int:
    return max(event.get("count") or 1, (event.get("series") or {}).get("count") or 1)


def is_noise(event: Object) -> bool:
    return bool(NOISE.search(event.get("message") or ""))


def component(event: Object) -> str:
    source = (event.get("source") or {}).get("component")
    return source or event.get("reportingComponent") or "?"


def settled(value: Any) -> Any:
    """An object's status without times and generated revisions."""
    if isinstance(value, dict):
        return {key: settled(entry) for key, entry in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [settled(entry) for entry in value]
    return value


def distinct(lines: Iterable[str]) -> list[str]:
    """Without immediate repetitions."""
    kept: list[str] = []
    for line in lines:
        if not kept or kept[-1] != line:
            kept.append(line)
    return kept
