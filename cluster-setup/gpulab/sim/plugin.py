"""NVIDIA's device plugin, its config manager and GPU feature discovery, as scripts.

After NVIDIA/k8s-device-plugin 1b826acc (cmd/, internal/plugin/server.go); lines without stamps.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpulab.sim.device_map import DeviceMap, device_map, map_failure
from gpulab.sim.discovery import Discovery
from gpulab.sim.dra import EXCLUSIVE, Gates
from gpulab.sim.dra import REGISTERED as DRA
from gpulab.sim.program import (
    Await,
    Clock,
    Exit,
    Print,
    Provide,
    Require,
    Script,
    Sleep,
    Step,
    Withdraw,
)
from gpulab.sim.sharing import Config, ConfigError, check, load_failure, parse

if TYPE_CHECKING:
    from gpulab.sim.program import Surroundings

Argv = Sequence[str]
LABEL = "nvidia.com/device-plugin.config"
AVAILABLE = "/available-configs/"
REGISTERED, GFD, CDI = "device-plugin", "gfd", "cdi"  # facts; the first: all is registered
DRIVER, DRIVER_READY, MPS_DAEMON = "driver", "driver-ready", "mps-daemon"
WAITING = "waiting for the driver validations to be ready..."
NO_DRIVER = "Failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND"
NO_TOOLKIT = ". If this is a GPU node, did you configure the NVIDIA Container Toolkit?"
NO_GFD = f"failed to create resource manager: {NO_DRIVER[0].lower()}{NO_DRIVER[1:]}\n"
NO_MPS = (
    "Failed to start plugin: error waiting for MPS daemon: error checking MPS daemon health: "
    "failed to send command to MPS daemon: exit status 1\n"
    "Failed to start one or more plugins. Retrying in 30s..."
)


@dataclass
class Choice:
    """Which configuration the node's label chooses, as the config manager follows it."""

    here: Surroundings
    number: int  # of the values that the label has had

    @classmethod
    def at(cls, here: Surroundings, clock: Clock) -> Choice:
        return cls(here, sum(at <= clock.now for at, _ in here.choices))

    @property
    def label(self) -> str:
        return self.here.choices[self.number - 1][1] if self.number else ""

    @property
    def files(self) -> dict[str, str]:
        """The configurations that there are, by name."""
        found = self.here.inputs.files.items()
        return {
            path.removeprefix(AVAILABLE): data.decode(errors="replace")
            for path, data in found
            if path.startswith(AVAILABLE)
        }

    @property
    def is_unread(self) -> bool:
        """Whether it has configurations, which we have yet to read: the simulator just began."""
        return "CONFIG_FILE" in self.here.environment() and not self.files

    @property
    def name(self) -> str:
        """The configuration's name, empty for none; ConfigError if it does not exist."""
        files, default = self.files, self._default()
        if not files:
            raise ConfigError("no configuration files available")
        if self.label and self.label not in files:
            raise ConfigError(f"specified config {self.label} does not exist")
        if not self.label and default and default not in files:
            raise ConfigError("specified config  does not exist")
        return self.label or default

    def _default(self) -> str:
        env = (each.get("env") or [] for each in self.here.pod["spec"].get("initContainers") or [])
        every = (one for variables in env for one in variables)
        return next((one.get("value", "") for one in every if one["name"] == "DEFAULT_CONFIG"), "")

    def change(self) -> Await:
        """Until the label has another value, or the driver goes."""
        return Await(choice_fact(self.number + 1), reload=True, lost=DRIVER)

    def settled(self, before: str = "") -> str:
        """The name in use; a file that does not exist changes nothing."""
        try:
            return self.name
        except ConfigError:
            return before

    def follow(self, before: str) -> Iterator[Step]:
        """Until another configuration is chosen; the process ends if the driver goes."""
        has_one = "CONFIG_FILE" in self.here.environment()
        while self.settled(before) == before:
            yield self.change() if has_one else Await(DRIVER, present=False)
            yield Require(DRIVER, "")
            self.number += 1
        yield Print("Received SIGHUP, restarting.\n")


def choice_fact(number: int) -> str:
    """The fact that the label has had so many values."""
    return f"plugin-config-{number}"


def config_of(here: Surroundings, name: str) -> tuple[Config, str]:
    """The configuration in use and the MIG strategy; ConfigError as the plugin says it."""
    env = here.environment()
    config = Config()
    if "CONFIG_FILE" in env and name:
        try:
            config = parse(Choice(here, 0).files.get(name, ""))
        except ConfigError as error:
            raise load_failure(error) from None
    strategy = env.get("MIG_STRATEGY") or config.mig_strategy or "none"
    return config, strategy


def device_plugin(argv: Argv, here: Surroundings) -> Script:
    """Register what the node has, again after each change of its configuration."""

    def script(clock: Clock) -> Iterator[Step]:
        yield Await(DRIVER_READY, says=WAITING)
        yield Print("Starting nvidia-device-plugin\n")
        yield Require(DRIVER, f"{NO_DRIVER}{NO_TOOLKIT}\n")
        choice = Choice.at(here, clock)
        if choice.is_unread:
            yield Exit(1)
        held: DeviceMap = {}
        name = ""
        while True:
            name = choice.settled(name)
            before = held
            try:
                held = yield from _offered(here, name)
            except ConfigError as error:
                yield Print(f"error starting plugins: {error}\n", "stderr")
                yield Exit(1)
            yield from (Withdraw(resource) for resource in before.keys() - held.keys())
            if held:
                yield Provide(REGISTERED)
            yield from _watch(here, held, clock)
            yield from choice.follow(name)

    return script


