"""Play scenarios on a cluster and write down what it shows. Recorder and test use it alike."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.golden.kind import normalise, verbs
from tests.golden.kind.cluster import Cluster, Refused, deadline
from tests.golden.kind.normalise import Names
from tests.golden.kind.scenario import Scenario, Step, Until, holds, load, load_spec

Object = dict[str, Any]
Plain = Callable[[str], str]  # normalise.text of one namespace
IMAGES = ("busybox:1.35.0", "busybox:1.36.1")  # every node has them before a scenario begins
CONTROLLERS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob")
SETTLE = 1.5  # seconds for events and statuses that follow the last step


@dataclass
class Story:
    """What one namespace has shown so far."""

    names: Names = field(default_factory=Names)
    pods: dict[str, Object] = field(default_factory=dict)  # those that exist, by name
    versions: dict[tuple[str, str], list[Object]] = field(default_factory=dict)  # name, uid → …
    events: dict[str, Object] = field(default_factory=dict)  # newest version by name
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False  # the steps are done: what Pods show now depends on when one looks

    def take(self, change: str, item: Object) -> None:
        name = item["metadata"]["name"]
        if item["kind"] == "Event":
            self.events[name] = item
        elif not self.over:
            self.names.learn(item)
            key = (name, item["metadata"]["uid"])
            self.versions.setdefault(key, []).append(item["status"])
            self.pods[name] = item
            if change == "DELETED":
                del self.pods[name]
        self.changed.set()


class Stage:
    """A cluster with one watch on all Pods and one on all Events, shared by the stories."""

    def __init__(self, cluster: Cluster, nodes: Sequence[str], node: str) -> None:
        self.cluster, self.nodes, self.node = cluster, nodes, node
        self.stories: dict[str, Story] = {}

    async def follow(self, kind: str) -> None:
        """Hand every change to its namespace's story, for ever."""
        version = (await self.cluster.list(kind))["metadata"]["resourceVersion"]
        async for change, item in self.cluster.watch(kind, version):
            item["kind"] = kind
            if story := self.stories.get(item["metadata"]["namespace"]):
                story.take(change, item)


@contextlib.asynccontextmanager
async def stage(kubeconfig: Path) -> AsyncIterator[Stage]:
    """A stage, ready: watches running and the images on every node."""
    async with Cluster(kubeconfig) as cluster:
        nodes = (await cluster.list("Node"))["items"]
        plain = [n for n in nodes if "nvidia.com/gpu" not in n["status"]["capacity"]]
        every = [node["metadata"]["name"] for node in nodes]
        made = Stage(cluster, every, (plain or nodes)[-1]["metadata"]["name"])
        watches = [asyncio.create_task(made.follow(kind)) for kind in ("Pod", "Event")]
        try:
            await _pull_images(made)
            yield made
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)


@dataclass(frozen=True)
class Scene:
    """A namespace after the steps of a scenario."""

    namespace: str
    story: Story
    stuck: str
    plain: Plain


@contextlib.asynccontextmanager
async def scene(stage: Stage, name: str) -> AsyncIterator[Scene]:
    """Play the steps of one scenario in a fresh namespace, which is deleted afterwards."""
    scenario = load(name, stage.node)
    async with _namespace(stage) as (namespace, story):
        for item in load_spec(name, stage.node):
            await stage.cluster.create(item, namespace)
        stuck = await _steps(stage, scenario, namespace, story)
        story.over = True
        surroundings = {namespace: "<NAMESPACE>", **dict.fromkeys(stage.nodes, "<NODE>")}
        yield Scene(
            namespace, story, stuck, lambda words: normalise.text(words, story.names, surroundings)
        )


async def play(stage: Stage, name: str, samples: Path) -> Object:
    """Play one scenario; `stuck` in the run is a step that took too long."""
    async with scene(stage, name) as made:
        if sample := load(name).sample:
            _write_sample(made.story, samples / f"{sample}.yaml")
        await asyncio.sleep(SETTLE)
        run = written(made.story, made.plain)
        run["objects"] = await _objects(stage, made.namespace, name, made.plain)
    return run | ({"stuck": made.stuck} if made.stuck else {})


async def ask_kubectl(stage: Stage, command: list[str]) -> tuple[dict[str, verbs.Answer], str]:
    """What `command`, kubectl with its cluster, answers to every case; the step that was stuck."""
    async with scene(stage, "kubectl") as made:
        there = [*command, "--namespace", made.namespace]
        answers = await asyncio.to_thread(verbs.ask, there, stage.node, made.plain)
        return answers, made.stuck


def written(story: Story, plain: Plain) -> Object:
    """A story as lines; the shape of `observed.json`, with a list for each track."""
    pods: dict[str, Object] = {}
    for (name, _), statuses in story.versions.items():
        label = story.names.normal(name)
        label += f" #{sum(k.partition(' #')[0] == label for k in pods) + 1}" * (label in pods)
        pods[label] = _pod(statuses, plain)
    return {"pods": pods, **_events(story, plain)}


def _pod(statuses: Iterable[Object], plain: Plain) -> Object:
    statuses = list(statuses)
    conditions: dict[str, list[str]] = {}
    for status in statuses:
        for entry in status.get("conditions") or []:
            conditions.setdefault(entry["type"], []).append(plain(normalise.condition(entry)))
    lines = [plain(line) for status in statuses for line in normalise.messages(status)]
    return {
        "story": normalise.distinct(normalise.story_line(status) for status in statuses),
        "messages": list(dict.fromkeys(lines)),
        "conditions": {kind: normalise.distinct(track) for kind, track in conditions.items()},
    }


