"""A device plugin's configuration file: how often it offers each GPU, and what it refuses.

After NVIDIA/k8s-device-plugin 1b826acc, api/config/v1; the messages are its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

Strategy = Literal["none", "time-slicing", "mps"]
KINDS: dict[str, Strategy] = {"mps": "mps", "timeSlicing": "time-slicing"}
MIG_STRATEGIES = ("none", "single", "mixed")


class ConfigError(Exception):
    """Why the plugin does not start, in its words."""


@dataclass(frozen=True)
class Replicated:
    """One resource of which every device is offered several times."""

    name: str
    replicas: int
    rename: str = ""
    """The resource that it is offered as, if another one."""


@dataclass(frozen=True)
class Config:
    """What the plugin does with it; without a file, nothing is shared."""

    strategy: Strategy = "none"
    resources: dict[str, Replicated] = field(default_factory=dict)
    alone: bool = False
    """Whether it refuses a container that asks for more than one shared device."""
    mig_strategy: str | None = None


def parse(text: str) -> Config:
    """Read a file; ConfigError says what the plugin says.

    >>> parse("sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}").strategy
    'time-slicing'
    """
    raw = _mapping(_yaml(text), "v1.Config")
    flags = _mapping(raw.get("flags"), "v1.Flags")
    sharing = _mapping(raw.get("sharing"), "v1.Sharing")
    blocks = {kind: _block(sharing[kind]) for kind in KINDS if kind in sharing}
    if (version := raw.get("version") or "v1") != "v1":
        raise ConfigError(f"unknown version: {version}")
    mig_strategy = flags.get("migStrategy")
    for kind, resources in blocks.items():  # MPS comes first
        alone = bool(sharing[kind].get("failRequestsGreaterThanOne", kind == "mps"))
        return Config(KINDS[kind], resources, alone, mig_strategy)
    return Config(mig_strategy=mig_strategy)


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        cause = " ".join(str(getattr(error, "problem", "") or error).split())
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise _unmarshal(f"error converting YAML to JSON: yaml: {where}{cause}") from None


def _mapping(value: Any, kind: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _json(f"json: cannot unmarshal {_kind(value)} into Go value of type {kind}")
    return value


def check(config: Config, mig_strategy: str) -> None:
    """What the plugin's validateFlags refuses."""
    if config.strategy == "mps" and mig_strategy == "mixed":
        text = "using --mig-strategy=mixed is not supported with MPS"
        raise ConfigError(f"unable to validate flags: {text}")
    if mig_strategy not in MIG_STRATEGIES:
        raise ConfigError(f"unable to validate flags: unknown MIG strategy: {mig_strategy}")


def load_failure(error: ConfigError) -> ConfigError:
    """Wrap what is wrong with a file as the plugin and GFD do."""
    steps = "unable to finalize config: unable to parse config file: error parsing config file"
    return ConfigError(f"unable to load config: {steps}: {error}")


def _block(own: Any) -> dict[str, Replicated]:
    own = _mapping(own, "map[string]json.RawMessage")
    resources = own.get("resources")
    if not resources:
        raise _json("no resources specified")
    if not isinstance(resources, list):
        kind = "[]v1.ReplicatedResource"
        raise _json(f"json: cannot unmarshal {_kind(resources)} into Go value of type {kind}")
    renamed = bool(own.get("renameByDefault"))
    found = [_resource(one) for one in resources]
    return {one.name: _rename(one, renamed) for one in found}


def _resource(one: Any) -> Replicated:
    if not isinstance(one, dict) or "name" not in one:
        raise _json("no resource name specified")
    if "replicas" not in one:
        raise _json("no replicas specified")
    replicas = one["replicas"]
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise _json(f"json: cannot unmarshal {_kind(replicas)} into Go value of type int")
    if replicas < 2:
        raise _json("number of replicas must be >= 2")
    name = str(one["name"])
    return Replicated(name if "/" in name else f"nvidia.com/{name}", replicas)


def _rename(one: Replicated, renamed: bool) -> Replicated:
    return Replicated(one.name, one.replicas, f"{one.name}.shared") if renamed else one


def _json(cause: str) -> ConfigError:
    return _unmarshal(f"error unmarshaling JSON: while decoding JSON: {cause}")


def _unmarshal(cause: str) -> ConfigError:
    return ConfigError(f"unmarshal error: {cause}")


def _kind(value: Any) -> str:
    """As Go names what it found in JSON."""
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")
