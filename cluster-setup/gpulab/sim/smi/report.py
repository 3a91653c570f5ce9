"""`nvidia-smi -q`, as text and as XML, of one tree of lines (`layout`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from gpulab.sim.smi.figures import figures
from gpulab.sim.smi.layout import GROUPS, NODES, Node
from gpulab.sim.smi.processes import Process, on
from gpulab.sim.smi.reading import View
from gpulab.sim.smi.table import clock

COLUMN = 55  # of the colon, in R580.142 and later; R580.105.08 has it at 42
PROCESS_COLUMN = 42  # what is said of a process stayed there

Values = Mapping[str, object]
Running = Sequence[tuple[Process, int]]


def text(view: View, words: Sequence[str] = ()) -> str:
    """Write the report; `words` of `-d` leave only their sections."""
    kept = [section for word in words for section in GROUPS[word]]
    lines = [
        "",
        "==============NVSMI LOG==============",
        "",
        _line("Timestamp", clock(view.now)),
        _line("Driver Version", view.driver.version),
        _line("CUDA Version", view.driver.cuda),
        "",
        _line("Attached GPUs", view.attached),
    ]
    for _, gpu in view.shown:
        values, running = figures(gpu, view), on(gpu, view.processes)
        lines.append(f"GPU {gpu.bus_id}")
        for node in NODES:
            if node.label in kept if words else not node.only_asked:
                lines += _text(node, values, running, 4)
        lines.append("")
    return "\n".join(lines) + "\n"


def xml(view: View) -> str:
    """Write the report as XML, in the elements of nvsmi_device_v13.dtd."""
    lines = [
        '<?xml version="1.0" ?>',
        '<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">',
        "<nvidia_smi_log>",
        f"\t<timestamp>{clock(view.now)}</timestamp>",
        f"\t<driver_version>{view.driver.version}</driver_version>",
        f"\t<cuda_version>{view.driver.cuda}</cuda_version>",
        f"\t<attached_gpus>{view.attached}</attached_gpus>",
    ]
    for _, gpu in view.shown:
        values, running = figures(gpu, view), on(gpu, view.processes)
        lines.append(f'\t<gpu id="{gpu.bus_id}">')
        for node in NODES:
            lines += _xml(node, values, running, 2)
        lines += ["\t</gpu>", ""]
    return "\n".join([*lines, "</nvidia_smi_log>"]) + "\n"


def _line(label: str, value: object, column: int = COLUMN) -> str:
    return f"{label:<{column}}: {value}"


def _text(node: Node, values: Values, running: Running, depth: int) -> Iterator[str]:
    label = " " * depth + node.label
    if node.label == "Processes":
        yield from _text_processes(label, running)
    elif node.label != "-" and (value := _value(node, values)) is not None:
        yield _line(label, value) if node.value else label
        for child in node.children:
            yield from _text(child, values, running, depth + 4)


def _text_processes(label: str, running: Running) -> Iterator[str]:
    yield label if running else _line(label, "None")
    for process, mib in running:
        yield _line("        GPU instance ID", "N/A", PROCESS_COLUMN)
        yield _line("        Compute instance ID", "N/A", PROCESS_COLUMN)
        yield _line("        Process ID", process.pid, PROCESS_COLUMN)
        yield _line("            Type", "C", PROCESS_COLUMN)
        yield _line("            Name", process.name, PROCESS_COLUMN)
        yield _line("            Used GPU Memory", f"{mib} MiB", PROCESS_COLUMN)


def _xml(node: Node, values: Values, running: Running, depth: int) -> Iterator[str]:
    value = _value(node, values)
    if node.tag == "-" or value is None:
        return
    tabs = "\t" * depth
    if node.tag == "mig_devices":
        yield from (f"{tabs}<{node.tag}>", f"{tabs}\t{value}", f"{tabs}</{node.tag}>")
    elif node.value:
        bare = value.removeprefix("0x") if node.tag.startswith("pci_") else value
        yield f"{tabs}<{node.tag}>{escape(bare)}</{node.tag}>"
    else:
        yield f"{tabs}<{node.tag}>"
        if node.tag == "processes":
            yield from _xml_processes(running, depth + 1)
    for child in node.children:  # of a line with a value, too: they are its siblings in XML
        yield from _xml(child, values, running, depth if node.value else depth + 1)
    if not node.value:
        yield f"{tabs}</{node.tag}>"


def _xml_processes(running: Running, depth: int) -> Iterator[str]:
    tabs = "\t" * depth
    for process, mib in running:
        yield f"{tabs}<process_info>"
        yield f"{tabs}\t<gpu_instance_id>N/A</gpu_instance_id>"
        yield f"{tabs}\t<compute_instance_id>N/A</compute_instance_id>"
        yield f"{tabs}\t<pid>{process.pid}</pid>"
        yield f"{tabs}\t<type>C</type>"
        yield f"{tabs}\t<process_name>{escape(process.name)}</process_name>"
        yield f"{tabs}\t<used_memory>{mib} MiB</used_memory>"
        yield f"{tabs}</process_info>"


def _value(node: Node, values: Values) -> str | None:
    """Fill in the figure; None for a line that this board does not have."""
    template = node.value or ""
    if node.figure is None:
        return template
    value = values[node.figure]
    if value is None or value == "N/A":
        return None if value is None else "N/A"
    return template.format_map(values)
