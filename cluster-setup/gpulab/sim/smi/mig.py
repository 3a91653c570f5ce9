"""`nvidia-smi mig -lgip|-lgipp|-lgi|-lci`, and MIG devices in the table and in `-L`.

Layouts after published outputs, tests/golden/nvidia-smi/mig-*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpulab.sim.gpus import MigProfile
from gpulab.sim.mig import Slice
from gpulab.sim.smi.reading import View

NONE_ENABLED = "No MIG-enabled devices found.\n"
NO_INSTANCES = "No {} instances found: Not Found\n"
DEVICE_HEADS = """\
| MIG devices:                                                                            |
+------------------+----------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |                     Memory-Usage |        Vol|        Shared         |
|      ID  ID  Dev |                       BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |
|                  |                                  |        ECC|                       |
|==================+==================================+===========+=======================|"""
DEVICE_RULE = (
    "+------------------+----------------------------------+-----------+-----------------------+"
)
PROFILE_HEADS = """\
| GPU instance profiles:                                                        |
| GPU   Name               ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                                Free/Total   GiB              CE    JPEG  OFA  |
|===============================================================================|"""
INSTANCE_HEADS = """\
| GPU instances:                                          |
| GPU   Name               Profile  Instance   Placement  |
|                            ID       ID       Start:Size |
|=========================================================|"""
COMPUTE_HEADS = """\
| Compute instances:                                                 |
| GPU     GPU       Name             Profile   Instance   Placement  |
|       Instance                       ID        ID       Start:Size |
|         ID                                                         |
|====================================================================|"""
COMPUTE_PROFILES = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}  # compute slices → profile ID


def devices(view: View) -> list[str]:
    """The table's box of MIG devices; nothing where no GPU is in MIG mode."""
    if not any(gpu.uuid in view.slices for _, gpu in view.shown):
        return []
    rule = f"+{'-' * (len(DEVICE_RULE) - 2)}+"
    rows = [line for each in _slices(view) for line in (*_device(*each), DEVICE_RULE)]
    none = [f"|{'  No MIG devices found':<{len(rule) - 2}}|", rule]
    return ["", rule, *DEVICE_HEADS.split("\n"), *(rows or none)]


def _slices(view: View) -> Iterator[tuple[int, int, Slice, int]]:
    """Index of the GPU, of the MIG device on it, the slice, MiB of BAR1 that it has."""
    for index, gpu in view.shown:
        bar1 = gpu.model.details.bar1_mib if gpu.model.details else 0
        for number, one in enumerate(view.slices.get(gpu.uuid, ())):
            yield index, number, one, max(0, bar1 * one.profile.size // 8 - 1)


def _device(index: int, number: int, one: Slice, bar1: int) -> tuple[str, str]:
    profile = one.profile
    engines = (
        f"{profile.copy_engines:>3}{0:>4}{profile.decoders:>5}{profile.ofa:>5}{profile.jpegs:>5}"
    )
    return (
        f"|{index:>3}{one.gi:>5}{one.ci:>4}{number:>4}  |"
        f"{0:>16}MiB /{profile.memory_mib:>6}MiB    |"
        f"{profile.sms:>3}{0:>7} |{engines} |",
        f"|{'':18}|{0:>18}MiB /{bar1:>6}MiB  |{'':11}|{'':23}|",
    )


def listed(view: View) -> dict[str, list[str]]:
    """Lines of `-L` for each GPU's slices, by the GPU's UUID."""
    return {
        uuid: [
            f"  MIG {one.profile.name:<11} Device {number:>2}: (UUID: {one.uuid})"
            for number, one in enumerate(slices)
        ]
        for uuid, slices in view.slices.items()
    }


def render(what: str, view: View) -> tuple[str, int]:
    """Answer `nvidia-smi mig` with that option; text and exit code."""
    if not any(gpu.uuid in view.slices for _, gpu in view.shown):
        return NONE_ENABLED, 6
    if what == "-lgipp":
        return "".join(_placements(view)), 0
    heads, rows, end = {
        "-lgip": (PROFILE_HEADS, list(_profiles(view)), ""),
        "-lgi": (INSTANCE_HEADS, list(_instances(view)), "GPU"),
        "-lci": (COMPUTE_HEADS, list(_computes(view)), "compute"),
    }[what]
    if not rows:
        return NO_INSTANCES.format(end), 6
    rule = f"+{'-' * (len(heads.split(chr(10))[0]) - 2)}+"
    return "\n".join([rule, heads, *(line for row in rows for line in (row, rule))]) + "\n", 0


def _profiles(view: View) -> Iterator[str]:
    for index, gpu in view.shown:
        if gpu.uuid not in view.slices:
            continue
        for one in gpu.model.mig_profiles:
            yield _profile(index, one, _left(one, view.slices[gpu.uuid]))


def _profile(index: int, one: MigProfile, left: int) -> str:
    count, gib = f"{left}/{one.instances}", f"{one.memory_mib / 1024:.2f}"
    return (
        f"|{index:>4}  MIG {one.name:<14}{one.id:>4}{count:>8}        {gib:<11}No     {one.sms:<7}"
        f"{one.decoders}{0:>6}   |\n|{one.copy_engines:>64}{one.jpegs:>6}{one.ofa:>6}   |"
    )


def _left(profile: MigProfile, slices: tuple[Slice, ...]) -> int:
    """How many more of a profile fit beside what is there."""
    taken = {number for one in slices for number in one.taken}
    found = 0
    for start in profile.starts:
        place = set(range(start, start + profile.size))
        if not place & taken:
            found += 1
            taken |= place
    made = sum(one.profile == profile for one in slices)
    return min(found, profile.instances - made)


def _instances(view: View) -> Iterator[str]:
    for index, gpu in view.shown:
        for one in sorted(view.slices.get(gpu.uuid, ()), key=_by_size):
            place = f"{one.start}:{one.profile.size}"
            yield (
                f"|{index:>4}  MIG {one.profile.name:<17}{one.profile.id:>3}{one.gi:>9}"
                f"{place:>13}     |"
            )


def _computes(view: View) -> Iterator[str]:
    for index, gpu in view.shown:
        for one in sorted(view.slices.get(gpu.uuid, ()), key=_by_size):
            slices = one.profile.compute_slices
            profile, place = COMPUTE_PROFILES[slices], f"0:{min(one.profile.size, 7)}"
            yield (
                f"|{index:>4}{one.gi:>7}       MIG {one.profile.name:<14}{profile:>4}{one.ci:>10}"
                f"{place:>13}     |"
            )


def _by_size(one: Slice) -> tuple[str, int]:
    return one.profile.name, one.gi


def _placements(view: View) -> Iterator[str]:
    for index, gpu in view.shown:
        for one in gpu.model.mig_profiles if gpu.uuid in view.slices else ():
            starts = ",".join(map(str, one.starts))
            word = "Placements:" if len(one.starts) > 1 else "Placement :"
            yield f"GPU {index:>2} Profile ID {one.id:>2} {word} {{{starts}}}:{one.size}\n"
