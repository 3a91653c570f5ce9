"""A replayed submission can write nothing that bears the simulator's names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograders.connect import connect
from autograders.rights import WORKLOADS
from gpulab import grants, kubectl, reserved
from gpulab.grants import Grant
from gpulab.lab import read_record
from gpulab.paths import LabPaths
from gpulab.replay import USER, identified
from gpulab.sending import send
from tests.conftest import Lab, pod

DRIVER = "nvcr.io/nvidia/driver:580.95.05"


def test_the_images_that_provide_facts_are_reserved_and_a_users_image_is_not() -> None:
    text = reserved.objects()[0]["spec"]["validations"][2]["expression"]
    pattern = re.search(r'matches\("(.*)"\)\)\)', text)
    assert pattern
    refused = re.compile(pattern[1].replace("\\\\", "\\"))
    assert refused.match(DRIVER)
    assert refused.match("nvcr.io/nvidia/k8s-device-plugin")
    assert not refused.match("nvcr.io/nvidia/pytorch:25.09-py3")
    assert not refused.match("nvcr.io/nvidia/driver-of-mine:1")


def job(name: str, **template: Any) -> dict[str, Any]:
    inner = {"metadata": {}, "spec": pod(name, "true")["spec"]} | template
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": inner},
    }


def labelled(thing: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**thing, "metadata": {**thing["metadata"], **more}}


NAMES = "are the simulator's; take them out"
CASES = {
    "label": (labelled(pod("a", "true"), labels={"nvidia.com/gpu.present": "true"}), NAMES),
    "annotation": (labelled(pod("a", "true"), annotations={"kwok.x-k8s.io/node": "x"}), NAMES),
    "template": (job("a", metadata={"labels": {"gpulab.dev/stray": ""}}), NAMES),
    "name": (pod("gpulab-ready-1", "true"), "are gpulab's; choose another name"),
    "image": (pod("a", "nvidia-driver", "init", image=DRIVER), "choose another image"),
    "template's image": (job("a", spec=pod("a", "true", image=DRIVER)["spec"]), "another image"),
}


@pytest.fixture(scope="module")
def reserving(lab: Lab) -> Any:
    """The shared lab with the policy, and the identity of a submission in a namespace."""
    paths = LabPaths(lab.name, lab.root)
    record = read_record(paths)
    assert record
    with connect(paths.admin_kubeconfig, read_only=False) as admin:
        reserved.reserve(admin, USER)
        with grants.granted(admin, [Grant(USER, WORKLOADS, "default")]):
            yield identified(paths, record)
        for each in reserved.objects():
            path = f"{reserved.ROOT}/{reserved.PLURALS[each['kind']]}/{each['metadata']['name']}"
            assert send(admin, "DELETE", path).is_success


def applied(identity: Path, *things: dict[str, Any], verb: str = "create") -> kubectl.Done:
    given = yaml.safe_dump_all(things)
    return kubectl.run(identity, verb, "-n", "default", "-f", "-", given=given)


@pytest.mark.live
@pytest.mark.parametrize("case", CASES)
def test_what_bears_the_simulators_names_is_refused_in_words(reserving: Path, case: str) -> None:
    thing, said = CASES[case]
    done = applied(reserving, thing)
    assert done.returncode == 1
    assert said in kubectl.last_line(done)
    assert "gpulab-reserved-names" in kubectl.last_line(done)


@pytest.mark.live
def test_nothing_of_gpulabs_can_be_changed_or_deleted(reserving: Path, lab: Lab) -> None:
    stray = labelled(pod("stray-on-a", "sleep", "100"), labels={"gpulab.dev/stray": ""})
    lab.make("default", stray)
    for line in (
        ("label", "pod", "stray-on-a", "gpulab.dev/stray-", "-n", "default"),
        ("delete", "pod", "stray-on-a", "-n", "default", "--now"),
    ):
        done = kubectl.run(reserving, *line)
        assert (done.returncode, "gpulab-reserved-names" in done.stderr) == (1, True), line
    assert lab.kubectl("delete", "pod", "stray-on-a", "-n", "default", "--now").returncode == 0


@pytest.mark.live
def test_ordinary_work_is_not_in_the_way_of_the_policy(reserving: Path, lab: Lab) -> None:
    gpu = pod("plain", "nvidia-smi", image="nvcr.io/nvidia/pytorch:25.09-py3", gpus=1)
    gpu["spec"]["nodeSelector"] = {"nvidia.com/gpu.present": "true"}
    assert applied(reserving, gpu, job("plain")).returncode == 0
    assert applied(reserving, gpu, job("plain"), verb="delete").returncode == 0
