"""What the Pod Security Standards refuse, in the API server's words.

After pod-security-admission v0.36.3, version `latest`. Not computed, being no theme here: AppArmor,
SELinux, procMount, sysctls, hosts in probes, Windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autograders.cluster.pods import Container, Pod
from autograders.model import KubeObject

LABEL = "pod-security.kubernetes.io/enforce"
DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
PLAIN_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
PROFILES = ("RuntimeDefault", "Localhost")
Rule = Callable[[Pod], tuple[str, str] | None]
"""From a Pod to what is forbidden and where; None when the Pod is as the rule wants it."""


def refusal(pod: Pod, namespace: KubeObject) -> str | None:
    """Judge a Pod by the level that its namespace enforces."""
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    level, version = labels.get(LABEL, "privileged"), labels.get(f"{LABEL}-version", "latest")
    found = [each for rule in RULES.get(level, ()) if (each := rule(pod))]
    if not found:
        return None
    reasons = ", ".join(f"{reason} ({detail})" for reason, detail in found)
    return f'violates PodSecurity "{level}:{version}": {reasons}'


def context(container: Container) -> dict[str, Any]:
    return container.spec.get("securityContext") or {}


def added(container: Container) -> list[str]:
    return (context(container).get("capabilities") or {}).get("add") or []


def quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def containers(found: Iterable[Container]) -> str:
    names = [each.name for each in found]
    return f"container{'s' * (len(names) > 1)} {quote(names)}"


def capabilities(pod: Pod) -> tuple[str, str] | None:
    bad = [each for each in pod.all_containers if set(added(each)) - DEFAULT_CAPABILITIES]
    if not bad:
        return None
    names = sorted({name for each in bad for name in added(each)} - DEFAULT_CAPABILITIES)
    detail = (
        f"{containers(bad)} must not include {quote(names)} in securityContext.capabilities.add"
    )
    return "non-default capabilities", detail


def host_namespaces(pod: Pod) -> tuple[str, str] | None:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key)]
    return ("host namespaces", ", ".join(found)) if found else None


def host_paths(pod: Pod) -> tuple[str, str] | None:
    found = [each["name"] for each in pod.spec.get("volumes") or () if "hostPath" in each]
    many = "s" * (len(found) > 1)
    return ("hostPath volumes", f"volume{many} {quote(found)}") if found else None


def host_ports(pod: Pod) -> tuple[str, str] | None:
    bad = [each for each in pod.all_containers if host_ports_of(each)]
    if not bad:
        return None
    numbers = sorted({number for each in bad for number in host_ports_of(each)})
    use = "uses" if len(bad) == 1 else "use"
    port = "hostPort" if len(numbers) == 1 else "hostPorts"
    return "hostPort", f"{containers(bad)} {use} {port} {', '.join(numbers)}"


def host_ports_of(container: Container) -> list[str]:
    ports = container.spec.get("ports") or ()
    return [str(each["hostPort"]) for each in ports if each.get("hostPort")]


def privileged(pod: Pod) -> tuple[str, str] | None:
    bad = [each for each in pod.all_containers if each.privileged]
    detail = f"{containers(bad)} must not set securityContext.privileged=true"
    return ("privileged", detail) if bad else None


def escalation(pod: Pod) -> tuple[str, str] | None:
    bad = [e for e in pod.all_containers if context(e).get("allowPrivilegeEscalation") is not False]
    detail = f"{containers(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", detail) if bad else None


def all_dropped(pod: Pod) -> tuple[str, str] | None:
    keep = [each for each in pod.all_containers if "ALL" not in dropped(each)]
    add = [each for each in pod.all_containers if set(added(each)) - {"NET_BIND_SERVICE"}]
    details = []
    if keep:
        details.append(f'{containers(keep)} must set securityContext.capabilities.drop=["ALL"]')
    if add:
        names = sorted({name for each in add for name in added(each)} - {"NET_BIND_SERVICE"})
        where = "securityContext.capabilities.add"
        details.append(f"{containers(add)} must not include {quote(names)} in {where}")
    return ("unrestricted capabilities", "; ".join(details)) if details else None


def dropped(container: Container) -> list[str]:
    return (context(container).get("capabilities") or {}).get("drop") or []


def volumes(pod: Pod) -> tuple[str, str] | None:
    bad = {
        each["name"]: next(iter(each.keys() - {"name"}), "emptyDir")
        for each in pod.spec.get("volumes") or ()
        if not PLAIN_VOLUMES & each.keys()
    }
    if not bad:
        return None
    kinds = sorted(set(bad.values()))
    one, kind = len(bad) == 1, f"restricted volume type{'s' * (len(kinds) > 1)}"
    names = f"volume{'' if one else 's'} {quote(bad)} {'uses' if one else 'use'}"
    return "restricted volume types", f"{names} {kind} {quote(kinds)}"


def non_root(pod: Pod) -> tuple[str, str] | None:
    whole = (pod.spec.get("securityContext") or {}).get("runAsNonRoot")
    said_no = [each for each in pod.all_containers if context(each).get("runAsNonRoot") is False]
    silent = [each for each in pod.all_containers if context(each).get("runAsNonRoot") is None]
    setters = ["pod"] * (whole is False) + ([containers(said_no)] if said_no else [])
    if pod.spec.get("hostUsers") is False or not (setters or (silent and not whole)):
        return None
    detail = f"pod or {containers(silent)} must set securityContext.runAsNonRoot=true"
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
    return "runAsNonRoot != true", detail


def root_user(pod: Pod) -> tuple[str, str] | None:
    whole = (pod.spec.get("securityContext") or {}).get("runAsUser") == 0
    bad = [each for each in pod.all_containers if context(each).get("runAsUser") == 0]
    setters = ["pod"] * whole + ([containers(bad)] if bad else [])
    if pod.spec.get("hostUsers") is False or not setters:
        return None
    return "runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0"


def profile(found: dict[str, Any]) -> str | None:
    return (found.get("seccompProfile") or {}).get("type")


def wrong_profiles(pod: Pod) -> tuple[str, str] | None:
    whole = profile(pod.spec.get("securityContext") or {})
    by_container = [(each, profile(context(each))) for each in pod.all_containers]
    bad = [each for each, kind in by_container if kind and kind not in PROFILES]
    kinds = {kind for _, kind in by_container if kind} | ({whole} if whole else set())
    setters = ["pod"] * bool(whole and whole not in PROFILES) + ([containers(bad)] if bad else [])
    if not setters:
        return None
    wrong = quote(sorted(kinds - set(PROFILES)))
    where = "must not set securityContext.seccompProfile.type to"
    return "seccompProfile", f"{' and '.join(setters)} {where} {wrong}"


def profiles(pod: Pod) -> tuple[str, str] | None:
    silent = [each for each in pod.all_containers if profile(context(each)) is None]
    if wrong := wrong_profiles(pod):
        return wrong
    if not silent or profile(pod.spec.get("securityContext") or {}):
        return None
    where = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return "seccompProfile", f"pod or {containers(silent)} {where}"


RULES: dict[str, tuple[Rule, ...]] = {
    "baseline": (capabilities, host_namespaces, host_paths, host_ports, privileged, wrong_profiles),
    "restricted": (
        host_namespaces,
        host_ports,
        privileged,
        escalation,
        all_dropped,
        volumes,
        non_root,
        root_user,
        profiles,
    ),
}
"""In the API server's order; a restricted rule stands for the baseline one that it widens."""
