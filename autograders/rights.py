"""What a replayed submission may do in the exercise's namespace: rules as in a Role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta, Struct

Words = Annotated[tuple[str, ...], Meta(min_length=1)]
WRITE = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
READ = ("get", "list", "watch")
NEVER = frozenset(
    {
        "*",
        "bindings",
        "events",
        "secrets",
        "serviceaccounts/token",
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
        "nodes",
    }
)
"""Resources that would let a submission write its own evidence, or its own rights."""
READABLE_PARTS = frozenset({"log", "scale"})
"""Of a resource; all others (status, binding, exec, eviction …) are the cluster's to write."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of the Role."""

    groups: Words
    """API groups; "" is the core."""
    resources: Words
    """Plurals."""
    verbs: Words = WRITE
    """What may be done with them."""


WORKLOADS = (
    Rule(("",), ("pods", "services", "configmaps", "persistentvolumeclaims")),
    Rule(("",), ("pods/log",), ("get",)),
    Rule(("apps",), ("deployments", "statefulsets", "daemonsets", "replicasets")),
    Rule(("batch",), ("jobs", "cronjobs")),
    Rule(("policy",), ("poddisruptionbudgets",)),
)
"""What an exercise allows that says nothing else."""


def faults(rules: Sequence[Rule]) -> Iterator[str]:
    """Whatever no exercise may allow."""
    for rule in rules:
        for resource in rule.resources:
            part = resource.partition("/")[2]
            if resource in NEVER or (part and part not in READABLE_PARTS):
                yield f"allow: no submission may have {resource!r}"
        for verb in set(rule.verbs) - set(WRITE):
            yield f"allow: no submission may {verb!r}"
        if "*" in rule.groups:
            yield "allow: name the API groups one by one"
