"""The command line of nvidia-smi: what is asked, about which GPUs, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.smi import listing, query, table, wording
from gpulab.sim.smi.table import Shown

Answer = tuple[str, int]

LONG = {"-h": "--help", "-L": "--list-gpus", "-i": "--id"}
TAKES_VALUE = {"--id", "--query-gpu", "--format"}
FLAGS = {"--help", "--version", "--list-gpus", "--help-query-gpu"}

# Options and subcommands of `man nvidia-smi` (R550) that have no simulation yet.
REAL_ONLY = """
    -q --query -x --xml-format --dtd -l --loop -lms --loop-ms -f --filename -d --display -u --unit
    -B --list-excluded-gpus --query-compute-apps --query-accounted-apps --query-supported-clocks
    --query-retired-pages --query-remapped-rows -pm --persistence-mode -e --ecc-config
    -p --reset-ecc-errors -c --compute-mode -r --gpu-reset -pl --power-limit -lgc --lock-gpu-clocks
    -rgc --reset-gpu-clocks -ac --applications-clocks -mig --multi-instance-gpu
    topo drain nvlink clocks encodersessions fbcsessions vgpu mig boost-slider power-hint
    conf-compute dmon daemon replay pmon stats
"""


class Request(msgspec.Struct):
    """A parsed command line; `refusal` ends it early."""

    options: dict[str, str] = msgspec.field(default_factory=dict)
    refusal: Answer | None = None


def run(argv: Sequence[str], gpus: Sequence[Gpu], driver: Driver, now: datetime) -> Answer:
    """Answer one nvidia-smi call with its output and exit code."""
    request = _parse(argv[1:])
    asked = request.options
    if request.refusal:
        return request.refusal
    if text := _needs_no_gpu(asked, driver):
        return text, 0
    shown = _select(gpus, asked.get("--id"))
    if not shown:
        return wording.NO_DEVICES, wording.NOT_FOUND
    if "--query-gpu" in asked:
        return _query(asked, shown, driver, now)
    if "--list-gpus" in asked:
        return listing.render(shown), 0
    return table.render(shown, driver, now), 0


def _parse(words: Sequence[str]) -> Request:
    request, rest = Request(), list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        name = LONG.get(name, name)
        if name in TAKES_VALUE and (equals or rest):
            request.options[name] = value if equals else rest.pop(0)
        elif name in FLAGS and not equals:
            request.options[name] = ""
        else:
            request.refusal = _refuse(word, name)
            break
    return request


def _refuse(word: str, name: str) -> Answer:
    if name in REAL_ONLY.split():
        return wording.not_modelled(name), wording.NOT_MODELLED
    return wording.unrecognised(word), wording.INVALID_ARGUMENT


def _needs_no_gpu(asked: dict[str, str], driver: Driver) -> str | None:
    if "--help" in asked:
        return wording.usage(driver)
    if "--version" in asked:
        return wording.version(driver)
    if "--help-query-gpu" in asked:
        return "".join(f'"{name}"\n' for name in query.FIELDS)
    return None


def _query(asked: dict[str, str], shown: Sequence[Shown], driver: Driver, now: datetime) -> Answer:
    names = [name.strip() for name in asked["--query-gpu"].split(",")]
    if bad := query.unknown(names):
        return wording.invalid_field(bad), wording.INVALID_ARGUMENT
    words = {word.strip() for word in asked.get("--format", "").split(",")}
    if "csv" not in words or words - {"csv", "noheader", "nounits"}:
        return wording.needs_csv(), wording.INVALID_ARGUMENT
    header, units = "noheader" not in words, "nounits" not in words
    return query.render(names, shown, driver, now, header=header, units=units), 0


def _select(gpus: Sequence[Gpu], ids: str | None) -> list[Shown]:
    """Number the GPUs in bus order, as NVML does, and keep those asked for."""
    shown = list(enumerate(sorted(gpus, key=lambda gpu: gpu.bus_id)))
    if ids is None:
        return shown
    wanted = [one.strip().lower() for one in ids.split(",")]
    return [(index, gpu) for index, gpu in shown if any(_is(index, gpu, one) for one in wanted)]


def _is(index: int, gpu: Gpu, wanted: str) -> bool:
    """Tell whether an id means this GPU: index, uuid, serial, or bus id with a short domain."""
    bus = gpu.bus_id.lower()
    return wanted in {str(index), gpu.uuid.lower(), gpu.serial, bus, bus[4:], bus[9:]}
