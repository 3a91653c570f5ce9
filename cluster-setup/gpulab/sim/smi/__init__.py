"""nvidia-smi for simulated GPUs: text and exit code as a pure function of the arguments.

`command` understands the command line, `table`, `listing` and `query` render, `reading` says what
an idle GPU measures, `wording` holds the fixed sentences. `-q`, MIG and processes can come as
further modules beside these.
"""

from gpulab.sim.smi.command import run

__all__ = ["run"]
