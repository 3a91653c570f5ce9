"""What kwokctl is told: our ports, our binaries, loopback only, mutual TLS where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gpulab.paths import LabPaths
from gpulab.pki import KubeletPki
from gpulab.ports import LOOPBACK

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


def configuration(
    paths: LabPaths, ports: Mapping[str, int], binaries: Mapping[str, Path], pki: KubeletPki
) -> str:
    """The file for `kwokctl create cluster --config`: two YAML documents and the stages."""
    options = {
        "runtime": "binary",
        "bindAddress": LOOPBACK,
        # Leases off: after a restart kwok would wait for its predecessor's to end
        "nodeLeaseDurationSeconds": 0,
        **{option: ports[name] for name, option in PORTS.items()},
        **{option: str(binaries[name]) for name, option in BINARIES.items()},
    }
    document = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": [
            {"name": name, "extraArgs": arguments}
            for name, arguments in _patches(paths, ports, pki).items()
        ],
    }
    return f"{yaml.safe_dump(document, sort_keys=False)}---\n{STAGES.read_text()}"


def _patches(
    paths: LabPaths, ports: Mapping[str, int], pki: KubeletPki
) -> dict[str, list[dict[str, Any]]]:
    cluster = paths.cluster / "pki"
    ca, crt, key = (str(cluster / name) for name in ("ca.crt", "admin.crt", "admin.key"))
    etcd, peer = (f"https://{LOOPBACK}:{ports[name]}" for name in ("etcd", "etcd-peer"))
    # leader election off: one instance each, and a restarted one would wait 17 s for its lease
    alone = _add({"leader-elect": "false"})
    return {
        "etcd": [
            *_replace(
                {
                    "listen-client-urls": etcd,
                    "advertise-client-urls": etcd,
                    "listen-peer-urls": peer,
                    "initial-advertise-peer-urls": peer,
                    "initial-cluster": f"node0={peer}",
                }
            ),
            *_add({"client-cert-auth": "true", "trusted-ca-file": ca}),
            *_add({"cert-file": crt, "key-file": key}),
            *_add({"peer-client-cert-auth": "true", "peer-trusted-ca-file": ca}),
            *_add({"peer-cert-file": crt, "peer-key-file": key}),
        ],
        "kube-apiserver": [
            *_replace({"etcd-servers": etcd}),
            *_add({"etcd-cafile": ca, "etcd-certfile": crt, "etcd-keyfile": key}),
            *_add(
                {
                    "kubelet-certificate-authority": str(pki.ca.crt),
                    "kubelet-client-certificate": str(pki.client.crt),
                    "kubelet-client-key": str(pki.client.key),
                }
            ),
        ],
        "kube-controller-manager": alone,
        "kube-scheduler": alone,
        # the port that kwok would write into node status; the kubelet server's stands there
        "kwok-controller": _replace({"node-port": "0"}),
    }


def _add(arguments: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in arguments.items()]


def _replace(arguments: Mapping[str, str]) -> list[dict[str, Any]]:
    return [argument | {"override": True} for argument in _add(arguments)]
