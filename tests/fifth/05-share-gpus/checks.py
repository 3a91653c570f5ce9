"""A team gets two GPUs, and its intern may look and not touch."""

from autograders.checks import check, expect
from autograders.cluster import Cluster

ASKED = ("asked",)
TWO = "set the quota's hard limit of requests.nvidia.com/gpu to 2"


@check(points=2, phases=ASKED)
def limits_the_team(cluster: Cluster) -> None:
    """A quota is kept by the API server, before anything is scheduled."""
    quotas = cluster.objects("ResourceQuota", "resourcequotas")
    here = [each for each in quotas if each["metadata"]["namespace"] == cluster.namespace]
    expect(here, "there is no ResourceQuota", "see: kubectl create quota --help")
    third = cluster.at("asked").refusal("three-gpus")
    expect("exceeded quota" in third, f"of a third GPU it is said: {third or 'yes'}", TWO)
    second = cluster.at("asked").refusal("two-gpus")
    expect(not second, f"two GPUs are refused: {second}", TWO)


@check(points=1, phases=ASKED)
def lets_the_intern_look(cluster: Cluster) -> None:
    """A Role names what may be done, and everything else is refused."""
    asked = cluster.at("asked")
    expect(asked.may("intern-lists"), "the intern may not list Pods", "bind a Role with list")
    expect(not asked.may("intern-deletes"), "the intern may delete Pods", "leave delete out")
