"""What kind is told, and what is done to a new cluster before the simulated nodes come."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from rich.console import Console

from autograders.connect import connect
from autograders.errors import InputError
from gpulab import binaries, pki
from gpulab.lab import Record
from gpulab.pairs import KubeletPki, Pair
from gpulab.paths import DATA, LabPaths, private_dir
from gpulab.private import private, write_private
from gpulab.providers import docker
from gpulab.providers.kwokctl import STAGES
from gpulab.ready import REAL
from gpulab.sending import MERGE, send
from gpulab.versions import versions

LABEL = "io.x-k8s.kind.cluster"
FOLDER = "/etc/gpulab"
"""Where `shared` is in a container."""
PROXY_CA = "front-proxy-ca.crt"
VARIABLE = "GPULAB_NODE_IMAGE"
VERSION_FILE = "/kind/version"  # of a node image
CREATE_SECONDS = 300.0
PULL_SECONDS = 1800.0
SILENT = ("KIND_CLUSTER_NAME", "KIND_EXPERIMENTAL_PROVIDER", "KIND_EXPERIMENTAL_DOCKER_NETWORK")
console = Console(stderr=True, soft_wrap=True)


def name(paths: LabPaths) -> str:
    return f"gpulab-{paths.name}"


def names(paths: LabPaths) -> tuple[str, str]:
    """The control plane's and the worker's container, and node."""
    return f"{name(paths)}-control-plane", f"{name(paths)}-worker"


def config(paths: LabPaths) -> Path:
    return paths.kind / "cluster.yaml"


def shared(paths: LabPaths) -> Path:
    """The folder that is in each container of the lab, and tells whose it is."""
    return paths.kind / "nodes"


def image(wanted: str | None) -> str:
    """The node image, present and of the right version; InputError if it cannot be had or used."""
    chosen = wanted or os.environ.get(VARIABLE) or versions().kind.node_image
    if not docker.has_image(chosen):
        _pull(chosen)
    found = docker.image_file(chosen, VERSION_FILE)
    pinned = versions().kubernetes.version
    do = "name one that kind has built for it with --node-image, or leave that out"
    if found is None:
        raise InputError(f"{chosen} is no node image of kind", do)
    if found.lstrip("v").split(".")[:2] != pinned.split(".")[:2]:
        minor = ".".join(pinned.split(".")[:2])
        raise InputError(f"{chosen} has Kubernetes {found}; this lab is about {minor}", do)
    return chosen


def _pull(chosen: str) -> None:
    console.print(f"Pulling {chosen.partition('@')[0]}, once", highlight=False)
    try:
        docker.run("pull", "--quiet", chosen, within=PULL_SECONDS)
    except InputError as error:
        if not error.what.startswith("docker pull failed"):
            raise
        do = "name an image that Docker has: gpulab up --provider kind --node-image IMAGE"
        raise InputError(f"{chosen} is not there, and {error.what}", do) from None


def configure(paths: LabPaths, record: Record, cgroup: str) -> None:
    """Write kind's configuration and the certificates that its nodes start with."""
    cluster = _read("cluster.yaml")
    if cgroup == "1":
        more = _read("cgroup-v1.yaml")["kubeadmConfigPatches"]
        cluster["kubeadmConfigPatches"].extend(more)
    cluster["networking"]["apiServerPort"] = record.ports["kube-apiserver"]
    mount = {"hostPath": str(shared(paths)), "containerPath": FOLDER, "readOnly": True}
    for node in cluster["nodes"]:
        node["image"], node["extraMounts"] = record.node_image, [mount]
    write_private(config(paths), yaml.safe_dump(cluster, sort_keys=False).encode())
    kubelet = pki.make_kubelet_pki(paths.pki)
    nodes = private_dir(shared(paths))
    shutil.copyfile(kubelet.ca.crt, nodes / "kubelet-ca.crt")
    real: list[x509.GeneralName] = [x509.DNSName(each) for each in names(paths)]
    pki.make_kubelet_server(kubelet.ca, Pair(nodes / "kubelet.crt", nodes / "kubelet.key"), real)


def _read(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DATA / "kind" / file).read_text())
    return found


