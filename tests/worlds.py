"""Clusters and Pods drawn by hypothesis, each about one predicate of the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Object = dict[str, Any]
NAMES = tuple(f"w{number}" for number in range(1, 8))
GIB = 2**30
GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-1g.10gb"
ZONE, HOST, PRODUCT = "zone", "kubernetes.io/hostname", "nvidia.com/gpu.product"
TOLERATE_ALL = [{"operator": "Exists"}]
Drawn = st.SearchStrategy["World"]
TAINTS = (
    {"key": GPU, "value": "present", "effect": "NoSchedule"},
    {"key": "dedicated", "value": "research", "effect": "NoSchedule"},
    {"key": "dedicated", "value": "teaching", "effect": "NoSchedule"},
    {"key": "upgrade", "effect": "NoExecute"},
    {"key": "slow", "effect": "PreferNoSchedule"},
)


@dataclass(frozen=True)
class World:
    """What is put into the cluster, and the Pod that is then asked about."""

    nodes: tuple[Object, ...]
    holders: tuple[Object, ...]
    probe: Object


def node(name: str, labels: Object, spec: Object, allocatable: Object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {HOST: name, **labels}},
        "spec": spec,
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(name: str, requests: Object, labels: Object | None = None, **spec: Any) -> Object:
    """Device requests stand in limits, too, as the API wants them."""
    devices = {key: value for key, value in requests.items() if "/" in key}
    ports = spec.pop("ports", [])
    main = {
        "name": "main",
        "image": "registry.k8s.io/pause:3.10.1",
        "resources": {"requests": requests, "limits": devices},
        "ports": ports,
    }
    usual = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {**usual, **spec, "containers": [main, *spec.pop("more", [])]},
    }


def port(number: int, **more: str) -> Object:
    return {"containerPort": number, "hostPort": number, **more}


def term(key: str, **labels: str) -> Object:
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}}


def affinity(kind: str, *terms: Object) -> Object:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def node_affinity(*terms: Object) -> Object:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


amounts = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from(["2", "4", "8", "3500m"]),
        "memory": st.sampled_from(["4Gi", "8Gi", "16Gi", "9000000Ki"]),
        "pods": st.sampled_from(["110", "110", "110", "3"]),
        GPU: st.sampled_from(["0", "1", "2", "4", "8"]),
        MIG: st.sampled_from(["0", "0", "7"]),
        "ephemeral-storage": st.sampled_from(["10Gi", "100Gi"]),
    }
)
labels = st.fixed_dictionaries(
    {},
    optional={
        ZONE: st.sampled_from("abc"),
        PRODUCT: st.sampled_from(["NVIDIA-L40S", "NVIDIA-H100-80GB-HBM3"]),
        "gpus": st.sampled_from(["2", "8", "many"]),
    },
)
apps = st.fixed_dictionaries({"app": st.sampled_from(["red", "blue"])})
small = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["100m", "1", "2500m"]),
        "memory": st.sampled_from(["1Gi", "3Gi", "5000M"]),
        GPU: st.sampled_from(["1", "2", "4"]),
        "ephemeral-storage": st.sampled_from(["1Gi", "20Gi"]),
    },
)
priorities = st.sampled_from(["low", "middle", "high"])


@st.composite
def nodes(draw: st.DrawFn, /, **offers: str) -> tuple[Object, ...]:
    """At least three of the last five are open; others are cordoned or tainted."""
    opened = draw(st.sets(st.sampled_from(NAMES[2:]), min_size=3)) | draw(more_open)
    found = []
    for name in NAMES:
        spec = {} if name in opened else draw(closed)
        found.append(node(name, draw(labels), spec, draw(amounts) | offers))
    return tuple(found)


def same_taint(taint: Object) -> tuple[str, str]:
    """A node has one taint of a key and effect."""
    return taint["key"], taint["effect"]


more_open = st.one_of(st.just(set[str]()), st.sets(st.sampled_from(NAMES[:2])))
closed = st.one_of(
    st.just({"unschedulable": True}),
    st.builds(
        lambda taints: {"taints": taints},
        st.lists(st.sampled_from(TAINTS), min_size=1, max_size=2, unique_by=same_taint),
    ),
)


@st.composite
def holder(draw: st.DrawFn, /, name: str, where: str | None = None, **focus: Any) -> Object:
    """A Pod that a node has already: placed by name, so some nodes have more than they hold."""
    requests, own = focus.pop("requests", None), focus.pop("labels", None)
    more: Object = {"tolerations": TOLERATE_ALL, "priorityClassName": draw(priorities)}
    if draw(st.integers(0, 4)) == 0:
        more["ports"] = [port(draw(st.sampled_from([8080, 9090])))]
    if draw(st.integers(0, 4)) == 0:
        rule = term(draw(st.sampled_from([ZONE, HOST])), app="red")
        more["affinity"] = affinity("podAntiAffinity", rule)
    more |= {"nodeName": where or draw(st.sampled_from(NAMES)), **focus}
    requests = draw(small) if requests is None else requests
    return pod(name, requests, draw(apps) if own is None else own, **more)


@st.composite
def some_holders(draw: st.DrawFn) -> tuple[Object, ...]:
    return tuple(draw(holder(f"holder-{number}")) for number in range(draw(st.integers(0, 6))))


@st.composite
def on_each(draw: st.DrawFn, /, **focus: Any) -> tuple[Object, ...]:
    """One alike on every node, and some others."""
    alike = tuple(draw(holder(f"each-{name}", name, **focus)) for name in NAMES)
    return alike + draw(some_holders())


@st.composite
def on_some(draw: st.DrawFn, /, **focus: Any) -> tuple[Object, ...]:
    """One or two alike on every node that is neither first nor second."""
    places = [*NAMES[2:], *draw(st.lists(st.sampled_from(NAMES[2:]), max_size=4))]
    return tuple(
        draw(holder(f"alike-{number}", name, **focus)) for number, name in enumerate(places)
    )


@st.composite
def probe(draw: st.DrawFn, /, **focus: Any) -> Object:
    """A Pod with what the focus says; everything else at random."""
    requests = focus.pop("exactly", None) or draw(small) | focus.pop("requests", {})
    usual: Object = {
        "priorityClassName": draw(st.sampled_from(["low", "low", "never"])),
        "tolerations": draw(st.sampled_from(TOLERATIONS)),
    }
    return pod("probe", requests, focus.pop("labels", None) or draw(apps), **usual | focus)


TOLERATIONS: tuple[list[Object], ...] = (
    [],
    TOLERATE_ALL,
    [{"key": GPU, "operator": "Exists"}],
    [{"key": "dedicated", "value": "research", "effect": "NoSchedule"}],
    [{"key": "dedicated", "operator": "Exists"}, {"operator": "Exists", "effect": "NoExecute"}],
    [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}],
)


def world(
    asks: st.SearchStrategy[Object],
    has: st.SearchStrategy[tuple[Object, ...]],
    **offers: str,
) -> Drawn:
    """Nodes that offer what is said, and at random what is not."""
    return st.builds(World, nodes(**offers), has, asks)


@st.composite
def asking(draw: st.DrawFn, /, name: str, *sizes: str) -> Object:
    """For much of one resource, and perhaps of others."""
    return draw(probe(requests={name: draw(st.sampled_from(sizes))}))


@st.composite
def near_or_far(draw: st.DrawFn, /, kind: str) -> Object:
    """With one or two terms about Pods of a colour that nobody or everybody has."""
    colour = draw(st.sampled_from(["green", "red"])) if kind == "podAffinity" else "grey"
    terms = [term(draw(st.sampled_from([HOST, HOST, ZONE])), app=colour)]
    if draw(st.booleans()):
        terms.append(term(draw(st.sampled_from([ZONE, HOST, "rack"])), app=colour))
    if draw(st.booleans()):
        terms[0]["namespaceSelector"] = {}
    return draw(probe(affinity=affinity(kind, *terms), exactly={"cpu": "1m"}))


@st.composite
def spreading(draw: st.DrawFn, /, *keys: str) -> Object:
    """Among Pods that stand unevenly, over one or two kinds of domain."""
    found = [
        {
            "topologyKey": key,
            "maxSkew": draw(st.sampled_from([1, 1, 2])),
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "grey"}},
            "nodeTaintsPolicy": draw(st.sampled_from(["Ignore", "Ignore", "Honor"])),
            "nodeAffinityPolicy": draw(st.sampled_from(["Ignore", "Honor"])),
        }
        for key in keys
    ]
    mine = {"app": draw(st.sampled_from(["grey", "grey", "red"]))}
    return draw(probe(topologySpreadConstraints=found, labels=mine, exactly={"cpu": "1m"}))


rules = st.one_of(
    st.builds(
        lambda operator, values: {"key": ZONE, "operator": operator, "values": values},
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from([ZONE, PRODUCT, "gpus"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
    st.builds(
        lambda operator, value: {"key": "gpus", "operator": operator, "values": [value]},
        st.sampled_from(["Gt", "Lt"]),
        st.sampled_from(["2", "5", "8"]),
    ),
)
terms = st.lists(
    st.lists(rules, min_size=1, max_size=2).map(lambda found: {"matchExpressions": found}),
    min_size=1,
    max_size=2,
)
fields = st.lists(
    st.sampled_from([*NAMES, "nowhere"]).map(
        lambda name: {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
    ),
    min_size=1,
    max_size=2,
)
selectors = st.fixed_dictionaries(
    {ZONE: st.sampled_from("abcd")}, optional={PRODUCT: st.just("NVIDIA-L40S")}
)
host_port = st.builds(
    lambda protocol, ip: port(7070, protocol=protocol, hostIP=ip),
    st.sampled_from(["TCP", "TCP", "TCP", "UDP"]),
    st.sampled_from(["", "", "0.0.0.0", "10.1.1.1", "10.1.1.2"]),
)
KEEPS_OUT = affinity("podAntiAffinity", term(HOST, team="ours"))
HUGE = {GPU: "9"}  # more than any node has, so that a node that passes what is asked about says so


def others(**focus: Any) -> Drawn:
    """A Pod with what is said among a few others."""
    return world(probe(**focus), some_holders())


FOCUSES: dict[str, Drawn] = {
    "gpus": world(asking(GPU, "4", "8", "9"), some_holders()),
    "mig": world(asking(MIG, "8"), some_holders()),
    "cpu": world(asking("cpu", "7500m", "9"), some_holders()),
    "memory": world(asking("memory", "15Gi", "20G"), some_holders()),
    "storage": world(asking("ephemeral-storage", "99Gi", "1Ti"), some_holders()),
    "pods": world(probe(), on_each(requests={}), pods="1"),
    "selector": selectors.flatmap(lambda found: others(nodeSelector=found, requests=HUGE)),
    "affinity": terms.flatmap(lambda found: others(affinity=node_affinity(*found), requests=HUGE)),
    "names": fields.flatmap(lambda found: others(affinity=node_affinity(*found), requests=HUGE)),
    "ports": st.tuples(host_port, host_port).flatmap(
        lambda two: world(probe(ports=[two[0]], requests=HUGE), on_each(ports=[two[1]]))
    ),
    "spread": world(
        st.one_of(spreading(HOST), spreading(HOST, ZONE)),
        on_some(labels={"app": "grey"}, requests={}),
        pods="110",
    ),
    "racks": world(spreading("rack", HOST), some_holders(), pods="110"),
    "together": world(near_or_far("podAffinity"), some_holders(), pods="110"),
    "apart": world(near_or_far("podAntiAffinity"), on_each(labels={"app": "grey"}, requests={})),
    "kept out": world(
        probe(labels={"team": "ours"}, exactly={"cpu": "1m"}),
        on_each(affinity=KEEPS_OUT, labels={"app": "blue"}, requests={}),
        pods="110",
    ),
    "priority": st.tuples(
        st.sampled_from(["low", "low", "middle"]), st.sampled_from(["middle", "high"])
    ).flatmap(
        lambda two: world(
            probe(priorityClassName=two[1], exactly={"cpu": "1900m"}),
            on_each(priorityClassName=two[0], requests={"cpu": "8"}),
        )
    ),
}
"""What a world is about -> how it is drawn."""
REASONS = {
    "Insufficient nvidia.com/gpu": "gpus",
    f"Insufficient {MIG}": "mig",
    "Insufficient cpu": "cpu",
    "Insufficient memory": "memory",
    "Insufficient ephemeral-storage": "storage",
    "Too many pods": "pods",
    "node(s) were unschedulable": "gpus",
    "node(s) had untolerated taint(s)": "gpus",
    "node(s) didn't match Pod's node affinity/selector": "selector",
    "node(s) didn't satisfy plugin(s) [NodeAffinity]": "names",
    "node(s) didn't have free ports for the requested pod ports": "ports",
    "node(s) didn't match pod topology spread constraints": "spread",
    "node(s) didn't match pod topology spread constraints (missing required label)": "racks",
    "node(s) didn't match pod affinity rules": "together",
    "node(s) didn't match pod anti-affinity rules": "apart",
    "node(s) didn't satisfy existing pods anti-affinity rules": "kept out",
    "preemption": "priority",
}
"""All that the scheduler says of nodes, but for volumes and claims -> the worlds that show it."""
