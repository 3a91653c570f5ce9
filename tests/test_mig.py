"""MIG: placements, mig-parted's configurations, and what plugin and GFD make of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.paths import DATA, ROOT
from gpulab.sim.device_map import device_map
from gpulab.sim.discovery import Discovery, is_discovered
from gpulab.sim.gpus import load_driver, load_models, node_gpus
from gpulab.sim.mig import Slice, cut, every_slice
from gpulab.sim.operator import mig_config
from gpulab.sim.operator.mig_config import MigError
from gpulab.sim.sharing import Config, ConfigError, parse
from gpulab.sim.smi import run

MODELS = load_models(DATA / "gpus")
CAPABLE = {name: model for name, model in MODELS.items() if model.mig_capable}
DRIVER = load_driver(DATA / "nvidia.toml")
GOLDEN = ROOT / "tests" / "golden" / "nvidia-smi"
H100 = node_gpus(MODELS["h100-80gb-sxm"], 2, seed="s", node="n")
A100 = node_gpus(MODELS["a100-40gb-sxm"], 1, seed="s", node="n")
L40S = node_gpus(MODELS["l40s-48gb"], 1, seed="s", node="n")
NONE = Config()


def placed(slices: tuple[Slice, ...]) -> list[tuple[int, str]]:
    return [(one.gi, f"{one.start}:{one.profile.size}") for one in slices]


@pytest.mark.parametrize(
    ("wanted", "listing"),
    [  # published listings, named in SOURCES.md
        ({"1g.5gb": 7}, [(7 + n, f"{n}:1") for n in range(7)]),
        ({"3g.20gb": 1, "2g.10gb": 1}, [(2, "4:4"), (3, "0:2")]),
        ({"4g.20gb": 1, "2g.10gb": 1, "1g.5gb": 1}, [(1, "0:4"), (5, "4:2"), (13, "6:1")]),
        (
            {"3g.20gb": 1, "2g.10gb": 1, "1g.5gb": 2},
            [(2, "4:4"), (3, "0:2"), (9, "2:1"), (10, "3:1")],
        ),
        ({"3g.20gb": 2}, [(1, "0:4"), (2, "4:4")]),
    ],
)
def test_slices_lie_where_published_listings_have_them(
    wanted: dict[str, int], listing: list[tuple[int, str]]
) -> None:
    assert placed(cut(A100[0], wanted)) == listing


@given(data=st.data(), name=st.sampled_from(sorted(CAPABLE)))
def test_slices_never_overlap_and_never_are_more_than_the_hardware_allows(
    data: st.DataObject, name: str
) -> None:
    [gpu] = node_gpus(MODELS[name], 1, seed="s", node="n")
    profiles = {one.name: one for one in gpu.model.mig_profiles}
    wanted = data.draw(st.dictionaries(st.sampled_from(sorted(profiles)), st.integers(1, 4)))
    try:
        found = cut(gpu, wanted)
    except ValueError:
        return
    taken = [number for one in found for number in one.taken]
    assert len(taken) == len(set(taken))
    assert {
        one.profile.name: sum(o.profile == one.profile for o in found) for one in found
    } == wanted
    assert all(one.start in one.profile.starts for one in found)
    assert set(found) <= set(every_slice(gpu))
    assert len({one.gi for one in found}) == len(found)


@pytest.mark.parametrize("wanted", [{"1g.5gb": 8}, {"3g.20gb": 3}, {"7g.40gb": 1, "1g.5gb": 1}])
def test_what_does_not_fit_is_not_cut(wanted: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="all orderings failed"):
        cut(A100[0], wanted)


@pytest.mark.parametrize("name", sorted(CAPABLE))
def test_every_generated_configuration_can_be_applied(name: str) -> None:
    gpus = node_gpus(MODELS[name], 2, seed="s", node="n")
    text = mig_config.generated(MODELS[name])
    names = ["all-disabled", "all-enabled", "all-balanced"]
    names += [f"all-{one.name.replace('+', '.')}" for one in MODELS[name].mig_profiles]
    for each in names:
        after = mig_config.apply(mig_config.select(text, each), gpus, {}, set())
        assert (after == {}) == (each == "all-disabled")
    with pytest.raises(MigError, match="selected mig-config not present: all-9g"):
        mig_config.select(text, "all-9g")


def test_a_balanced_gpu_is_what_the_manager_of_a_real_one_makes() -> None:
    entries = mig_config.select(mig_config.generated(H100[0].model), "all-balanced")
    assert entries[0].mig_devices == {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}


CUSTOM = """
version: v1
mig-configs:
  first:
  - {devices: [0], mig-enabled: true, mig-devices: {1g.10gb: 7}}
  - {devices: [1], mig-enabled: false}
  other: [{device-filter: "0x20B210DE", devices: all, mig-enabled: true, mig-devices: {}}]
  much: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 8}}]
  unknown: [{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 1}}]