def _events(story: Story, plain: Plain) -> Object:
    """By object and component: lines in order, and those that a kubelet counted more than once.

    How often the scheduler and the controllers say something depends on what else happens there,
    and how often a back-off is told on how many syncs fall into it.
    """
    events: dict[str, dict[str, list[str]]] = {}
    repeated: set[str] = set()
    told = [event for event in story.events.values() if not normalise.is_noise(event)]
    for event in sorted(told, key=normalise.event_order):
        about, who = event["involvedObject"], normalise.component(event)
        key = f"{about['kind']}/{story.names.normal(about['name'])}"
        line = plain(normalise.event_line(event))
        lines = events.setdefault(key, {}).setdefault(who, [])
        again = line in lines or normalise.event_count(event) > 1
        if again and who == "kubelet" and event["reason"] != "BackOff":
            repeated.add(f"{key} {line}")
        if line not in lines:
            lines.append(line)
    return {"events": events, "repeated": sorted(repeated)}


async def _steps(stage: Stage, scenario: Scenario, namespace: str, story: Story) -> str:
    """All steps within the scenario's time; the words for the one that did not come, if any."""
    now: list[Step] = []

    async def go() -> None:
        for step in scenario.steps:
            now.append(step)
            await _step(stage, step, namespace, story)

    return "" if await deadline(scenario.seconds, go()) else f"{now[-1].until or now[-1]}"


async def _step(stage: Stage, step: Step, namespace: str, story: Story) -> None:
    cluster = stage.cluster
    if step.until:
        await _until(cluster, step.until, namespace, story)
    if step.delete:
        kind, _, name = step.delete.partition("/")
        await cluster.delete(kind, story.names.real(name), namespace)
    if step.patch:
        kind, _, name = step.patch.of.partition("/")
        await cluster.patch(kind, story.names.real(name), namespace, step.patch.body)
    if step.create:
        await cluster.create(step.create, namespace)
    if step.seconds:
        await asyncio.sleep(step.seconds)


async def _until(cluster: Cluster, until: Until, namespace: str, story: Story) -> None:
    """Look again after every change of a Pod or Event, for other objects twice a second."""
    kind, _, normal = until.of.partition("/")
    while True:
        story.changed.clear()
        name = story.names.real(normal)
        item = story.pods.get(name)
        if kind != "Pod":
            item = await cluster.get(kind, name, namespace)
        existed = kind != "Pod" or any(name == key[0] for key in story.versions)
        about = {"kind": kind, "name": name}
        told = [
            event["reason"]
            for event in story.events.values()
            if about.items() <= event["involvedObject"].items()
        ]
        if holds(until, item, existed, told):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(story.changed.wait(), 0.5)


async def _objects(stage: Stage, namespace: str, name: str, plain: Plain) -> Object:
    """The last status of every controller's object."""
    made = {item["kind"] for item in load_spec(name, stage.node)}
    found: Object = {}
    for kind in CONTROLLERS if made & set(CONTROLLERS) else ():
        for item in (await stage.cluster.list(kind, namespace))["items"]:
            key = plain(f"{kind}/{item['metadata']['name']}")
            found[key] = _plain_tree(normalise.settled(item.get("status") or {}), plain)
    return found


def _plain_tree(value: Any, plain: Plain) -> Any:
    if isinstance(value, dict):
        return {key: _plain_tree(entry, plain) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain_tree(entry, plain) for entry in value]
    return plain(value) if isinstance(value, str) else value


@contextlib.asynccontextmanager
async def _namespace(stage: Stage) -> AsyncIterator[tuple[str, Story]]:
    """A fresh namespace in which Pods can be made, and its story."""
    name = f"golden-{uuid.uuid4().hex[:8]}"
    story = stage.stories[name] = Story()
    await stage.cluster.create({"kind": "Namespace", "metadata": {"name": name}})
    try:
        # without these a first Pod is refused, or its first mount fails
        await deadline(10, _exists(stage.cluster, "ServiceAccount", "default", name))
        await deadline(10, _exists(stage.cluster, "ConfigMap", "kube-root-ca.crt", name))
        yield name, story
    finally:
        del stage.stories[name]
        with contextlib.suppress(Refused):
            await stage.cluster.delete("Namespace", name)


async def _exists(cluster: Cluster, kind: str, name: str, namespace: str) -> None:
    while await cluster.get(kind, name, namespace) is None:
        await asyncio.sleep(0.05)


async def _pull_images(stage: Stage) -> None:
    """Run every image once on every node."""
    async with _namespace(stage) as (namespace, story):
        for number, image in enumerate(IMAGES):
            await stage.cluster.create(_on_every_node(f"pull-{number}", image), namespace)

        async def ready() -> None:
            while sum(p["status"]["phase"] == "Running" for p in story.pods.values()) < len(
                IMAGES
            ) * len(stage.nodes):
                await asyncio.sleep(0.1)

        if not await deadline(90, ready()):
            raise TimeoutError(f"{', '.join(IMAGES)} did not reach every node")


def _on_every_node(name: str, image: str) -> Object:
    container = {"name": "c", "image": image, "command": ["sleep", "3600"]}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}


def _write_sample(story: Story, path: Path) -> None:
    import yaml

    pod = next(iter(story.pods.values()))
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"status": pod["status"]}, sort_keys=False), encoding="utf-8")
