"""Simulated kubelets beside a real one: the recordings of `golden/kind/` played on a lab.

Each folder there holds objects (`spec.yaml`), what is done to them and when it ends
(`steps.yaml`), and what a kind cluster showed (`observed.json`, see ORIGIN.md). A lab must show the
same, compared after `normalise.py` has replaced what differs between any two runs:

- `story` of each Pod: its phase with every container's state, reason, exit code, readiness,
  restarts and last state, as a sequence without times. Order and words are the kubelet's
  behaviour; how long a state lasts depends on `sim.speed` and on the machine.
- `conditions` of each Pod, each type a sequence of its own, for the kubelet does not say in which
  order two of them change.
- `messages` in the Pod's status, in the order in which they first came.
- `events` by object and component, in order, each once; those that every recording counted more
  than once must repeat here, back-offs apart. Our own two events stand apart.
- `objects`: the last status of Deployments, Jobs and the like.

`compare.py` defines when two sequences agree: every line that came in each recording comes, in
that order, and none comes that no recording has. So a state that the kubelet sometimes skips may
be skipped here, but none can be invented. What comes after the last step is not compared, events
that follow at once apart.

`status/` holds whole statuses of real Pods: a simulated one must have the same fields.
`kubectl.json` holds kubectl's exit code, output and errors for each line of `kubectl/cases.yaml`:
they must be equal.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpulab import binaries
from tests.golden.kind import compare, scenario, verbs
from tests.golden.kind.play import Object, Stage, ask_kubectl, play, stage

ABOUT = ("cluster-setup/gpulab/sim/", "cluster-setup/images/", "cluster-setup/workloads/")
pytestmark = [pytest.mark.live, pytest.mark.timeout(600), pytest.mark.sample(*ABOUT)]
AT_ONCE = 40  # scenarios; more make a small machine too slow for their deadlines
# "no limit" as cgroup v1 spells it, 9007199254740988Ki; cgroup v2 has no number for it
CGROUP_V1 = {".status.resources.limits", ".status.resources.limits.memory"}
DEVIATIONS = yaml.safe_load((scenario.HERE / "deviations.yaml").read_text(encoding="utf-8"))
SAMPLES = {made.sample: name for name in scenario.names() if (made := scenario.load(name)).sample}


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """A running lab's; KIND_GOLDENS_KUBECONFIG names another cluster, such as the recorded one."""
    chosen = os.environ.get("KIND_GOLDENS_KUBECONFIG")
    return Path(chosen) if chosen else request.getfixturevalue("lab").kubeconfig


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("status")


@pytest.fixture(scope="session")
def shown(request: pytest.FixtureRequest, kubeconfig: Path, samples: Path) -> dict[str, Object]:
    """What the cluster shows of every chosen scenario, played side by side."""
    chosen = {name for item in request.session.items for name in _played(item)}
    return asyncio.run(_play_all(sorted(chosen), kubeconfig, samples))


@pytest.fixture(scope="session")
def answers(kubeconfig: Path) -> dict[str, verbs.Answer]:
    """What kubectl says of Pods on that cluster."""
    command = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(kubeconfig)]
    return asyncio.run(_ask(command, kubeconfig))


async def _ask(command: list[str], kubeconfig: Path) -> dict[str, verbs.Answer]:
    async with stage(kubeconfig) as on:
        return (await ask_kubectl(on, command))[0]


def _played(item: Any) -> list[str]:
    """The scenario that a test needs, if it is one of this file."""
    ours = item.path == Path(__file__) and "shown" in item.fixturenames
    return [item.callspec.params["name"]] if ours else []


async def _play_all(names: Sequence[str], kubeconfig: Path, samples: Path) -> dict[str, Object]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def take_turn(on: Stage, name: str) -> Object:
        async with gate:
            return await play(on, name, samples)

    async with stage(kubeconfig) as on:
        runs = await asyncio.gather(*(take_turn(on, name) for name in names))
    return dict(zip(names, runs, strict=True))


@pytest.mark.parametrize("name", scenario.names())
def test_a_lab_shows_what_a_real_cluster_shows(name: str, shown: dict[str, Object]) -> None:
    golden = json.loads((scenario.HERE / name / "observed.json").read_text(encoding="utf-8"))

    found = compare.differences(golden, shown[name])

    if found and name in DEVIATIONS:
        pytest.skip(DEVIATIONS[name])
    if found:
        pytest.fail("\n".join([scenario.load(name).title, *found]), pytrace=False)


@pytest.mark.parametrize(("sample", "name"), SAMPLES.items())
def test_a_status_has_the_fields_of_a_real_one(
    sample: str, name: str, shown: dict[str, Object], samples: Path
) -> None:
    real, ours = (
        set(_fields(yaml.safe_load((folder / f"{sample}.yaml").read_text(encoding="utf-8"))))
        for folder in (scenario.HERE / "status", samples)
    )

    found = [f"lacks {path}" for path in sorted(real - ours - CGROUP_V1)]
    found += [f"invents {path}" for path in sorted(ours - real)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("case", verbs.titles())
def test_kubectl_says_what_it_says_on_a_real_cluster(
    case: str, answers: dict[str, verbs.Answer]
) -> None:
    golden = json.loads((scenario.HERE / "kubectl.json").read_text(encoding="utf-8"))

    if answers[case] != golden[case] and case in DEVIATIONS:
        pytest.skip(DEVIATIONS[case])
    assert answers[case] == golden[case]


def _fields(value: Any, path: str = "") -> Iterator[str]:
    """Every field's path; the items of a list share theirs."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from (f"{path}.{key}", *_fields(entry, f"{path}.{key}"))
    elif isinstance(value, list):
        for entry in value:
            yield from _fields(entry, f"{path}[]")
