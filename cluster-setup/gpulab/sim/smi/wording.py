"""Sentences nvidia-smi says, and ours where we model less than it does.

Sources: the error for unknown fields and unknown options, and `--version`, from published terminal
output (tests/golden/nvidia-smi/SOURCES.md); exit codes from RETURN VALUE in `man nvidia-smi`.
"""

from __future__ import annotations

from gpulab.sim.gpus import Driver

INVALID_ARGUMENT = 2
NOT_FOUND = 6
NOT_MODELLED = 1

NO_DEVICES = "No devices were found\n"

OPTIONS = """\
    -h,   --help                Print usage information and exit.
          --version             Print version information and exit.
    -L,   --list-gpus           Display a list of GPUs connected to the system.
    -i,   --id=                 Target a specific GPU.
          --query-gpu=          Information about GPU. Needs --format=csv[,noheader][,nounits]
          --help-query-gpu      List the fields of --query-gpu.
"""


def usage(driver: Driver) -> str:
    """Explain the part of nvidia-smi that is simulated (our wording)."""
    return (
        f"NVIDIA System Management Interface -- v{driver.version} (simulated)\n\n"
        f"nvidia-smi [OPTION1 [ARG1]] [OPTION2 [ARG2]] ...\n\n{OPTIONS}"
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


def not_modelled(what: str) -> str:
    """Say plainly that the real tool can do this and we cannot (our wording)."""
    return f"nvidia-smi (simulated): {what} is not modelled; see nvidia-smi --help\n"


def needs_csv() -> str:
    """Ask for the only output format of --query-gpu (our wording)."""
    return "nvidia-smi (simulated): --query-gpu needs --format=csv[,noheader][,nounits]\n"
