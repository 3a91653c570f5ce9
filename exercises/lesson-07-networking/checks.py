"""Lesson 7: workers find each other by name, and nobody else gets in."""

from __future__ import annotations

from collections.abc import Iterator

from autograders.checks import CheckFailed, NotYet, check, expect
from autograders.cluster import Cluster, Pod
from autograders.cluster.selectors import matches
from autograders.model import KubeObject

SERVICE, WORKERS = "train", ("train-0", "train-1")
HEADLESS = "service.kubernetes.io/headless"
NAME = "kubernetes.io/metadata.name"
MAKE_ANEW = "kubectl replace --force --filename network.yaml"

Labels = dict[str, str]
Source = tuple[Labels, Labels]
"""Labels of a Pod that sends, and of its namespace."""


@check(points=1)
def has_no_address_of_its_own(cluster: Cluster) -> None:
    """Only a headless Service stands for its Pods one by one."""
    address = service(cluster)["spec"].get("clusterIP")
    expect(
        address == "None",
        f"Service {SERVICE} has the address {address}, behind which the workers have no names",
        f"set clusterIP: None, and make it anew, for the field cannot be changed: {MAKE_ANEW}",
    )


@check(points=2, fidelity="simulated")
def names_every_worker(cluster: Cluster) -> None:
    """DNS serves what the EndpointSlices list: an address and a host name for each worker."""
    has_no_address_of_its_own(cluster)
    selector = service(cluster)["spec"].get("selector") or {}
    listed = dict(named(cluster))
    for pod in workers(cluster):
        expect(
            matches({"matchLabels": selector}, labels_of(pod)),
            f"the Service selects {selector}, and Pod {pod.name} has {labels_of(pod)}",
            "compare: kubectl get pods --show-labels --namespace lesson-07-task",
        )
        if listed.get(str(pod.spec.get("hostname"))) != pod.status.get("podIP"):
            raise NotYet(f"{pod.name} is not in the list yet", "check again in a moment")


@check(points=1)
def names_them_before_they_are_ready(cluster: Cluster) -> None:
    """A worker is ready once it has found the others, so it must be found before."""
    has_no_address_of_its_own(cluster)
    expect(
        service(cluster)["spec"].get("publishNotReadyAddresses"),
        "names are published only once a worker is ready, and none will be",
        "set publishNotReadyAddresses: true in the Service",
    )


@check(points=2)
def keeps_strangers_out(cluster: Cluster) -> None:
    """A Pod is open to everybody until a policy selects it; then to those that a rule names."""
    for pod in workers(cluster):
        for what, source in strangers(cluster):
            expect(
                not lets_in(cluster, pod, source),
                f"{what} gets in to {pod.name}",
                "select the workers in podSelector, and name them alone under ingress.from",
            )


@check(points=1)
def lets_workers_in(cluster: Cluster) -> None:
    """NCCL connects each worker to the others, on ports that nobody knows beforehand."""
    keeps_strangers_out(cluster)
    for pod in workers(cluster):
        expect(
            lets_in(cluster, pod, (labels_of(pod), namespace_labels(cluster)), any_port=True),
            f"{pod.name} is closed to the other workers, or to most of their ports",
            "under ingress.from name a podSelector that the workers match, without ports",
        )


def service(cluster: Cluster) -> KubeObject:
    for each in own(cluster, "Service", "services"):
        if each["metadata"]["name"] == SERVICE:
            return each
    raise CheckFailed(
        f"there is no Service {SERVICE} in namespace {cluster.namespace}",
        f"write network.yaml, then: {MAKE_ANEW}",
    )


def workers(cluster: Cluster) -> list[Pod]:
    """The Job's Pods: one for each index, found by the host name that the Job gives them."""
    found = [
        each
        for each in cluster.pods()
        if each.namespace == cluster.namespace and each.spec.get("hostname") in WORKERS
    ]
    if len(found) != len(WORKERS):
        raise NotYet(
            "the Job's two workers are not there", "if it stays so: gpulab reset lesson-07"
        )
    return found


def labels_of(pod: Pod) -> Labels:
    return dict(pod.meta.get("labels") or {})


def named(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Host names and addresses in the Service's lists."""
    for each in own(cluster, "EndpointSlice", "endpointslices"):
        given = each["metadata"].get("labels") or {}
        if given.get("kubernetes.io/service-name") == SERVICE and HEADLESS in given:
            for one in each.get("endpoints") or ():
                yield str(one.get("hostname")), one["addresses"][0]


def own(cluster: Cluster, kind: str, resource: str) -> Iterator[KubeObject]:
    for each in cluster.objects(kind, resource):
        if each["metadata"].get("namespace") == cluster.namespace:
            yield each


def namespace_labels(cluster: Cluster) -> Labels:
    for each in cluster.objects("Namespace", "namespaces"):
        if each["metadata"]["name"] == cluster.namespace:
            return dict(each["metadata"].get("labels") or {})
    raise CheckFailed(f"there is no namespace {cluster.namespace}", "run: gpulab start lesson-07")


def strangers(cluster: Cluster) -> Iterator[tuple[str, Source]]:
    """Pods that must not get in."""
    here = namespace_labels(cluster)
    yield "another Pod of this namespace", ({"app": "notebook"}, here)
    yield "another Pod of the same team", ({"app": "notebook", "team": "vision"}, here)
    yield (
        "a Pod of another namespace that calls itself a worker",
        (
            {"app": "train", "team": "vision"},
            {NAME: "other-team"},
        ),
    )


def lets_in(cluster: Cluster, pod: Pod, source: Source, *, any_port: bool = False) -> bool:
    """Whether the policies let a source reach the Pod: on some port, or on any."""
    specs = [
        each["spec"]
        for each in own(cluster, "NetworkPolicy", "networkpolicies")
        if matches(each["spec"].get("podSelector"), labels_of(pod))
        and "Ingress" in (each["spec"].get("policyTypes") or ("Ingress",))
    ]
    rules = [rule for spec in specs for rule in spec.get("ingress") or ()]
    here = namespace_labels(cluster)
    open_to = [rule for rule in rules if not (any_port and rule.get("ports"))]
    return not specs or any(admits(rule, source, here) for rule in open_to)


def admits(rule: KubeObject, source: Source, here: Labels) -> bool:
    """Whether a rule's `from` names the source; a rule without one names everybody."""
    peers = rule.get("from")
    return not peers or any(is_peer(each, source, here) for each in peers)


def is_peer(peer: KubeObject, source: Source, here: Labels) -> bool:
    """A block of addresses may hold any Pod; without a namespaceSelector it is this namespace."""
    if "ipBlock" in peer:
        return True
    labels, space = source
    chosen = peer.get("namespaceSelector")
    there = space == here if chosen is None else matches(chosen, space)
    return there and ("podSelector" not in peer or matches(peer["podSelector"], labels))
