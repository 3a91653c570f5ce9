"""What kwokctl is told: our ports, our binaries, loopback only, mutual TLS where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gpulab.ports import LOOPBACK

if TYPE_CHECKING:
    from gpulab.pairs import EtcdPki, KubeletPki

STAGES = Path(__file__).with_name("kwok.yaml")
# kwokctl's option names for the ports that a lab keeps
PORTS = {
    "etcd": "etcdPort",
    "etcd-peer": "etcdPeerPort",
    "kube-apiserver": "kubeApiserverPort",
    "kube-controller-manager": "kubeControllerManagerPort",
    "kube-scheduler": "kubeSchedulerPort",
    "kwok-controller": "kwokControllerPort",
}
BINARIES = {
    "etcd": "etcdBinary",
    "etcdctl": "etcdctlBinary",
    "etcdutl": "etcdutlBinary",
    "kube-apiserver": "kubeApiserverBinary",
    "kube-controller-manager": "kubeControllerManagerBinary",
    "kube-scheduler": "kubeSchedulerBinary",
    "kubectl": "kubectlBinary",
    "kwok": "kwokControllerBinary",
}
# of the controller manager; by default 20 a second, of which ten Jobs that start anew need hundreds
REQUESTS = {"kube-api-qps": "200", "kube-api-burst": "400"}
# GOGC, where Go has 100: a tenth less memory for the whole lab, at the price of some CPU; with many
# nodes the collector would be at work all the time
GARBAGE = {"kube-apiserver": "40", "kube-controller-manager": "50"}
FEW_NODES = 50


def configuration(
    ports: Mapping[str, int],
    binaries: Mapping[str, Path],
    kubelet: KubeletPki,
    etcd: EtcdPki,
    nodes: int = 1,
) -> str:
    """The file for `kwokctl create cluster --config`: two YAML documents and the stages."""
    options = {
        "runtime": "binary",
        "bindAddress": LOOPBACK,
        **{option: ports[name] for name, option in PORTS.items()},
        **{option: str(binaries[name]) for name, option in BINARIES.items()},
    }
    document = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": [
            {"name": name, "extraArgs": arguments, "extraEnvs": _envs(name, nodes)}
            for name, arguments in _patches(ports, kubelet, etcd).items()
        ],
    }
    return f"{yaml.safe_dump(document, sort_keys=False)}---\n{STAGES.read_text()}"


def _envs(component: str, nodes: int) -> list[dict[str, str]]:
    thrifty = component in GARBAGE and nodes <= FEW_NODES
    return [{"name": "GOGC", "value": GARBAGE[component]}] if thrifty else []


def _patches(
    ports: Mapping[str, int], kubelet: KubeletPki, etcd: EtcdPki
) -> dict[str, list[dict[str, Any]]]:
    client, peer = (f"https://{LOOPBACK}:{ports[name]}" for name in ("etcd", "etcd-peer"))
    # leader election off: one instance each, and a restarted one would wait 17 s for its lease
    alone = _add({"leader-elect": "false"})
    return {
        "etcd": [
            *_replace(
                {
                    "listen-client-urls": client,
                    "advertise-client-urls": client,
                    "listen-peer-urls": peer,
                    "initial-advertise-peer-urls": peer,
                    "initial-cluster": f"node0={peer}",
                }
            ),
            *_add(_etcd_tls("", etcd) | _etcd_tls("peer-", etcd)),
        ],
        "kube-apiserver": [
            *_replace({"etcd-servers": client}),
            *_add(
                {
                    "etcd-cafile": str(etcd.ca.crt),
                    "etcd-certfile": str(etcd.client.crt),
                    "etcd-keyfile": str(etcd.client.key),
                    "kubelet-certificate-authority": str(kubelet.ca.crt),
                    "kubelet-client-certificate": str(kubelet.client.crt),
                    "kubelet-client-key": str(kubelet.client.key),
                }
            ),
        ],
        "kube-controller-manager": [*alone, *_add(REQUESTS)],
        "kube-scheduler": alone,
        "kwok-controller": _replace(
            {
                # the port that kwok would write into node status; the kubelet server's stands there
                "node-port": "0",
                # Leases off: after a restart kwok would wait for its predecessor's to end
                "node-lease-duration-seconds": "0",
            }
        ),
    }


def _etcd_tls(prefix: str, etcd: EtcdPki) -> dict[str, str]:
    return {
        f"{prefix}client-cert-auth": "true",
        f"{prefix}trusted-ca-file": str(etcd.ca.crt),
        f"{prefix}cert-file": str(etcd.server.crt),
        f"{prefix}key-file": str(etcd.server.key),
    }


def _add(arguments: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in arguments.items()]


def _replace(arguments: Mapping[str, str]) -> list[dict[str, Any]]:
    return [argument | {"override": True} for argument in _add(arguments)]
