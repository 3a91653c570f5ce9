"""Which labels the operator gives a node. Pure.

After NVIDIA/gpu-operator v26.7.0, controllers/state_manager.go and nodelabeling_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Labels = Mapping[str, str]
NFD = tuple(f"feature.node.kubernetes.io/pci-{each}10de.present" for each in ("", "0302_", "0300_"))
PRESENT = "nvidia.com/gpu.present"
OPERANDS = "nvidia.com/gpu.deploy.operands"
MIG_MANAGER = "nvidia.com/gpu.deploy.mig-manager"
MIG_CAPABLE, MIG_CONFIG = "nvidia.com/mig.capable", "nvidia.com/mig.config"
MIG_STATE = f"{MIG_CONFIG}.state"
DRA_DRIVER = "nvidia.com/gpu.deploy.dra-driver"  # of the other stack
PRODUCT = "nvidia.com/gpu.product"
DEPLOY = tuple(
    f"nvidia.com/gpu.deploy.{each}"
    for each in (
        "driver",
        "gpu-feature-discovery",
        "container-toolkit",
        "device-plugin",
        "dcgm",
        "dcgm-exporter",
        "node-status-exporter",
        "operator-validator",
        "client",
    )
)


def change(labels: Labels, mig_default: str | None) -> dict[str, str | None]:
    """What to write: a value for a label to set, None for one to remove; empty if all is well.

    `mig_default` is the MIG configuration of a node that has none; None without a MIG manager.

    >>> change({NFD[0]: "true"}, None)[PRESENT]
    'true'
    """
    after = dict(_wanted(labels, mig_default))
    return {key: value for key, value in after.items() if labels.get(key) != value}


def has_gpu(labels: Labels) -> bool:
    """Whether NFD saw a GPU of NVIDIA's."""
    return any(labels.get(each) == "true" for each in NFD)


def is_present(labels: Labels) -> bool:
    """Whether the operator takes the node for one with GPUs."""
    return labels.get(PRESENT) == "true"


def has_nfd(labels: Labels) -> bool:
    return any(key.startswith("feature.node.kubernetes.io/") for key in labels)


def _wanted(labels: Labels, mig_default: str | None) -> Iterator[tuple[str, str | None]]:
    present = has_gpu(labels)
    if present != is_present(labels):
        yield PRESENT, "true" if present else ("false" if is_present(labels) else None)
    if not present or labels.get(OPERANDS) == "false":
        yield from ((key, None) for key in (*DEPLOY, MIG_MANAGER) if key in labels)
    else:
        # what stands there is honoured: k8s-driver-manager pauses operands by another value
        yield from ((key, "true") for key in DEPLOY if not labels.get(key))
        if DRA_DRIVER in labels:
            yield DRA_DRIVER, None
        if is_mig_capable(labels) and MIG_MANAGER not in labels:
            yield MIG_MANAGER, "true"
    if present and is_mig_capable(labels) and mig_default and not labels.get(MIG_CONFIG):
        yield MIG_CONFIG, mig_default


def is_mig_capable(labels: Labels) -> bool:
    """By GFD's label; where that is missing, by the product's name."""
    if MIG_CAPABLE in labels:
        return labels[MIG_CAPABLE] == "true"
    product = labels.get(PRODUCT, "").lower()
    return any(name in product for name in ("h100", "a100", "a30"))