def _offered(here: Surroundings, name: str) -> Generator[Step, None, DeviceMap]:
    """Register every resource, and return what is offered."""
    config, strategy = config_of(here, name)
    check(config, strategy)
    try:
        found = device_map(here.board, here.layout, strategy, config)
    except ConfigError as error:
        raise map_failure(error) from None
    if config.strategy == "mps":
        yield Await(MPS_DAEMON, says=NO_MPS, every=30.0)
    if here.environment().get("CDI_ENABLED") == "true":
        yield Provide(CDI)
    if not found:
        yield Print("No devices found. Waiting indefinitely.\n")
    for resource, devices in found.items():
        socket = f"/var/lib/kubelet/device-plugins/nvidia-{resource.partition('/')[2]}.sock"
        yield Print(f"Starting GRPC server for '{resource}'\n")
        yield Print(f"Starting to serve '{resource}' on {socket}\n")
        yield Print(f"Registered device plugin for '{resource}' with Kubelet\n")
        yield Provide(resource, value=devices)
    return found


def _watch(here: Surroundings, held: DeviceMap, clock: Clock) -> Iterator[Step]:
    """Say what the GPUs report."""
    for each in here.troubles:
        if each.at < clock.now:
            continue
        yield Sleep((each.at - clock.now).total_seconds())
        for resource, devices in held.items():
            for device in (one for one in devices if one.gpu.uuid == each.uuid):
                text = f"XidCriticalError: Xid={each.number} on Device={device.id}; marking device"
                yield Print(f"{text} as unhealthy.\n")
                yield Print(f"'{resource}' device marked unhealthy: {device.id}\n")


def feature_discovery(argv: Argv, here: Surroundings) -> Script:
    """Find out what labels the node is to have."""

    def script(clock: Clock) -> Iterator[Step]:
        yield Print("Starting OS watcher.\n")
        yield Require(DRIVER, NO_GFD)
        choice, name = Choice.at(here, clock), ""
        if choice.is_unread:
            yield Exit(1)
        while True:
            name = choice.settled(name)
            yield Print("Loading configuration.\n")
            try:
                config, strategy = config_of(here, name)
                if config.strategy == "mps" and here.layout:
                    raise ConfigError(MPS_AND_MIG)
            except ConfigError as error:
                yield Print(f"{error}\n", "stderr")
                yield Exit(1)
            yield Print("Start running\nCreating Labels\nSleeping for 60s\n")
            yield Provide(GFD, value=Discovery(strategy, config, here.layout))
            yield from choice.follow(name)

    return script


MPS_AND_MIG = (
    "error creating labeler: error creating sharing labeler: failed to check MPS-capable: "
    "MPS sharing is not supported for mig devices"
)


def config_manager(argv: Argv, here: Surroundings) -> Script:
    """Choose a configuration by the node's label, once as an init container, then for ever."""

    def script(clock: Clock) -> Iterator[Step]:
        choice, current = Choice.at(here, clock), None
        once = here.environment().get("ONESHOT") == "true"
        process = here.environment().get("PROCESS_TO_SIGNAL", "")
        while True:
            yield Print(f"Waiting for change to '{LABEL}' label\n")
            yield Print(f"Label change detected: {LABEL}={choice.label}\n")
            try:
                name = choice.name
            except ConfigError as error:
                yield Print(f"{error}\n", "stderr")
                yield Exit(1)
            text = f"config: {name}" if name else "empty config"
            yield Print(f"Updating to {text}\n")
            if once:
                yield Print(f"Successfully updated to {text}\n")
                yield Exit(0)
            if current in (None, name):
                yield Print("Already configured. Skipping update...\n")
            else:
                yield Print(f"Successfully updated to {text}\n")
                yield Print(f"Sending signal 'hangup' to '{process}'\nSuccessfully sent signal\n")
            current = name
            yield Await(choice_fact(choice.number + 1), reload=True)
            choice.number += 1

    return script


def dra_plugin(argv: Argv, here: Surroundings) -> Script:
    """Register the DRA driver with its feature gates."""

    def script(clock: Clock) -> Iterator[Step]:
        gates = Gates.of(here.environment().get("FEATURE_GATES", ""))
        if gates.dynamic_mig and gates.health:
            yield Print(f"Error: {EXCLUSIVE}\n", "stderr")
            yield Exit(1)
        yield Print("Starting kubelet plugin\n")
        yield Provide(DRA, value=gates)
        yield Sleep(math.inf)

    return script


PROGRAMS = {
    "gpu-kubelet-plugin": dra_plugin,
    "nvidia-device-plugin": device_plugin,
    "gpu-feature-discovery": feature_discovery,
    "config-manager": config_manager,
}
