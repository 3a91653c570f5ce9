"""nvidia-smi: its layout against published outputs, and its parts against each other."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.sim.gpus import Driver, Gpu, load_driver, load_models, node_gpus
from gpulab.sim.smi import Process, run
from gpulab.sim.smi.layout import GROUPS
from gpulab.sim.smi.query import FIELDS

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


def smi(line: str, gpus: Sequence[Gpu], now: datetime = NOW, **more: Any) -> str:
    text, code = run(["nvidia-smi", *line.split()], gpus, DRIVER, now, **more)
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


@settings(deadline=None)
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


@settings(deadline=None)
@given(gpus=fleets)
def test_every_line_of_the_table_is_91_wide(gpus: tuple[Gpu, ...]) -> None:
    lines = smi("", gpus).splitlines()[1:]
    assert {len(line) for line in lines if line} == {91}


@settings(deadline=None)
@given(gpus=fleets)
def test_rounded_power_and_temperature_agree_with_the_query(gpus: tuple[Gpu, ...]) -> None:
    found = re.findall(r"N/A +(\d+)C +P\d +(\d+)W", smi("", gpus))
    rows = csv("temperature.gpu,power.draw", gpus)
    assert found == [(temp, f"{float(power):.0f}") for temp, power in rows]


@settings(deadline=None)
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


@pytest.mark.parametrize(
    "line", ["topo -m", "topo -p", "mig -cgi 9", "--loop=1", "dmon", "dmon -c 2", "pmon -s m", "-B"]
)
def test_what_is_not_modelled_says_so(line: str) -> None:
    text, code = run(["nvidia-smi", *line.split()], some("l40s-48gb"), DRIVER, NOW)
    first = line.split()[0].split("=")[0]
    assert re.match(rf"nvidia-smi \(simulated\): {first}.* is not modelled", text)
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


def labels_of(text: str) -> list[str]:
    """Every line up to its colon, so with indentation and column, but without the value."""
    return [re.sub(r"( : ?).*", r"\1", line) for line in text.splitlines()]


def section(text: str) -> list[str]:
    """The first GPU of a report, labels only."""
    lines = labels_of(text)
    start = next(at for at, line in enumerate(lines) if line.startswith("GPU 0"))
    ends = [at for at, line in enumerate(lines) if at > start and not line]
    return lines[start + 1 : (ends or [len(lines)])[0]]


def test_a_report_has_the_layout_of_a_real_one() -> None:
    real = section(golden("q-r580-rtx5080.txt"))
    remapped = next(at for at, line in enumerate(real) if "Remapped Rows" in line)
    real[remapped : remapped + 1] = section(golden("q-row-remapper.txt"))  # the laptop has none
    profiles = next(at for at, line in enumerate(real) if "Enforced Profiles" in line)
    real.insert(profiles + 1, section(golden("q-power-r595.txt"))[-1])  # EDPp Multiplier, new
    gpus = some("h100-80gb-sxm")
    process = Process(2573, "/usr/bin/python3", {gpus[0].uuid: 276})
    ours = smi("-q", gpus, running=[process])
    assert section(ours) == real
    assert labels_of(ours)[:8] == labels_of(golden("q-r580-rtx5080.txt"))[:8]
    assert ours.endswith("disabled\n\n")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("ECC", "q-ecc-r595.txt"),
        ("POWER", "q-power-r595.txt"),
        ("ROW_REMAPPER", "q-row-remapper.txt"),
    ],
)
def test_a_part_of_a_report_has_the_layout_of_a_real_one(word: str, name: str) -> None:
    assert section(smi(f"-q -d {word}", some("h100-80gb-sxm"))) == section(golden(name))


def test_the_words_of_display_are_combined_in_any_order_and_case() -> None:
    gpus = some("h100-80gb-sxm", 2)
    both = smi("-q -d memory,UTILIZATION", gpus)
    assert both == smi("--query --display=Utilization,Memory", gpus)
    heads = [line for line in section(both) if re.match(r" {4}\S", line)]
    memory = [f"    {name}" for name in GROUPS["MEMORY"]]
    assert heads == [*memory, "    Utilization"]


def test_every_word_of_display_leaves_something_of_every_board() -> None:
    for model in MODELS:
        whole = section(smi("-q", some(model)))
        for word in GROUPS:
            part = section(smi(f"-q -d {word}", some(model)))
            assert part
            samples = [line for line in part if "Samples" in line]
            assert samples or set(part) <= set(whole)


@pytest.mark.parametrize(
    ("line", "said", "code"),
    [
        ("-q -d HEALTH", "HEALTH is no display type", 2),
        ("-q -d VOLTAGE", "-d VOLTAGE is not modelled", 1),
        ("-q -x -d ECC", "-d with -x is not modelled", 1),
        ("-x", "-x needs -q", 2),
        ("-d ECC", "-d needs -q", 2),
        ("--query-compute-apps=pid", "--query-compute-apps needs --format=csv", 2),
        ("--query-compute-apps=cwd --format=csv", 'Field "cwd" is not a valid field', 2),
    ],
)
def test_a_question_that_is_not_answered_says_why(line: str, said: str, code: int) -> None:
    text, ended = run(["nvidia-smi", *line.split()], some("l40s-48gb"), DRIVER, NOW)
    assert (said in text, ended) == (True, code)


def test_a_report_about_one_gpu_counts_all() -> None:
    gpus = some("h100-80gb-sxm", 8)
    text = smi("-q -i 3 -d COMPUTE", gpus)
    assert re.findall(r"Attached GPUs +: (\d+)", text) == ["8"]
    assert re.findall(r"^GPU (\S+)", text, re.M) == [gpus[3].bus_id]


def elements(text: str) -> Iterator[tuple[str, str]]:
    """Path and value of every element of the first GPU that has no elements in it."""

    def walk(element: ET.Element, path: str) -> Iterator[tuple[str, str]]:
        for child in element:
            below = f"{path}/{child.tag}"
            yield from walk(child, below) if len(child) else [(below, (child.text or "").strip())]

    gpu = ET.fromstring(text).find("gpu")
    assert gpu is not None
    return walk(gpu, "")


def like(model: str, real: str) -> list[Gpu]:
    """A GPU with the identity of a captured one."""
    found = dict(elements(real))
    return [
        msgspec.structs.replace(
            some(model)[0],
            uuid=found["/uuid"],
            serial=found["/serial"],
            bus_id=found["/pci/pci_bus_id"],
        )
    ]


# What differs from moment to moment, from host to host, or with the driver.
LIVE = """
    /pdi /gsp_firmware_version /pci/replay_counter /pci/tx_util /pci/rx_util
    /temperature/gpu_temp /temperature/gpu_temp_tlimit
    /gpu_power_readings/average_power_draw /gpu_power_readings/instant_power_draw
    /inforom_bbx_flush/latest_timestamp /inforom_bbx_flush/latest_duration
    /clocks_event_reasons_counters/clocks_event_reasons_counters_sw_power_cap
