"""`nvidia-smi -L`: one line per GPU."""

from __future__ import annotations

from collections.abc import Sequence

from gpulab.sim.smi.reading import Shown


def render(shown: Sequence[Shown]) -> str:
    """List the GPUs, as in `GPU 0: NVIDIA L40S (UUID: GPU-...)`."""
    return "".join(f"GPU {index}: {gpu.model.product} (UUID: {gpu.uuid})\n" for index, gpu in shown)
