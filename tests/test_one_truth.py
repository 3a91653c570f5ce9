"""nvidia-smi, Pod status, GFD labels and node capacity never contradict each other."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.paths import DATA
from gpulab.sim.device_map import whole
from gpulab.sim.devices import DevicePool
from gpulab.sim.gpus import Gpu, labels, load_driver, load_models, node_gpus
from gpulab.sim.nodes import GPU
from gpulab.sim.smi import run
from tests.conftest import CUDA, Lab, Object, devices, eventually, pod

MODELS = load_models(DATA / "gpus")
DRIVER = load_driver(DATA / "nvidia.toml")
NOW = datetime(2026, 9, 5, 16, 4, 42, tzinfo=UTC)
FIELDS = "index,uuid,pci.bus_id,memory.total"
FORMS = {
    "table": "",
    "list": "-L",
    "query": f"--query-gpu={FIELDS} --format=csv,noheader,nounits",
    "report": "-q",
    "xml": "-q -x",
}

shapes = st.tuples(st.sampled_from(sorted(MODELS)), st.integers(1, 16))
fleets = st.lists(shapes, min_size=1, max_size=4)


class Row(NamedTuple):
    """What one form says of one GPU; what it does not say is None."""

    place: int
    uuid: str | None
    bus_id: str | None
    mib: int | None
    name: str | None = None


def rows(form: str, text: str) -> list[Row]:
    """Read a form as a program would that knows only this form."""
    return list(
        {"table": table, "list": listed, "query": query, "report": report, "xml": xml}[form](text)
    )


def table(text: str) -> Iterator[Row]:
    first = re.findall(r"^\| +(\d+)  (.{27}) +On +\| +(\S+) ", text, re.M)
    second = re.findall(r"MiB / +(\d+)MiB", text)
    assert len(first) == len(second)
    for (index, name, bus_id), mib in zip(first, second, strict=True):
        yield Row(int(index), None, bus_id, int(mib), name.strip())


def listed(text: str) -> Iterator[Row]:
    for index, name, uuid in re.findall(r"^GPU (\d+): (.+) \(UUID: (\S+)\)$", text, re.M):
        yield Row(int(index), uuid, None, None, name)


def query(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        index, uuid, bus_id, mib = line.split(", ")
        yield Row(int(index), uuid, bus_id, int(mib))


def report(text: str) -> Iterator[Row]:
    blocks = re.split(r"^GPU (?=[0-9A-F]{8}:)", text, flags=re.M)
    assert re.findall(r"^Attached GPUs +: (\d+)$", blocks[0], re.M) == [str(len(blocks) - 1)]
    for index, block in enumerate(blocks[1:]):
        bus_id = block.split("\n", 1)[0]
        assert re.findall(r"^ +Bus Id +: (\S+)$", block, re.M) == [bus_id]
        (uuid,) = re.findall(r"^ +GPU UUID +: (\S+)$", block, re.M)
        (mib,) = re.findall(r"FB Memory Usage\n +Total +: (\d+) MiB$", block, re.M)
        (name,) = re.findall(r"^ +Product Name +: (.+)$", block, re.M)
        yield Row(index, uuid, bus_id, int(mib), name)


def xml(text: str) -> Iterator[Row]:
    for index, gpu in enumerate(ET.fromstring(text).findall("gpu")):
        assert gpu.findtext("pci/pci_bus_id") == gpu.get("id")
        mib = (gpu.findtext("fb_memory_usage/total") or "").removesuffix(" MiB")
        yield Row(
            index, gpu.findtext("uuid"), gpu.get("id"), int(mib), gpu.findtext("product_name")
        )


def agree(texts: dict[str, str]) -> list[Row]:
    """Assert that every form says the same, and return it."""
    found = {form: rows(form, text) for form, text in texts.items()}
    whole = found.get("xml") or found["report"]
    for form, said in found.items():
        for row, full in zip(said, whole, strict=True):
            differs = [(a, b) for a, b in zip(row, full, strict=True) if a not in (None, b)]
            assert differs == [], form
    return whole


def ask(gpus: Sequence[Gpu]) -> dict[str, str]:
    answers = {
        form: run(["nvidia-smi", *line.split()], gpus, DRIVER, NOW) for form, line in FORMS.items()
    }
    assert {code for _, code in answers.values()} == {0}
    return {form: text for form, (text, _) in answers.items()}


@settings(deadline=None)
@given(fleet=fleets, seed=st.text(max_size=5))
def test_every_form_says_the_same_of_every_gpu_of_a_fleet(
    fleet: list[tuple[str, int]], seed: str
) -> None:
    seen: list[str | None] = []
    for number, (name, count) in enumerate(fleet):
        model = MODELS[name]
        gpus = node_gpus(model, count, seed=seed, node=f"n-{number}")
        said = agree(ask(gpus))
        assert said == [
            Row(at, gpu.uuid, gpu.bus_id, model.memory_mib, model.product)
            for at, gpu in enumerate(gpus)
        ]
        seen += [row.uuid for row in said]
    assert len(set(seen)) == sum(count for _, count in fleet)


@settings(deadline=None)
@given(shape=shapes)
def test_the_labels_of_a_node_say_what_its_nvidia_smi_says(shape: tuple[str, int]) -> None:
    model, count = MODELS[shape[0]], shape[1]
    said = agree(ask(node_gpus(model, count, seed="s", node="n")))
    assert_labels(labels(model, count, DRIVER), said)


@settings(deadline=None)
@given(shape=shapes, data=st.data())
def test_a_container_sees_the_gpus_that_its_pod_was_given_and_no_other(
    shape: tuple[str, int], data: st.DataObject
) -> None:
    """UUIDs are what a Pod's status lists; so are they what nvidia-smi lists, in bus order."""
    gpus = node_gpus(MODELS[shape[0]], shape[1], seed="s", node="n")
    pool = DevicePool(gpus)
    pool.offer({GPU: whole(gpus)})
    asked = data.draw(st.lists(st.integers(1, len(gpus)), max_size=4))
    for number, count in enumerate(asked):
        if sum(asked[: number + 1]) > len(gpus):
            break
        given_out = [one.gpu for one in pool.take(GPU, count, f"pod-{number}")]
        said = agree(ask(given_out))
        assert {row.uuid for row in said} == {gpu.uuid for gpu in given_out}
        assert [row.place for row in said] == list(range(count))
        assert [row.bus_id for row in said] == sorted(gpu.bus_id for gpu in given_out)