"""
# The captured L40S was in P0, behind a narrow link; module ids need a whole board.
L40S = """
    /performance_state /clocks/graphics_clock /clocks/sm_clock /clocks/mem_clock /clocks/video_clock
    /pci/pci_gpu_link_info/link_widths/current_link_width /platformInfo/module_id
"""
OLDER = """
    /display_mode /gpu_power_readings/power_state
    /module_power_readings/power_state
    /applications_clocks/graphics_clock /applications_clocks/mem_clock
    /default_applications_clocks/graphics_clock /default_applications_clocks/mem_clock
"""


def test_xml_has_the_elements_of_a_real_one_line_by_line() -> None:
    real = golden("xml-r595-l40s.xml")
    ours = smi("-q -x", like("l40s-48gb", real))
    lines = [re.sub(r">[^<]+<", "><", line) for line in real.splitlines()]
    assert [re.sub(r">[^<]+<", "><", line) for line in ours.splitlines()] == lines


@pytest.mark.parametrize(
    ("name", "model", "apart"),
    [
        ("xml-r595-l40s.xml", "l40s-48gb", L40S),
        ("xml-r580-h100.xml", "h100-80gb-sxm", OLDER),
        ("xml-r570-a100.xml", "a100-40gb-sxm", f"{OLDER} /platformInfo/module_id"),
    ],
)
def test_a_report_says_of_a_board_what_a_capture_says(name: str, model: str, apart: str) -> None:
    except_for = {*LIVE.split(), *apart.split()}
    real, ours = golden(name), dict(elements(smi("-q -x", like(model, golden(name)))))
    compared = {path: value for path, value in elements(real) if path not in except_for}
    gone = {"/gpu_reset_status/reset_required", "/gpu_reset_status/drain_and_reset_recommended"}
    gone |= {"/voltage/graphics_volt"}
    assert {path: ours.get(path) for path in compared} == {
        path: None if path in gone else value for path, value in compared.items()
    }


@settings(deadline=None)
@given(gpus=fleets)
def test_text_and_xml_say_the_same(gpus: tuple[Gpu, ...]) -> None:
    text, xml = smi("-q", gpus), smi("-q -x", gpus)
    for label, tag in (
        ("GPU UUID", "uuid"),
        ("Serial Number", "serial"),
        ("Bus Id", "pci_bus_id"),
        ("GPU Current Temp", "gpu_temp"),
        ("Average Power Draw", "average_power_draw"),
        ("Max Power Limit", "max_power_limit"),
    ):
        said = re.findall(rf"^ +{label} +: (.*)$", text, re.M)
        assert said == re.findall(rf"<{tag}>(.*)</{tag}>", xml)


def test_a_board_without_details_prints_na() -> None:
    gpu = some("h100-80gb-sxm")[0]
    model = msgspec.structs.replace(gpu.model, details=None, reserved_mib=None)
    text = smi("-q", [msgspec.structs.replace(gpu, model=model)])
    assert "VBIOS Version                                      : N/A" in text
    assert "GPU Shutdown T.Limit Temp                      : N/A" in text
    assert "Reserved                                       : N/A" in text


def working(gpus: Sequence[Gpu]) -> list[Process]:
    """One process on all GPUs, one on the first; figures and short name of published outputs."""
    name = "/opt/research/wrappers/2.13/bin/python3"
    return [
        Process(1753915, name, {gpu.uuid: 4950 for gpu in gpus}),
        Process(377875, "python", {gpus[0].uuid: 374}),
    ]


def test_a_process_stands_in_the_table_as_in_a_real_one() -> None:
    gpus = some("h100-80gb-sxm")
    table = smi("", gpus, running=working(gpus)[:1])
    (real,) = re.findall(r"^.*4950MiB \|$", golden("table-r595-gh200.txt"), re.M)
    assert real in table.splitlines()
    assert "No running processes found" not in table


def test_processes_without_any_leave_the_header() -> None:
    header = golden("apps.csv").splitlines()[0]
    query = "--query-compute-apps=pid,process_name,used_memory --format=csv"
    assert smi(query, some("l40s-48gb")) == f"{header}\n"
    assert smi(f"{query},noheader", some("l40s-48gb")) == ""


def test_processes_are_listed_as_published() -> None:
    gpus = some("l40s-48gb")
    query = "--query-compute-apps=pid,name,used_gpu_memory --format=csv"
    assert smi(query, gpus, running=working(gpus)[1:]) == golden("apps.csv")


@settings(deadline=None)
@given(gpus=fleets)
def test_every_form_agrees_on_the_processes(gpus: tuple[Gpu, ...]) -> None:
    running = working(gpus)
    query = "--query-compute-apps=gpu_uuid,pid,used_memory --format=csv,noheader,nounits"
    apps = [tuple(line.split(", ")) for line in smi(query, gpus, running=running).splitlines()]
    order = {gpu.uuid: str(at) for at, gpu in enumerate(sorted(gpus, key=lambda g: g.bus_id))}
    table = re.findall(
        r"^\| +(\d+) .+? (\d+) +C .+ (\d+)MiB \|$", smi("", gpus, running=running), re.M
    )
    assert [(order[uuid], pid, mib) for uuid, pid, mib in apps] == table
    report = smi("-q -d PIDS", gpus, running=running)
    found = re.findall(r"Process ID +: (\d+)[^G]+GPU Memory +: (\d+) MiB", report)
    assert found == [(pid, mib) for _, pid, mib in apps]


@settings(deadline=None)
@given(gpus=fleets)
def test_memory_in_use_is_that_of_the_processes(gpus: tuple[Gpu, ...]) -> None:
    fields = "--query-gpu=memory.used,memory.free --format=csv,noheader,nounits"
    rows = [line.split(", ") for line in smi(fields, gpus, running=working(gpus)).splitlines()]
    ordered = sorted(gpus, key=lambda gpu: gpu.bus_id)
    expected = [4950 + 374 * (gpu is gpus[0]) for gpu in ordered]
    assert [int(used) for used, _ in rows] == expected
    assert all(int(used) + int(free) <= gpus[0].model.memory_mib + 1 for used, free in rows)


def test_the_matrix_is_the_published_one() -> None:
    matrix = smi("topo -m", some("a100-40gb-sxm", 8))
    assert re.sub(r"\x1b\[\d+m", "", matrix) == golden("topo-a100-8.txt")


def test_the_matrix_has_the_gpus_of_the_published_one() -> None:
    real = [line.split("\t") for line in golden("topo-h100-8.txt").splitlines()]
    nics = [at for at, head in enumerate(real[0]) if head.startswith("NIC")]
    kept = ["\t".join(c for at, c in enumerate(row) if at not in nics) for row in real]
    ours = re.sub(r"\x1b\[\d+m", "", smi("topo --matrix", some("h100-80gb-sxm", 8)))
    assert ours.splitlines()[:9] == kept


def test_a_container_sees_the_wires_of_its_own_gpus() -> None:
    gpus = some("a100-80gb-sxm", 8)
    rows = smi("topo -m", [gpus[6], gpus[0]]).splitlines()[1:3]
    assert rows[0].split("\t") == ["GPU0", " X ", "NV12", "48-63,176-191", "3", "", "N/A"]
    assert rows[1].split("\t") == ["GPU1", "NV12", " X ", "80-95,208-223", "5", "", "N/A"]


def test_samples_stand_in_the_columns_of_real_ones() -> None:
    gpus = some("l40s-48gb", 2)
    devices, real = smi("dmon -c 1", gpus).splitlines(), golden("dmon.txt").splitlines()
    assert devices[:2] == real[:2]
    ends = [[found.end() for found in re.finditer(r"\S+", line)] for line in devices[2:]]
    assert ends == [[found.end() for found in re.finditer(r"\S+", line)] for line in real[2:]]
    name = Process(3485, "/usr/bin/python", {gpus[0].uuid: 1})
    assert smi("pmon -c 1 -i 0", gpus, running=[name]) == golden("pmon.txt")
    assert smi("pmon -c 1", gpus).splitlines()[2].split() == ["0", *"--------", "-"]


def test_a_gpu_off_the_bus_is_all_that_a_call_speaks_of() -> None:
    gpus = some("a100-80gb-sxm", 4)
    lost = [gpus[2].uuid]
    said = "Unable to determine the device handle for GPU0000:62:00.0: Unknown Error\n"
    for line in ("", "-L", "-q", "-q -x", "--query-gpu=uuid --format=csv", "-i 2"):
        answer = run(["nvidia-smi", *line.split()], gpus, DRIVER, NOW, lost=lost)
        assert answer == (said, 255)
    assert gpus[1].uuid in smi("-i 0,1,3 -L", gpus, lost=lost)


def test_mig_profiles_fit_the_gpu_they_cut() -> None:
    for model in MODELS.values():
        assert bool(model.mig_profiles) == model.mig_capable
        for profile in model.mig_profiles:
            assert profile.memory_mib * profile.instances <= model.memory_mib
            assert profile.memory_mib % 128 == 0
            assert max(profile.starts) + profile.size <= 8
            assert profile.instances <= len(profile.starts)
            assert profile.name[0] == "1" or profile.id in {14, 9, 5, 0}