"""


def test_a_configuration_of_ones_own_may_choose_gpus() -> None:
    after = mig_config.apply(mig_config.select(CUSTOM, "first"), H100, {}, set())
    assert after.keys() == {H100[0].uuid}
    assert mig_config.apply(mig_config.select(CUSTOM, "other"), H100, {}, set()) == {}
    assert mig_config.apply(mig_config.select(CUSTOM, "much"), L40S, {}, set()) == {}
    with pytest.raises(MigError, match="cannot set MIG mode on non MIG-capable GPU"):
        mig_config.apply(mig_config.select(CUSTOM, "first"), L40S, {}, set())


@pytest.mark.parametrize("name", ["much", "unknown"])
def test_what_the_hardware_cannot_be_is_an_error(name: str) -> None:
    with pytest.raises(MigError, match="error setting MIGConfig"):
        mig_config.apply(mig_config.select(CUSTOM, name), H100, {}, set())


@pytest.mark.parametrize("text", ["", "a: b", "version: v1\nmig-configs: 3", "{", "- 1"])
def test_a_damaged_configuration_is_an_error(text: str) -> None:
    with pytest.raises(MigError, match="error parsing config file"):
        mig_config.select(text, "first")


def test_a_gpu_in_use_is_left_as_it_is() -> None:
    before = mig_config.apply(mig_config.select(CUSTOM, "first"), H100, {}, set())
    off = mig_config.select(mig_config.generated(H100[0].model), "all-disabled")
    with pytest.raises(MigError, match="In use by another client"):
        mig_config.apply(off, H100, before, {H100[0].uuid})
    assert mig_config.apply(off, H100, before, {H100[1].uuid}) == {}, "it does not change"


def layout(*wanted: dict[str, int]) -> dict[str, tuple[Slice, ...]]:
    return {gpu.uuid: cut(gpu, each) for gpu, each in zip(H100, wanted, strict=False)}


def counts(strategy: str, config: Config, *wanted: dict[str, int]) -> dict[str, int]:
    found = device_map(H100, layout(*wanted), strategy, config)
    return {name.removeprefix("nvidia.com/"): len(each) for name, each in found.items()}


def test_resources_follow_from_the_strategy() -> None:
    one, two = {"1g.10gb": 7}, {"3g.40gb": 2}
    assert counts("none", NONE, one, one) == {"gpu": 2}
    assert counts("single", NONE, one, one) == {"gpu": 14}
    assert counts("single", NONE) == {"gpu": 2}
    assert counts("mixed", NONE, one) == {"mig-1g.10gb": 7, "gpu": 1}
    assert counts("mixed", NONE, {"1g.10gb+me": 1}, two) == {"mig-1g.10gb.me": 1, "mig-3g.40gb": 2}
    assert counts("mixed", NONE, {}, {}) == {}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (({"1g.10gb": 7},), "configured with the same migEnabled value"),
        (({"1g.10gb": 7}, {"3g.40gb": 2}), "more than one MIG device type present on node"),
        (({"1g.10gb": 7}, {}), "device 1 has no MIG devices configured"),
    ],
)
def test_single_refuses_what_is_not_uniform(wanted: tuple[dict[str, int], ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        counts("single", NONE, *wanted)
    found = Discovery("single", NONE, layout(*wanted)).labels(H100, DRIVER, 1)
    assert found["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3-MIG-INVALID"
    assert found["nvidia.com/gpu.count"] == "0"


SLICED = parse("sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}")
RENAMED = parse(
    "sharing: {timeSlicing: {renameByDefault: true, failRequestsGreaterThanOne: true,"
    " resources: [{name: gpu, replicas: 4}]}}"
)
MPS = parse("sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}")


def test_shared_devices_are_offered_several_times() -> None:
    assert counts("single", SLICED) == {"gpu": 8}
    assert counts("single", SLICED, {"1g.10gb": 7}, {"1g.10gb": 7}) == {"gpu": 56}
    assert counts("mixed", SLICED, {"1g.10gb": 7}) == {"mig-1g.10gb": 7, "gpu": 4}
    assert counts("single", RENAMED) == {"gpu.shared": 8}
    assert counts("single", MPS) == {"gpu": 8}
    with pytest.raises(ConfigError, match="sharing using MPS is not supported for MIG devices"):
        counts("single", MPS, {"1g.10gb": 7}, {"1g.10gb": 7})
    ids = [one.id for one in device_map(H100, {}, "single", SLICED)["nvidia.com/gpu"]]
    assert ids[:2] == [f"{H100[0].uuid}::0", f"{H100[0].uuid}::1"]
    offers = [device_map(H100, {}, "single", config) for config in (SLICED, RENAMED, MPS)]
    alone = [next(iter(each.values()))[0].alone for each in offers]
    assert alone == [False, True, True]


@pytest.mark.parametrize(
    ("strategy", "config", "wanted", "labels"),
    [
        ("single", NONE, (), ("", 2, 1, "none")),
        ("single", SLICED, (), ("-SHARED", 2, 4, "time-slicing")),
        ("single", RENAMED, (), ("", 2, 4, "time-slicing")),
        ("single", MPS, (), ("-SHARED", 2, 4, "mps")),
        ("single", NONE, ({"1g.10gb": 7},) * 2, ("-MIG-1g.10gb", 14, 1, "none")),
        ("single", SLICED, ({"1g.10gb": 7},) * 2, ("-MIG-1g.10gb-SHARED", 14, 4, "time-slicing")),
        ("mixed", SLICED, ({"1g.10gb": 7},) * 2, ("", 2, 0, "none")),
        ("mixed", SLICED, ({"1g.10gb": 7},), ("-SHARED", 2, 4, "time-slicing")),
    ],
)
def test_gfd_says_what_is_cut_and_shared(
    strategy: str, config: Config, wanted: tuple[dict[str, int], ...], labels: tuple[object, ...]
) -> None:
    found = Discovery(strategy, config, layout(*wanted)).labels(H100, DRIVER, 1)
    keys = ("product", "count", "replicas", "sharing-strategy")
    said = [found[f"nvidia.com/gpu.{key}"] for key in keys]
    assert said == [f"NVIDIA-H100-80GB-HBM3{labels[0]}", *map(str, labels[1:])]
    assert all(map(is_discovered, found))
    assert found["nvidia.com/mps.capable"] == str(config is MPS).lower()


def test_gfd_describes_each_kind_of_slice() -> None:
    found = Discovery("mixed", NONE, layout({"3g.40gb": 1, "1g.10gb": 2})).labels(H100, DRIVER, 1)
    mine = {key.rpartition("3g.40gb.")[2]: each for key, each in found.items() if "3g.40gb." in key}
    assert mine == {
        "product": "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb",
        **{"count": "1", "replicas": "1", "sharing-strategy": "none", "memory": "40448"},
        **{"multiprocessors": "60", "slices.gi": "3", "slices.ci": "3", "engines.copy": "3"},
        **{"engines.decoder": "3", "engines.encoder": "0", "engines.jpeg": "3", "engines.ofa": "0"},
    }
    assert found["nvidia.com/mig-1g.10gb.count"] == "2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: v2", "unknown version: v2"),
        ("sharing: {timeSlicing: {}}", "decoding JSON: no resources specified"),
        ("sharing: {timeSlicing: {resources: [{replicas: 2}]}}", "no resource name specified"),
        ("sharing: {timeSlicing: {resources: [{name: a}]}}", "no replicas specified"),
        (
            "sharing: {mps: {resources: [{name: a, replicas: 1}]}}",
            "number of replicas must be >= 2",
        ),
        ("sharing: {mps: {resources: [{name: a, replicas: x}]}}", "cannot unmarshal string"),
        ("sharing: {mps: 3}", "cannot unmarshal number"),
        ("sharing: {mps: {resources: 3}}", "cannot unmarshal number"),
        ("sharing: {mps: {resources: [3]}}", "no resource name specified"),
        ("a: [", "error converting YAML to JSON: yaml: line"),
        ("", ""),
        ("- 1", "cannot unmarshal array"),
        ("sharing: 3", "cannot unmarshal number"),
        ("flags: 3", "cannot unmarshal number"),
    ],
)
def test_a_damaged_plugin_configuration_is_refused_in_the_plugins_words(
    text: str, words: str
) -> None:
    if not words:
        assert parse(text) == NONE
        return
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert words in str(refused.value)


def smi(line: str, slices: dict[str, tuple[Slice, ...]]) -> str:
    now = datetime(2026, 9, 5, tzinfo=UTC)
    return run(["nvidia-smi", *line.split()], H100, DRIVER, now, slices=slices)[0]


@pytest.mark.parametrize(
    ("option", "wanted"),
    [("-lgip", {}), ("-lgi", {"3g.40gb": 1, "2g.20gb": 1}), ("-lci", {"3g.40gb": 1, "2g.20gb": 1})],
)
def test_nvidia_smi_mig_writes_what_was_published(option: str, wanted: dict[str, int]) -> None:
    assert smi(f"mig {option}", layout(wanted)) == (GOLDEN / f"mig{option}-h100.txt").read_text()


def test_mig_devices_stand_in_the_table_and_in_the_list_as_published() -> None:
    real = (GOLDEN / "mig-table-r570-h100.txt").read_text().splitlines()
    mine = smi("", layout({"1g.10gb": 7})).splitlines()
    figures = [("15MiB", " 0MiB"), ("| 14  ", "| 16  ")]  # idle memory; 16 SMs on an SXM5 board
    for line in real[4:15]:
        for old, new in figures:
            line = line.replace(old, new)
        assert line in mine
    assert "|     N/A      Default |" in "\n".join(mine)
    assert mine[mine.index(next(each for each in mine if "H100" in each))].endswith(" On |")
    listed = smi("-L", layout({"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 2})).splitlines()[:5]
    gold = (GOLDEN / "mig-list-a100.txt").read_text().splitlines()
    assert [each[: each.index("(")] for each in listed[1:]] == [
        each[: each.index("(")] for each in gold[1:]
    ]


def test_nvidia_smi_says_when_there_is_nothing_to_list() -> None:
    assert smi("mig -lgi", {}) == "No MIG-enabled devices found.\n"
    assert smi("mig -lgi", layout({})) == "No GPU instances found: Not Found\n"
    assert "No MIG devices found" in smi("", layout({}))
    assert smi("--query-gpu=mig.mode.current --format=csv,noheader", layout({})) == (
        "Enabled\nDisabled\n"
    )
