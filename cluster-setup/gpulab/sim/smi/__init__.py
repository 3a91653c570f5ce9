"""nvidia-smi for simulated GPUs: text and exit code as a pure function of the arguments.

`command` understands the command line; `reading` says what a GPU measures and `processes` who holds
its memory; `table`, `listing`, `query`, `report` (of `layout` and `figures`), `topology` and
`monitor` render; `wording` holds the fixed sentences. `mig` knows slices.
"""

from gpulab.sim.smi.command import run
from gpulab.sim.smi.processes import Process
from gpulab.sim.smi.reading import IDLE, Load, Reading, measure

__all__ = ["IDLE", "Load", "Process", "Reading", "measure", "run"]