def identify(paths: LabPaths, address: str) -> None:
    """Fetch the cluster's authorities; make the administrator's, the grader's, the kubelets'."""
    cluster, inside = private_dir(paths.cluster_pki), "/etc/kubernetes/pki"
    for file in ("ca.crt", "ca.key", PROXY_CA):
        text = docker.run("exec", names(paths)[0], "cat", f"{inside}/{file}")
        write_private(cluster / file, text.encode())
    pki.make_admin(cluster)
    for client, group in pki.CLIENTS.items():
        pki.make_client(cluster, paths.pki, client, group)
    kubelet = KubeletPki(paths.pki)
    where: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(address))]
    pki.make_kubelet_server(kubelet.ca, kubelet.server, [*where, x509.DNSName(pki.METRICS)])


def keep_apart(paths: LabPaths) -> None:
    """Keep what kind runs by itself on the nodes that are real, before there are others."""
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        for plural in ("deployments", "daemonsets"):
            for each in send(api, "GET", f"/apis/apps/v1/{plural}").object.get("items") or ():
                meta, spec = each["metadata"], each["spec"]["template"]["spec"]
                path = f"/apis/apps/v1/namespaces/{meta['namespace']}/{plural}/{meta['name']}"
                answer = send(api, "PATCH", path, object=_placed(spec), kind=MERGE)
                if not answer.is_success:
                    what = f"{meta['name']} could not be kept off the simulated nodes"
                    raise InputError(f"{what}: {answer.message}", "gpulab down --delete, then up")


def _placed(spec: dict[str, Any]) -> dict[str, Any]:
    taint = {"key": REAL, "operator": "Exists", "effect": "NoSchedule"}
    tolerations = [*(spec.get("tolerations") or ()), taint]
    pod = {"nodeSelector": {REAL: "true"}, "tolerations": tolerations}
    return {"spec": {"template": {"spec": pod}}}


def kwok(paths: LabPaths, port: int) -> list[str]:
    """Kwok's command line; it keeps the nodes with its annotation alive and no others."""
    return [
        str(binaries.ensure()["kwok"]),
        f"--kubeconfig={paths.admin_kubeconfig}",
        f"--config={STAGES}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-port=0",
        "--node-lease-duration-seconds=0",
        f"--server-address=127.0.0.1:{port}",
    ]


def kind(paths: LabPaths, *arguments: str) -> None:
    """Run kind for this lab's cluster; what it prints goes to the lab's logs."""
    log = paths.logs / "kind.log"
    private_dir(log.parent)
    own = ["--name", name(paths), "--kubeconfig", str(paths.kind / "kubeconfig")]
    try:
        done = subprocess.run(
            [str(program()), *arguments, *own],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CREATE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"kind {arguments[0]} did not end within {CREATE_SECONDS:.0f} s"
        raise InputError(what, "look whether Docker works: docker ps") from None
    with open(log, "a", opener=private) as out:
        out.write(done.stdout + done.stderr)
    if done.returncode:
        raise _failure(arguments[0], done.stderr, log)


def _failure(verb: str, said: str, log: Path) -> InputError:
    if port := re.search(r":(\d+).*(port is already allocated|address already in use)", said):
        what = f"port {port[1]} is in use by another program"
        return InputError(what, "stop that program, or try again: another port is chosen")
    if docker.DENIED.search(said) or docker.SILENT.search(said):
        return docker.failure(f"kind {verb}", said)
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")]
    last = errors[0].removeprefix("ERROR:").strip() if errors else "no reason given"
    return InputError(f"kind {verb} failed: {last[:300]}", f"the whole reason is in {log}")


def _environment() -> dict[str, str]:
    """The user's, without what would point kind elsewhere."""
    return {key: value for key, value in os.environ.items() if key not in SILENT}


def program() -> Path:
    """Kind of the pinned version: the one on PATH, else from where the control plane comes."""
    found = shutil.which("kind")
    if found:
        done = subprocess.run([found, "version"], capture_output=True, text=True, check=False)
        if f"v{versions().kind.version} " in done.stdout:
            return Path(found)
    return binaries.ensure(extra=("kind",))["kind"]
