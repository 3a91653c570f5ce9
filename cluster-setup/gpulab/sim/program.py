"""What a container's process does, as steps in time.

A script is a pure generator of steps over a clock that only its sleeps and its waiting for facts
move. So the same script gives a container's exit, its log at any moment, and its log again after
the simulator was restarted; nothing of it has to be stored.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gpulab.sim.device_map import Device
from gpulab.sim.devices import Xid
from gpulab.sim.files import Files
from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.inputs import Inputs, field_of
from gpulab.sim.mig import Layout
from gpulab.sim.pace import Pace
from gpulab.sim.smi.reading import Load

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Print:
    """Text with its line ends."""

    text: str
    stream: Stream = "stdout"


@dataclass(frozen=True)
class Sleep:
    """Nothing happens for so many seconds; infinity is allowed."""

    seconds: float


@dataclass(frozen=True)
class Exit:
    """The process ends; steps after it do not happen."""

    code: int


@dataclass(frozen=True)
class Await:
    """The process waits until a fact of its node holds, or no longer holds.

    Meanwhile it prints `says` every so many seconds, with its own number for $n.
    """

    fact: str
    present: bool = True
    says: str = ""
    every: float = 5.0
    lost: str = ""  # the wait ends, too, when this fact no longer holds
    reload: bool = False  # what the container has from ConfigMaps is read again then


@dataclass(frozen=True)
class Provide:
    """From here on, until the container ends, a fact holds on its node.

    One that `stays` goes only with the Pod, as a file that an init container leaves.
    """

    fact: str
    stays: bool = False
    value: Any = None  # what goes with the fact, for whoever uses it


@dataclass(frozen=True)
class Withdraw:
    """From here on, the container no longer provides a fact."""

    fact: str


@dataclass(frozen=True)
class Require:
    """The process says why and exits with 1, unless a fact of its node holds now, or does not."""

    fact: str
    says: str
    present: bool = True


@dataclass(frozen=True)
class Memory:
    """From here on the process uses so much memory; over its limit it is killed."""

    mib: float


@dataclass(frozen=True)
class Use:
    """From here on the process makes this load on each GPU of its container."""

    load: Load


@dataclass(frozen=True)
class Write:
    """A file of the container is made or changes; without data it is a directory.

    So many `zeros` follow the data.
    """

    path: str
    data: bytes | None
    append: bool = False
    zeros: int = 0


@dataclass(frozen=True)
class Remove:
    """A file of the container goes, or a directory with all that is in it."""

    path: str


@dataclass(frozen=True)
class Listen:
    """From here on a port answers; with `root`, HTTP with the files below that directory."""

    port: int
    root: str | None = None


@dataclass(frozen=True)
class Read:
    """The process wants more of its standard input."""


Happening = (
    Sleep | Await | Provide | Withdraw | Require | Memory | Use | Write | Remove | Listen | Read
)
Step = Print | Exit | Happening


@dataclass
class Clock:
    """The script's own time."""

    now: dt.datetime


Choice = tuple[dt.datetime, str]  # when a label of the node had which value


@dataclass(frozen=True)
class Entry:
    """A line of the log of a program whose work is done by the simulator itself."""

    at: dt.datetime
    program: str
    text: str


@dataclass
class Stdin:
    """What was typed or piped in and not yet read. A main process finds it closed."""

    buffer: bytearray = field(default_factory=bytearray)
    closed: bool = True
    terminal: bool = False
    size: tuple[int, int] = (24, 80)  # rows and columns of the terminal


