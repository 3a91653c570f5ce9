"""`nvidia-smi topo -m`: how the GPUs of a container are wired; network cards are left out."""

from __future__ import annotations

from collections.abc import Sequence

from gpulab.sim.smi.reading import Shown

LEGEND = """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
"""  # noqa: E501  the real tool's lines are as long
UNDERLINE, PLAIN = "\x1b[4m", "\x1b[0m"  # also where no terminal listens


def render(shown: Sequence[Shown]) -> str | None:
    """Draw the matrix; None where no published one shows how such a board is wired."""
    rows = [_row(at, shown) for at, _ in shown]
    if None in rows:
        return None
    heads = [f"GPU{at}" for at, _ in shown] + ["CPU Affinity", "NUMA Affinity", "GPU NUMA ID"]
    head = "\t".join(heads)
    return f"\t{UNDERLINE}{head}{PLAIN}\n{''.join(str(row) for row in rows)}{LEGEND}"


def _row(own: int, shown: Sequence[Shown]) -> str | None:
    gpu = dict(shown)[own]
    wires = gpu.model.topology
    if wires is None:
        return None
    slot = gpu.index % len(wires.cpus)
    links = [" X " if at == own else wires.link for at, _ in shown]
    return "\t".join([f"GPU{own}", *links, wires.cpus[slot], wires.numa[slot], "", "N/A"]) + "\n"