def assert_labels(found: dict[str, str], said: Sequence[Row]) -> None:
    """`said` is what nvidia-smi says of all GPUs of the node."""
    assert found["nvidia.com/gpu.count"] == str(len(said))
    assert {found["nvidia.com/gpu.memory"]} == {str(row.mib) for row in said}
    assert {found["nvidia.com/gpu.product"]} == {str(row.name).replace(" ", "-") for row in said}


# ── on a cluster ─────────────────────────────────────────────────────────────────────────────────

MARK = "-- next form --"
COMMAND = f"; echo {MARK}; ".join(f"nvidia-smi {line}".strip() for line in FORMS.values())


def node_with(lab: Lab, name: str) -> Object:
    """A node that advertises GPUs and carries the labels of GPU feature discovery."""

    def ready() -> Object | None:
        node = lab.get("node", name)
        known = "nvidia.com/gpu.memory" in node["metadata"]["labels"]
        return node if known and "nvidia.com/gpu" in node["status"]["allocatable"] else None

    found: Object = eventually(ready, 60)
    return found


@pytest.mark.live
@pytest.mark.parametrize(
    ("node_name", "counts"),
    [("h100-1", (1, 3, 8)), ("a100-1", (2, 5, 6, 7)), ("l40s-1", (1, 4))],
)
def test_a_pod_reads_the_same_from_its_log_its_status_and_its_node(
    lab: Lab, namespace: str, node_name: str, counts: tuple[int, ...]
) -> None:
    node = node_with(lab, node_name)
    selector = {"kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]}
    for count in counts:
        name = f"{node_name}-{count}"
        made = pod(name, "sh", "-c", COMMAND, image=CUDA, gpus=count, nodeSelector=selector)
        lab.make(namespace, made)
        finished = lab.wait(namespace, name, "phase=Succeeded", 60)
        said = agree(forms(lab, namespace, name))
        assert sorted(str(row.uuid) for row in said) == sorted(devices(finished))
        assert {health(finished)} == {"Healthy"}
        assert_node(node, said)


def forms(lab: Lab, namespace: str, name: str) -> dict[str, str]:
    log = lab.kubectl("logs", "-n", namespace, name)
    assert log.returncode == 0, log.stderr
    return dict(zip(FORMS, log.stdout.split(f"{MARK}\n"), strict=True))


def has_ended(lab: Lab, namespace: str, name: str) -> bool:
    log = lab.kubectl("logs", "-n", namespace, name).stdout
    return "</nvidia_smi_log>" in log


def health(found: Object) -> str:
    states: set[Any] = {
        resource.get("health")
        for entry in found["status"]["containerStatuses"]
        for resources in entry["allocatedResourcesStatus"]
        for resource in resources["resources"]
    }
    return ",".join(sorted(map(str, states)))


def assert_node(node: Object, said: Sequence[Row]) -> None:
    known, status = node["metadata"]["labels"], node["status"]
    assert known["nvidia.com/gpu.count"] == status["capacity"]["nvidia.com/gpu"]
    assert known["nvidia.com/gpu.count"] == status["allocatable"]["nvidia.com/gpu"]
    assert_labels({**known, "nvidia.com/gpu.count": str(len(said))}, said)
    assert len(said) <= int(known["nvidia.com/gpu.count"])


@pytest.mark.live
def test_pods_that_share_a_node_share_no_gpu(lab: Lab, namespace: str) -> None:
    node = node_with(lab, "h100-2")
    selector = {"kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]}
    names = ["one", "three", "four"]
    for name, count in zip(names, (1, 3, 4), strict=True):
        command = f"{COMMAND}; sleep 300"
        made = pod(name, "sh", "-c", command, image=CUDA, gpus=count, nodeSelector=selector)
        lab.make(namespace, made)
    seen: list[str] = []
    for name in names:
        running = lab.wait(namespace, name, "phase=Running", 60)
        eventually(partial(has_ended, lab, namespace, name))
        said = agree(forms(lab, namespace, name))
        assert sorted(str(row.uuid) for row in said) == sorted(devices(running))
        seen += devices(running)
    assert len(set(seen)) == len(seen) == int(node["status"]["capacity"]["nvidia.com/gpu"])
