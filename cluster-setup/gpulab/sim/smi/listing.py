"""`nvidia-smi -L`: one line per GPU and per MIG device."""

from __future__ import annotations

from gpulab.sim.smi import mig
from gpulab.sim.smi.reading import View


def render(view: View) -> str:
    """List the GPUs, as in `GPU 0: NVIDIA L40S (UUID: GPU-...)`, each with its MIG devices."""
    slices, lines = mig.listed(view), list[str]()
    for index, gpu in view.shown:
        lines.append(f"GPU {index}: {gpu.model.product} (UUID: {gpu.uuid})")
        lines += slices.get(gpu.uuid, [])
    return "".join(f"{line}\n" for line in lines)
