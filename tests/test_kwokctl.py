"""What kwokctl is told, as a file; what came of it is looked at in test_embedded.py."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpulab import binaries
from gpulab.pairs import EtcdPki, KubeletPki
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.providers import kwokctl

PORTS = {name: 20000 + number for number, name in enumerate(kwokctl.PORTS)}
PATHS = LabPaths("demo", Path("/labs/demo"))
Documents = list[dict[str, Any]]


@pytest.fixture(scope="module")
def documents() -> Documents:
    programs = {name: Path("/bin") / name for name in kwokctl.BINARIES}
    kubelet, etcd = KubeletPki(PATHS.pki), EtcdPki(PATHS.pki)
    return list(yaml.safe_load_all(kwokctl.configuration(PORTS, programs, kubelet, etcd)))


def arguments(documents: Documents, component: str) -> dict[str, str]:
    patches = documents[0]["componentsPatches"]
    found = next(patch for patch in patches if patch["name"] == component)
    return {each["key"]: each["value"] for each in found["extraArgs"]}


def test_every_port_and_every_program_is_ours(documents: Documents) -> None:
    options = documents[0]["options"]
    assert {options[option] for option in kwokctl.PORTS.values()} == set(PORTS.values())
    for name, option in kwokctl.BINARIES.items():
        assert options[option] == f"/bin/{name}"


def test_it_runs_processes_on_loopback(documents: Documents) -> None:
    options = documents[0]["options"]
    assert (options["runtime"], options["bindAddress"]) == ("binary", LOOPBACK)


def test_etcd_speaks_tls_only_and_asks_everybody_for_a_certificate(documents: Documents) -> None:
    etcd = arguments(documents, "etcd")
    urls = [value for key, value in etcd.items() if key.endswith("-urls")]
    assert len(urls) == 4
    assert all(url.startswith(f"https://{LOOPBACK}:") for url in urls)
    assert etcd["client-cert-auth"] == etcd["peer-client-cert-auth"] == "true"
    trusted = str(EtcdPki(PATHS.pki).ca.crt)
    assert etcd["trusted-ca-file"] == etcd["peer-trusted-ca-file"] == trusted


def test_the_api_server_proves_itself_to_etcd_and_to_the_kubelets(documents: Documents) -> None:
    api = arguments(documents, "kube-apiserver")
    assert {"etcd-cafile", "etcd-certfile", "etcd-keyfile"} <= api.keys()
    assert api["kubelet-certificate-authority"] == str(KubeletPki(PATHS.pki).ca.crt)
    assert api["kubelet-client-certificate"] == str(KubeletPki(PATHS.pki).client.crt)


def test_kwok_writes_conditions_of_nodes_and_nothing_else(documents: Documents) -> None:
    """One writer for each field: addresses, ports and resources are the simulated kubelets'."""
    stages = [each for each in documents if each["kind"] == "Stage"]
    assert stages
    assert {stage["spec"]["resourceRef"]["kind"] for stage in stages} == {"Node"}
    for stage in stages:
        template = stage["spec"]["next"]["statusTemplate"]
        keys = {line.partition(":")[0] for line in template.splitlines() if line[:1].isalpha()}
        assert keys <= {"conditions", "phase"}


def test_kwok_answers_neither_for_containers_nor_with_profiles(documents: Documents) -> None:
    """Its port asks nobody who they are."""
    options = next(each for each in documents if each["kind"] == "KwokConfiguration")["options"]
    assert options["enableDebuggingHandlers"] is False
    assert options["enableProfilingHandler"] is False


def test_all_programs_that_it_names_are_there_and_can_run() -> None:
    programs = binaries.ensure()
    assert kwokctl.BINARIES.keys() | {"kwokctl"} <= programs.keys()
    assert all(path.stat().st_mode & stat.S_IXUSR for path in programs.values())


@pytest.mark.parametrize(("nodes", "thrifty"), [(1, True), (50, True), (51, False)])
def test_memory_is_saved_only_where_it_costs_little_time(nodes: int, thrifty: bool) -> None:
    programs = {name: Path("/bin") / name for name in kwokctl.BINARIES}
    kubelet, etcd = KubeletPki(PATHS.pki), EtcdPki(PATHS.pki)
    text = kwokctl.configuration(PORTS, programs, kubelet, etcd, nodes)
    patches = next(iter(yaml.safe_load_all(text)))["componentsPatches"]
    envs = {each["name"]: each["extraEnvs"] for each in patches}
    assert bool(envs["kube-apiserver"]) == thrifty
    assert envs["etcd"] == []
