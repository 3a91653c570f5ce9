"""GPU models, the GPUs of a node and the labels made from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from gpulab.sim.gpus import Driver, GpuModel, labels, load_driver, load_models, node_gpus

SETUP = Path(__file__).parent.parent / "cluster-setup"
MODELS = load_models(SETUP / "gpus")
DRIVER = load_driver(SETUP / "nvidia.toml")
H100 = MODELS["h100-80gb-sxm"]

models = st.sampled_from(sorted(MODELS))
names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)


def test_every_model_we_ship_is_there() -> None:
    shipped = {"h100-80gb-sxm", "h200-141gb-sxm", "a100-40gb-sxm", "a100-80gb-sxm", "l40s-48gb"}
    assert shipped <= set(MODELS)


@pytest.mark.parametrize(
    ("name", "product", "memory", "mig"),
    [
        ("h100-80gb-sxm", "NVIDIA H100 80GB HBM3", 81559, True),
        ("h200-141gb-sxm", "NVIDIA H200", 143771, True),
        ("a100-40gb-sxm", "NVIDIA A100-SXM4-40GB", 40960, True),
        ("a100-80gb-sxm", "NVIDIA A100-SXM4-80GB", 81920, True),
        ("l40s-48gb", "NVIDIA L40S", 46068, False),
    ],
)
def test_a_model_reports_what_nvidia_smi_reports(
    name: str, product: str, memory: int, mig: bool
) -> None:
    model = MODELS[name]
    assert (model.product, model.memory_mib, model.mig_capable) == (product, memory, mig)


def test_the_family_follows_from_the_compute_capability() -> None:
    families = {"9.0": "hopper", "8.0": "ampere", "8.9": "ada-lovelace"}
    for model in MODELS.values():
        assert model.family == families[model.compute]


def test_a_models_bus_ids_are_distinct_and_in_bus_order() -> None:
    for model in MODELS.values():
        assert list(model.bus_ids) == sorted(set(model.bus_ids))


def test_free_memory_leaves_room_for_what_the_driver_keeps() -> None:
    for model in MODELS.values():
        if model.free_mib is not None and model.reserved_mib is not None:
            assert abs(model.memory_mib - model.reserved_mib - model.free_mib) <= 1  # rounding


@given(model=models, count=st.integers(0, 16), seed=names, node=names)
def test_a_node_gets_as_many_distinct_gpus_as_asked(
    model: str, count: int, seed: str, node: str
) -> None:
    gpus = node_gpus(MODELS[model], count, seed=seed, node=node)
    assert [gpu.index for gpu in gpus] == list(range(count))
    for key in ("uuid", "bus_id", "serial"):
        assert len({getattr(gpu, key) for gpu in gpus}) == count


@given(model=models, seed=names, nodes=st.lists(names, min_size=2, max_size=20, unique=True))
def test_uuids_are_distinct_across_the_nodes_of_a_fleet(
    model: str, seed: str, nodes: list[str]
) -> None:
    fleet = [gpu for node in nodes for gpu in node_gpus(MODELS[model], 8, seed=seed, node=node)]
    assert len({gpu.uuid for gpu in fleet}) == 8 * len(nodes)


def test_two_models_in_one_node_share_no_uuid() -> None:
    pools = [node_gpus(model, 8, seed="s", node="n") for model in MODELS.values()]
    assert len({gpu.uuid for pool in pools for gpu in pool}) == 8 * len(MODELS)


@given(model=models, seed=names, node=names)
def test_the_same_node_always_gets_the_same_gpus(model: str, seed: str, node: str) -> None:
    first = node_gpus(MODELS[model], 4, seed=seed, node=node)
    assert first == node_gpus(MODELS[model], 8, seed=seed, node=node)[:4]
    assert first[0].uuid != node_gpus(MODELS[model], 1, seed=seed + "x", node=node)[0].uuid


@given(model=models, node=names)
def test_uuids_and_serials_have_the_form_nvidia_uses(model: str, node: str) -> None:
    for gpu in node_gpus(MODELS[model], 16, seed="s", node=node):
        assert re.fullmatch(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", gpu.uuid)
        assert re.fullmatch(r"\d{13}", gpu.serial)


def test_a_ninth_gpu_sits_in_the_next_pci_domain() -> None:
    gpus = node_gpus(H100, 9, seed="s", node="n")
    assert (gpus[0].bus_id, gpus[8].bus_id) == ("00000000:53:00.0", "00000001:53:00.0")


def test_an_h100_node_carries_the_labels_of_gpu_feature_discovery() -> None:
    assert labels(H100, 8, Driver(version="595.91.07", cuda="13.2")) == {
        "nvidia.com/cuda.driver-version.full": "595.91.07",
        "nvidia.com/cuda.driver-version.major": "595",
        "nvidia.com/cuda.driver-version.minor": "91",
        "nvidia.com/cuda.driver-version.revision": "07",
        "nvidia.com/cuda.driver.major": "595",
        "nvidia.com/cuda.driver.minor": "91",
        "nvidia.com/cuda.driver.rev": "07",
        "nvidia.com/cuda.runtime-version.full": "13.2",
        "nvidia.com/cuda.runtime-version.major": "13",
        "nvidia.com/cuda.runtime-version.minor": "2",
        "nvidia.com/cuda.runtime.major": "13",
        "nvidia.com/cuda.runtime.minor": "2",
        "nvidia.com/gpu.compute.major": "9",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/gpu.count": "8",
        "nvidia.com/gpu.family": "hopper",
        "nvidia.com/gpu.machine": "unknown",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/mps.capable": "false",
        "nvidia.com/vgpu.present": "false",
    }


def test_a_node_without_gpus_carries_no_gpu_labels() -> None:
    assert labels(H100, 0, DRIVER) == {}


def test_a_driver_of_two_parts_has_an_empty_revision() -> None:
    found = labels(H100, 1, Driver(version="595.84", cuda="13.2"))
    assert found["nvidia.com/cuda.driver-version.revision"] == ""


def test_machine_and_timestamp_are_written_when_given() -> None:
    found = labels(H100, 1, DRIVER, machine="PowerEdge XE9680 (2U)", timestamp=1700000000)
    assert found["nvidia.com/gpu.machine"] == "PowerEdge-XE9680-2U"
    assert found["nvidia.com/gfd.timestamp"] == "1700000000"


@given(model=models, count=st.integers(1, 16))
def test_every_label_value_is_one_kubernetes_accepts(model: str, count: int) -> None:
    value_form = r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?"
    for value in labels(MODELS[model], count, DRIVER).values():
        assert re.fullmatch(value_form, value)


def copy_of_h100(folder: Path, old: str, new: str) -> None:
    text = (SETUP / "gpus/h100-80gb-sxm.yaml").read_text()
    assert old in text
    (folder / "broken.yaml").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("memory_mib: 81559", "memory_mib: much", "memory_mib"),
        ("family: hopper", "famly: hopper", "famly"),
        ('compute: "9.0"', "compute: 9.0", "compute"),
        ("  pstate: P0", "", "pstate"),
        ("00000000:53:00.0", "0000:53:00.0", "bus_ids"),
    ],
)
def test_a_malformed_model_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    copy_of_h100(tmp_path, old, new)
    with pytest.raises(InputError) as caught:
        load_models(tmp_path)
    assert "broken.yaml" in caught.value.what
    assert key in caught.value.what
    assert "\n" not in caught.value.what


def test_a_file_that_is_not_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    copy_of_h100(tmp_path, "product: ", "product: [")
    with pytest.raises(InputError) as caught:
        load_models(tmp_path)
    assert "broken.yaml: not YAML" in caught.value.what
    assert "\n" not in caught.value.what


def test_adding_a_model_is_adding_one_file(tmp_path: Path) -> None:
    copy_of_h100(tmp_path, "NVIDIA H100 80GB HBM3", "NVIDIA H900")
    added: dict[str, GpuModel] = load_models(tmp_path)
    assert added["broken"].product == "NVIDIA H900"


@pytest.mark.parametrize("text", ["", "[driver]\nversion = 595\n", "[driver\n"])
def test_a_malformed_driver_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nvidia.toml").write_text(text)
    with pytest.raises(InputError, match=r"nvidia\.toml"):
        load_driver(tmp_path / "nvidia.toml")


def test_a_missing_driver_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nvidia\.toml"):
        load_driver(tmp_path / "nvidia.toml")


def test_the_driver_is_the_one_the_gpu_operator_installs() -> None:
    assert (DRIVER.version, DRIVER.cuda) == ("595.91.07", "13.2")
