"""Sentences nvidia-smi says, and ours where we model less than it does.

Sources: the error for unknown fields and unknown options, for a lost GPU, and `--version`, from
published terminal output (tests/golden/nvidia-smi/SOURCES.md); exit codes from RETURN VALUE in
`man nvidia-smi`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from gpulab.sim.gpus import Driver, Gpu

INVALID_ARGUMENT = 2
NOT_FOUND = 6
OTHER_ERROR = 255
NOT_MODELLED = 1

# in a container that may no longer open its devices: NVIDIA/nvidia-container-toolkit issue 48
BLIND = "Failed to initialize NVML: Unknown Error\n"
NO_DEVICES = "No devices were found\n"

OPTIONS = """\
    -h,   --help                Print usage information and exit.
          --version             Print version information and exit.
    -L,   --list-gpus           Display a list of GPUs connected to the system.
    -i,   --id=                 Target a specific GPU.
    -q,   --query               Display GPU info.
    -d,   --display=            Display only selected information, with -q:
{display}
                                Flags can be combined with comma e.g. ECC,POWER.
    -x,   --xml-format          Produce XML output, with -q.
          --query-gpu=          Information about GPU. Needs --format=csv[,noheader][,nounits]
          --help-query-gpu      List the fields of --query-gpu.
          --query-compute-apps= List of currently active compute processes.
          --help-query-compute-apps
                                List the fields of --query-compute-apps.
    topo -m                     Display how the GPUs are connected.
    mig -lgip|-lgipp|-lgi|-lci  List what GPUs can be cut into, and are.
    dmon -c 1                   Display device stats once.
    pmon -c 1                   Display process stats once.
"""


def usage(driver: Driver, words: Iterable[str]) -> str:
    """Explain the part of nvidia-smi that is simulated (our wording)."""
    display = textwrap.indent(textwrap.fill(", ".join(words), 48), " " * 36)
    return (
        f"NVIDIA System Management Interface -- v{driver.version} (simulated)\n\n"
        f"nvidia-smi [OPTION1 [ARG1]] [OPTION2 [ARG2]] ...\n\n{OPTIONS.format(display=display)}"
    )


def version(driver: Driver) -> str:
    """Print four versions; NVML drops the last part: 590.48.01 has NVML 590.48."""
    nvml = ".".join(driver.version.split(".")[:2])
    return (
        f"NVIDIA-SMI version  : {driver.version}\n"
        f"NVML version        : {nvml}\n"
        f"DRIVER version      : {driver.version}\n"
        f"CUDA Version        : {driver.cuda}\n"
    )


def invalid_field(name: str) -> str:
    """Refuse a field of --query-gpu."""
    return f'Field "{name}" is not a valid field to query.\n\n'


def unrecognised(option: str) -> str:
    """Refuse an option the real tool does not have either."""
    return f"ERROR: Option {option} is not recognized. Please run 'nvidia-smi -h' for help.\n\n"


def lost(gpu: Gpu) -> str:
    """Name a GPU that has fallen off the bus; seen beside Xid 79."""
    return f"Unable to determine the device handle for GPU{gpu.bus_id[4:]}: Unknown Error\n"


def unknown_display(word: str) -> str:
    """Refuse a word of -d (our wording)."""
    return f"nvidia-smi (simulated): {word} is no display type; see nvidia-smi --help\n"


def needs_query(option: str) -> str:
    """Ask for the option that makes sense of another (our wording)."""
    return f"nvidia-smi (simulated): {option} needs -q\n"


def not_modelled(what: str) -> str:
    """Say plainly that the real tool can do this and we cannot (our wording)."""
    return f"nvidia-smi (simulated): {what} is not modelled; see nvidia-smi --help\n"


def needs_csv(option: str) -> str:
    """Ask for the only output format of the selective queries (our wording)."""
    return f"nvidia-smi (simulated): {option} needs --format=csv[,noheader][,nounits]\n"
