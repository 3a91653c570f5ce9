"""The command line of nvidia-smi: what is asked, about which GPUs, and the answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.mig import Layout
from gpulab.sim.smi import (
    apps,
    layout,
    listing,
    mig,
    monitor,
    query,
    report,
    table,
    topology,
    wording,
)
from gpulab.sim.smi.columns import Style, unknown
from gpulab.sim.smi.processes import Process
from gpulab.sim.smi.reading import Load, Shown, View

Answer = tuple[str, int]

LONG = {
    "-h": "--help",
    "-L": "--list-gpus",
    "-i": "--id",
    "-q": "--query",
    "-x": "--xml-format",
    "-d": "--display",
}
TAKES_VALUE = {"--id", "--query-gpu", "--query-compute-apps", "--format", "--display"}
FLAGS = {
    "--help",
    "--version",
    "--list-gpus",
    "--query",
    "--xml-format",
    "--help-query-gpu",
    "--help-query-compute-apps",
}
# What a subcommand must be asked, and the options that it has besides -i.
SUBCOMMANDS = {
    "topo": ({"-m", "--matrix"}, set[str]()),
    "dmon": ({"-c", "--count"}, {"-c", "--count"}),
    "pmon": ({"-c", "--count"}, {"-c", "--count"}),
    "mig": ({"-lgip", "-lgipp", "-lgi", "-lci"}, set[str]()),
}

# Options and subcommands of `man nvidia-smi` (R550) that have no simulation yet.
REAL_ONLY = """
    --dtd -l --loop -lms --loop-ms -f --filename -u --unit
    -B --list-excluded-gpus --query-accounted-apps --query-supported-clocks
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


def run(
    argv: Sequence[str],
    gpus: Sequence[Gpu],
    driver: Driver,
    now: datetime,
    *,
    running: Sequence[Process] = (),
    lost: Collection[str] = (),
    slices: Layout | None = None,
    loads: Mapping[str, Load] | None = None,
    hot: Collection[str] = (),
    blind: bool = False,
) -> Answer:
    """Answer one nvidia-smi call with its output and exit code.

    `running` are the processes that hold memory, `lost` the UUIDs of GPUs that fell off the bus:
    a call that would speak of one says only that, with `-i` the others still answer. `slices` are
    those that can be seen of each GPU in MIG mode, by the GPU's UUID, as `loads` and `hot` are; a
    `blind` container may no longer open its devices.
    """
    words = list(argv[1:])
    request = _subcommand(words) if words[:1] and words[0] in SUBCOMMANDS else _parse(words)
    asked = request.options
    if request.refusal:
        return request.refusal
    if blind and "--help" not in asked:
        return wording.BLIND, wording.OTHER_ERROR
    if text := _needs_no_gpu(asked, driver):
        return text, 0
    shown = _select(gpus, asked.get("--id"))
    if not shown:
        return wording.NO_DEVICES, wording.NOT_FOUND
    if gone := next((gpu for _, gpu in shown if gpu.uuid in lost), None):
        return wording.lost(gone), wording.OTHER_ERROR
    view = View(shown, len(gpus), driver, now, running, slices or {}, loads or {}, hot)
    return _answer(asked, view)


def _parse(words: list[str]) -> Request:
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


def _subcommand(words: list[str]) -> Request:
    """Understand `topo -m`, `dmon -c 1` and `pmon -c 1`, each also with `-i`."""
    name, rest, options = words[0], words[1:], dict[str, str]()
    needs, takes_value = SUBCOMMANDS[name]
    while rest:
        word = rest.pop(0)
        takes = word in takes_value or word in ("-i", "--id")
        if word not in needs | {"-i", "--id"} or (takes and not rest):
            return Request(refusal=(wording.not_modelled(f"{name} {word}"), wording.NOT_MODELLED))
        options[LONG.get(word, word)] = rest.pop(0) if takes else ""
    counts = [options[option] for option in needs if option in options]
    if counts not in ([""], ["1"]):
        return Request(refusal=(wording.not_modelled(" ".join(words)), wording.NOT_MODELLED))
    what = next((option for option in options if option in needs), "")
    return Request({name: what, **{key: options[key] for key in options if key == "--id"}})


def _refuse(word: str, name: str) -> Answer:
    if name in REAL_ONLY.split():
        return wording.not_modelled(name), wording.NOT_MODELLED
    return wording.unrecognised(word), wording.INVALID_ARGUMENT


def _needs_no_gpu(asked: dict[str, str], driver: Driver) -> str | None:
    if "--help" in asked:
        return wording.usage(driver, layout.GROUPS)
    if "--version" in asked:
        return wording.version(driver)
    if "--help-query-gpu" in asked:
        return "".join(f'"{name}"\n' for name in query.FIELDS)
    if "--help-query-compute-apps" in asked:
        return "".join(f'"{name}"\n' for name in apps.FIELDS)
    return None


def _answer(asked: dict[str, str], view: View) -> Answer:
    if "topo" in asked:
        matrix = topology.render(view.shown)
        missing = wording.not_modelled("topo for this board"), wording.NOT_MODELLED
        return missing if matrix is None else (matrix, 0)
    if "mig" in asked:
        return mig.render(asked["mig"], view)
    if "dmon" in asked or "pmon" in asked:
        return (monitor.devices(view) if "dmon" in asked else monitor.processes(view)), 0
    if "--query" in asked or "--xml-format" in asked or "--display" in asked:
        return _report(asked, view)
    if "--query-gpu" in asked or "--query-compute-apps" in asked:
        return _query(asked, view)
    return (listing.render(view) if "--list-gpus" in asked else table.render(view)), 0


def _report(asked: dict[str, str], view: View) -> Answer:
    if "--query" not in asked:
        option = "-x" if "--xml-format" in asked else "-d"
        return wording.needs_query(option), wording.INVALID_ARGUMENT
    words = [word.strip().upper() for word in asked.get("--display", "").split(",")]
    words = words if "--display" in asked else []
    for word in words:
        if word in layout.REAL_ONLY:
            return wording.not_modelled(f"-d {word}"), wording.NOT_MODELLED
        if word not in layout.GROUPS:
            return wording.unknown_display(word), wording.INVALID_ARGUMENT
    if "--xml-format" in asked and words:
        return wording.not_modelled("-d with -x"), wording.NOT_MODELLED
    return (report.xml(view) if "--xml-format" in asked else report.text(view, words)), 0


def _query(asked: dict[str, str], view: View) -> Answer:
    option = "--query-gpu" if "--query-gpu" in asked else "--query-compute-apps"
    of_gpus = option == "--query-gpu"
    aliases = query.ALIASES if of_gpus else apps.ALIASES
    names = [aliases.get(name.strip(), name.strip()) for name in asked[option].split(",")]
    if bad := unknown(names, query.FIELDS if of_gpus else apps.FIELDS):
        return wording.invalid_field(bad), wording.INVALID_ARGUMENT
    words = {word.strip() for word in asked.get("--format", "").split(",")}
    if "csv" not in words or words - {"csv", "noheader", "nounits"}:
        return wording.needs_csv(option), wording.INVALID_ARGUMENT
    style = Style(header="noheader" not in words, units="nounits" not in words)
    return (query if of_gpus else apps).render(names, view, style), 0


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
