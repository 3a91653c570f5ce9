"""nvidia-smi: its layout against published outputs, and its parts against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from gpulab.sim.gpus import Driver, Gpu, load_driver, load_models, node_gpus
from gpulab.sim.smi import run
from gpulab.sim.smi.query import FIELDS
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden/nvidia-smi"
MODELS = load_models(ROOT / "cluster-setup/gpus")
DRIVER = load_driver(ROOT / "cluster-setup/nvidia.toml")
NOW = datetime(2026, 9, 5, 16, 4, 42, 123456, tzinfo=UTC)

fleets = st.builds(
    lambda model, count, node: node_gpus(MODELS[model], count, seed="s", node=node),
    st.sampled_from(sorted(MODELS)),
    st.integers(1, 16),
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
)


def smi(line: str, gpus: Sequence[Gpu], now: datetime = NOW) -> str:
    text, code = run(["nvidia-smi", *line.split()], gpus, DRIVER, now)
    assert code == 0, text
    return text


def csv(fields: str, gpus: Sequence[Gpu]) -> list[list[str]]:
    text = smi(f"--query-gpu={fields} --format=csv,noheader,nounits", gpus)
    return [line.split(", ") for line in text.splitlines()]


def some(model: str, count: int = 1) -> tuple[Gpu, ...]:
    return node_gpus(MODELS[model], count, seed="s", node="n")


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def shape(text: str) -> str:
    """Blank out what differs from GPU to GPU, keeping every width.

    >>> shape("|  39145MiB /  46068MiB |")
    '|#######MiB /#######MiB |'
    """

    def blank(found: re.Match[str]) -> str:
        return "#" * len(found[0])

    text = re.sub(r"[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.[0-9]", blank, text)  # bus id
    text = re.sub(r"(?<=\d  )NVIDIA .{20}", blank, text)  # name, 27 wide
    text = re.sub(r"(?<=: )[\d.]+ +|(?<=SMI )[\d.]+ +", blank, text)  # versions
    text = re.sub(r"(?<= )P\d(?= )", "P#", text)
    return re.sub(r" +\d+(?=MiB|W|%|C)", blank, text)


def gpu_rows(text: str) -> list[str]:
    """The three lines of every GPU."""
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if re.match(r"\| +\d+  NVIDIA", line)]
    return [line for at in starts for line in lines[at : at + 3]]


@pytest.mark.parametrize(
    ("name", "model"),
    [("table-r595-gh200.txt", "h100-80gb-sxm"), ("table-r580-l40.txt", "l40s-48gb")],
)
def test_the_table_has_the_layout_of_a_real_one(name: str, model: str) -> None:
    real = golden(name)
    when = datetime.strptime(real.splitlines()[0].strip(), "%a %b %d %H:%M:%S %Y")
    busy = r"\|    0   N/A  N/A +\d+ +C .+MiB \|"
    idle = f"|{'  No running processes found':<89}|"
    assert shape(smi("", some(model), when)) == shape(re.sub(busy, idle, real))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("table-r570-h200-8.txt", "h200-141gb-sxm"),
        ("table-r570-l40s-4.txt", "l40s-48gb"),
        ("table-r550-a100-8.txt", "a100-80gb-sxm"),
    ],
)
def test_the_gpu_rows_have_the_layout_of_older_drivers(name: str, model: str) -> None:
    real = gpu_rows(golden(name))
    ours = gpu_rows(smi("", some(model, len(real) // 3)))
    assert [shape(line) for line in ours] == [shape(line) for line in real]


@pytest.mark.parametrize(
    ("name", "model"),
    [("table-r570-h200-8.txt", "h200-141gb-sxm"), ("table-r550-a100-8.txt", "a100-80gb-sxm")],
)
def test_an_eight_gpu_node_has_the_bus_ids_of_the_board_it_copies(name: str, model: str) -> None:
    real = re.findall(r"[0-9A-F]{8}:[0-9A-F]{2}:00\.0", golden(name))
    assert [gpu.bus_id for gpu in some(model, 8)] == real


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("table-r570-h200-8.txt", "h200-141gb-sxm"),
        ("table-r570-l40s-4.txt", "l40s-48gb"),
        ("table-r550-a100-8.txt", "a100-80gb-sxm"),
    ],
)
def test_idle_readings_lie_near_the_published_ones(name: str, model: str) -> None:
    real = [
        (int(temp), int(power)) for temp, power in re.findall(r"(\d+)C .+? (\d+)W /", golden(name))
    ]
    temps, powers = [temp for temp, _ in real], [power for _, power in real]
    for temp, power in csv("temperature.gpu,power.draw", some(model, 8)):
        assert min(temps) - 3 <= int(temp) <= max(temps) + 3
        assert min(powers) - 6 <= float(power) <= max(powers) + 6


def with_uuids(gpus: Sequence[Gpu], uuids: Sequence[str]) -> list[Gpu]:
    return [msgspec.structs.replace(gpu, uuid=uuid) for gpu, uuid in zip(gpus, uuids, strict=True)]


def test_the_list_is_the_published_one_for_the_same_uuids() -> None:
    real = golden("list-a100-8.txt")
    gpus = with_uuids(some("a100-80gb-sxm", 8), re.findall(r"GPU-[0-9a-f-]+", real))
    assert smi("-L", gpus) == real
    assert smi("--list-gpus", gpus) == real


def test_a_csv_query_is_the_published_one() -> None:
    fields = "--query-gpu=index,name,memory.total,compute_cap --format=csv"
    header, *rows = smi(fields, some("a100-80gb-sxm", 5)).splitlines()
    assert [header, rows[4]] == golden("query-a100.csv").splitlines()


def test_second_names_of_fields_print_the_first_name() -> None:
    real = golden("query-h100.csv")
    addresses = re.findall(r"0{8}:..:00\.0", real)
    gpus = [
        msgspec.structs.replace(gpu, bus_id=bus_id)
        for gpu, bus_id in zip(some("h100-80gb-sxm", 2), addresses, strict=True)
    ]
    assert smi("--query-gpu=gpu_name,gpu_bus_id --format=csv", gpus) == real


def test_the_version_is_printed_as_published() -> None:
    text, code = run(["nvidia-smi", "--version"], (), Driver(version="590.48.01", cuda="13.1"), NOW)
    assert (text, code) == (golden("version-r590.txt"), 0)


@given(gpus=fleets)
def test_table_list_and_query_agree(gpus: tuple[Gpu, ...]) -> None:
    table, listed = smi("", gpus), smi("-L", gpus).splitlines()
    rows = csv("index,uuid,pci.bus_id,memory.total,memory.used", gpus)
    assert [row[0] for row in rows] == re.findall(r"^\| +(\d+)  NVIDIA", table, re.M)
    assert [row[0] for row in rows] == [line.split(":")[0].split()[1] for line in listed]
    assert [row[1] for row in rows] == [line.split("UUID: ")[1].rstrip(")") for line in listed]
    assert [row[2] for row in rows] == re.findall(r"[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.0", table)
    memory = re.findall(r"(\d+)MiB / +(\d+)MiB", table)
    assert [(row[4], row[3]) for row in rows] == memory


@given(gpus=fleets)
def test_every_line_of_the_table_is_91_wide(gpus: tuple[Gpu, ...]) -> None:
    lines = smi("", gpus).splitlines()[1:]
    assert {len(line) for line in lines if line} == {91}


@given(gpus=fleets)
def test_rounded_power_and_temperature_agree_with_the_query(gpus: tuple[Gpu, ...]) -> None:
    found = re.findall(r"N/A +(\d+)C +P\d +(\d+)W", smi("", gpus))
    rows = csv("temperature.gpu,power.draw", gpus)
    assert found == [(temp, f"{float(power):.0f}") for temp, power in rows]


@given(gpus=fleets, data=st.data())
def test_a_container_numbers_its_gpus_from_zero_in_bus_order(
    gpus: tuple[Gpu, ...], data: st.DataObject
) -> None:
    given_out = data.draw(st.permutations(gpus))[: data.draw(st.integers(1, len(gpus)))]
    rows = csv("index,uuid,count", given_out)
    ordered = sorted(given_out, key=lambda gpu: gpu.bus_id)
    count = str(len(given_out))
    assert rows == [[str(at), gpu.uuid, count] for at, gpu in enumerate(ordered)]


@pytest.mark.parametrize("by", ["index", "uuid", "serial", "bus", "short bus", "lower bus"])
@pytest.mark.parametrize("option", ["-i {}", "--id={}", "--id {}"])
def test_one_gpu_can_be_chosen_and_keeps_its_index(by: str, option: str) -> None:
    gpus = some("h100-80gb-sxm", 8)
    gpu = gpus[3]
    bus = gpu.bus_id
    ids = {"index": "3", "uuid": gpu.uuid, "serial": gpu.serial, "bus": bus}
    ids |= {"short bus": bus[4:], "lower bus": bus.lower()}
    chosen = smi(f"-L {option.format(ids[by])}", gpus)
    assert chosen == f"GPU 3: NVIDIA H100 80GB HBM3 (UUID: {gpu.uuid})\n"


def test_several_gpus_can_be_chosen_at_once() -> None:
    rows = smi("-i 0,2 --query-gpu=index --format=csv,noheader", some("h100-80gb-sxm", 4))
    assert rows == "0\n2\n"


@pytest.mark.parametrize("line", ["", "-L", "--query-gpu=name --format=csv"])
def test_without_gpus_no_devices_were_found(line: str) -> None:
    argv = ["nvidia-smi", *line.split()]
    assert run(argv, (), DRIVER, NOW) == ("No devices were found\n", 6)


def test_an_id_nobody_has_finds_no_device() -> None:
    argv = ["nvidia-smi", "-i", "9"]
    assert run(argv, some("l40s-48gb"), DRIVER, NOW) == ("No devices were found\n", 6)


def test_an_unknown_field_is_refused_in_nvidias_words() -> None:
    argv = ["nvidia-smi", "--query-gpu=name,cuda_version", "--format=csv"]
    text, code = run(argv, some("l40s-48gb"), DRIVER, NOW)
    assert text.splitlines()[0] == 'Field "cuda_version" is not a valid field to query.'
    assert code == 2


@pytest.mark.parametrize("option", ["-lms100", "--frobnicate", "-format=csv"])
def test_an_unknown_option_is_refused_in_nvidias_words(option: str) -> None:
    text, code = run(["nvidia-smi", option], some("l40s-48gb"), DRIVER, NOW)
    said = f"ERROR: Option {option} is not recognized. Please run 'nvidia-smi -h' for help."
    assert text.splitlines()[0] == said
    assert code == 2


@pytest.mark.parametrize("line", ["-q", "topo -m", "mig -lgip", "--loop=1", "dmon"])
def test_what_is_not_modelled_says_so(line: str) -> None:
    text, code = run(["nvidia-smi", *line.split()], some("l40s-48gb"), DRIVER, NOW)
    first = line.split()[0].split("=")[0]
    assert text.startswith(f"nvidia-smi (simulated): {first} is not modelled")
    assert code == 1


@pytest.mark.parametrize("form", ["", "--format=xml", "--format=csv,nohead"])
def test_a_query_without_csv_says_what_is_missing(form: str) -> None:
    argv = ["nvidia-smi", "--query-gpu=name", *form.split()]
    text, code = run(argv, some("l40s-48gb"), DRIVER, NOW)
    assert "--format=csv" in text
    assert code == 2


def test_every_field_answers_for_every_model() -> None:
    names = ",".join(FIELDS)
    for model in MODELS:
        (row,) = csv(names, some(model))
        assert len(row) == len(FIELDS)
        assert "" not in row


def test_units_stand_in_the_header_and_behind_the_values() -> None:
    fields = "power.limit,memory.total,utilization.gpu,fan.speed,mig.mode.current"
    text = smi(f"--query-gpu={fields} --format=csv", some("l40s-48gb"))
    header = "power.limit [W], memory.total [MiB], utilization.gpu [%], fan.speed [%], "
    values = "350.00 W, 46068 MiB, 0 %, [N/A], [N/A]"
    assert text == f"{header}mig.mode.current\n{values}\n"


def test_the_timestamp_has_milliseconds() -> None:
    assert csv("timestamp", some("l40s-48gb")) == [["2026/09/05 16:04:42.123"]]


def test_help_names_the_fields_of_a_query() -> None:
    assert '"memory.total"' in smi("--help-query-gpu", ())
    assert "--query-gpu=" in smi("-h", ())


def test_a_long_product_name_is_cut_as_nvidia_smi_cuts_it() -> None:
    gpu = some("l40s-48gb")[0]
    name = "NVIDIA GeForce RTX 3050 6GB Laptop GPU"
    model = msgspec.structs.replace(gpu.model, product=name)
    table = smi("", [msgspec.structs.replace(gpu, model=model)])
    assert "|   0  NVIDIA GeForce RTX 3050 ...    On  |" in table


def test_mig_reads_disabled_where_the_board_has_mig() -> None:
    assert "Disabled |" in smi("", some("h100-80gb-sxm"))
    assert "Disabled |" not in smi("", some("l40s-48gb"))