@dataclass(frozen=True)
class Surroundings:
    """What a process can see: its Pod, its container, its node's name and its devices.

    `files` and `stdin` are given to commands that run beside the main process (exec, probes).
    """

    pod: dict[str, Any]
    container: dict[str, Any]
    node: str
    ip: str
    driver: Driver
    gpus: tuple[Gpu, ...] = ()  # that it sees, whole or in part
    inputs: Inputs = field(default_factory=Inputs)
    files: Files | None = None
    stdin: Stdin = field(default_factory=Stdin)
    pace: Pace = field(default_factory=Pace)
    cdi: bool = True  # how the device plugin hands GPUs to the runtime
    troubles: tuple[Xid, ...] = ()  # what the node's GPUs have reported
    lost: frozenset[str] = frozenset()  # UUIDs of GPUs that the driver no longer reaches
    devices: tuple[Device, ...] = ()  # that it was given
    slices: Layout = field(default_factory=dict)  # that it sees, of GPUs in MIG mode
    board: tuple[Gpu, ...] = ()  # the GPUs of its node
    layout: Layout = field(default_factory=dict)  # of its node
    choices: Sequence[Choice] = ()  # see runtime.NodeState
    journal: Sequence[Entry] = ()  # what services of the node have to say, by program
    hot: frozenset[str] = frozenset()  # UUIDs of GPUs that slow down, for their cooling fails
    loads: Mapping[str, Load] = field(default_factory=dict)  # on the node's GPUs, by UUID
    blind: bool = False  # whether it may no longer open the devices that it was given

    @property
    def hostname(self) -> str:
        spec = self.pod["spec"]
        return str(self.node if spec.get("hostNetwork") else self._own_hostname())

    def _own_hostname(self) -> str:
        return str(self.pod["spec"].get("hostname") or self.pod["metadata"]["name"])

    def environment(self) -> dict[str, str]:
        """The process's environment variables.

        With CDI, the GPU Operator's default since 25.10, a container with GPUs finds
        NVIDIA_VISIBLE_DEVICES=void: the devices were injected by the runtime, not listed there.
        Without it the device plugin lists them in that variable for NVIDIA's runtime.
        """
        given = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME": self.hostname,
            "KUBERNETES_SERVICE_HOST": "10.0.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "HOME": "/root",
        }
        if self.gpus:
            uuids = [one.uuid for one in self.devices] or [gpu.uuid for gpu in self.gpus]
            listed = ",".join(dict.fromkeys(uuids))
            given["NVIDIA_VISIBLE_DEVICES"] = "void" if self.cdi else listed
        for device in self.devices:
            if device.sharing == "mps":
                given["CUDA_MPS_PIPE_DIRECTORY"] = f"/mps/{device.resource}/pipe"
        return given | dict(self.inputs.environment) | dict(self._declared())

    def _declared(self) -> Iterator[tuple[str, str]]:
        for variable in self.container.get("env") or []:
            if "valueFrom" not in variable:
                yield variable["name"], variable.get("value", "")
            elif path := variable["valueFrom"].get("fieldRef", {}).get("fieldPath"):
                yield variable["name"], self._field(path)

    def _field(self, path: str) -> str:
        if path == "status.podIP":
            return self.ip
        if path == "spec.nodeName":
            return self.node
        return field_of(self.pod, path)


def expand(argv: Sequence[str], here: Surroundings) -> list[str]:
    """Put variables where a manifest's command says `$(NAME)`, as the kubelet does."""
    values = here.environment()
    known = re.compile(r"\$(\$\([A-Za-z_]\w*\)|\(([A-Za-z_]\w*)\))")
    return [known.sub(lambda m: m[1] if m[2] is None else values.get(m[2], m[0]), w) for w in argv]


Script = Callable[[Clock], Iterator[Step]]


@dataclass(frozen=True)
class Program:
    """A script and how its process takes SIGTERM."""

    script: Script
    modelled: bool = True
    ignores_term: bool = False  # as any process with pid 1 that installed no handler
    term_code: int = 143  # its exit code after a SIGTERM that it heeds
    ports: frozenset[int] = frozenset()  # on which it answers
    serves: str = ""  # what it answers there; see ports_open
    leaves: frozenset[str] = frozenset()  # facts that stay when it has ended well
    provides: bool = False  # whether facts hold while it runs
    once_started: str = ""  # the fact that holds from when its startup probe succeeds


@dataclass(frozen=True)
class CannotStart:
    """The runtime refuses: the executable is not in the image."""

    executable: str
