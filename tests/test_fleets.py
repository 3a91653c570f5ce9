"""Fleet files: what is accepted, what is refused with which words, and the nodes they make."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from gpulab.fleets import FLEETS, MAX_NODES, Fleet, NodeGroup, load_fleet, shapes
from gpulab.paths import DATA
from gpulab.sim.data import check_data
from gpulab.sim.gpus import load_models

NAMES = sorted(path.stem for path in FLEETS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_fleet_can_be_used(name: str) -> None:
    check_data(name)
    fleet = load_fleet(name)
    models = load_models(DATA / "gpus")
    assert {group.gpu for group in fleet.nodes} - {None} <= models.keys()


def test_the_default_fleet_is_the_one_that_the_course_is_written_for() -> None:
    nodes = [
        (shape.name, shape.group.gpu, shape.group.gpus) for shape in shapes(load_fleet("default"))
    ]
    assert nodes == [
        ("h100-1", "h100-80gb-sxm", 8),
        ("h100-2", "h100-80gb-sxm", 8),
        ("a100-1", "a100-80gb-sxm", 8),
        ("l40s-1", "l40s-48gb", 4),
        ("cpu-1", None, 0),
    ]


def test_an_unknown_fleet_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="there is no fleet 'nonesuch'") as refused:
        load_fleet("nonesuch")
    assert all(name in refused.value.do for name in NAMES)


GOOD = "title: t\nnodes:\n- {name: a, cpu: 8, memory_gib: 16}\n"
BAD = {
    "unknown key": (GOOD.replace("cpu: 8", "cpu: 8, colour: red"), "colour"),
    "unknown key at the top": (GOOD + "speed: 2\n", "speed"),
    "missing key": (GOOD.replace("cpu: 8, ", ""), "cpu"),
    "wrong type": (GOOD.replace("cpu: 8", "cpu: eight"), "cpu"),
    "zero nodes": ("title: t\nnodes: []\n", "nodes"),
    "nodes are no list": ("title: t\nnodes: 5\n", "nodes"),
    "zero of a group": (GOOD.replace("cpu: 8", "cpu: 8, count: 0"), "count"),
    "too many nodes": (GOOD.replace("cpu: 8", f"cpu: 8, count: {MAX_NODES + 1}"), "nodes"),
    "two groups of one name": (GOOD + "- {name: a, cpu: 8, memory_gib: 16}\n", "same name"),
    "a number of GPUs without a model": (GOOD.replace("cpu: 8", "cpu: 8, gpus: 2"), "gpus"),
    "a model without a number": (GOOD.replace("cpu: 8", "cpu: 8, gpu: l40s-48gb"), "gpus"),
    "17 GPUs": (GOOD.replace("cpu: 8", "cpu: 8, gpu: l40s-48gb, gpus: 17"), "gpus"),
    "negative GPUs": (GOOD.replace("cpu: 8", "cpu: 8, gpu: l40s-48gb, gpus: -1"), "gpus"),
    "unknown GPU model": (GOOD.replace("cpu: 8", "cpu: 8, gpu: gtx-1080, gpus: 1"), "gtx-1080"),
    "nothing left to allocate": (
        GOOD.replace("16}", "16, reserved: {memory_gib: 16}}"),
        "reserved",
    ),
    "negative reservation": (GOOD.replace("16}", "16, reserved: {cpu: -1}}"), "reserved"),
    "a name that no node can have": (GOOD.replace("name: a", "name: Big_One"), "name"),
    "an empty name": (GOOD.replace("name: a", 'name: ""'), "name"),
    "negative Pods": (GOOD.replace("cpu: 8", "cpu: 8, pods: -1"), "pods"),
    "negative disk": (GOOD.replace("cpu: 8", "cpu: 8, ephemeral_gib: -1"), "ephemeral_gib"),
    "a label that no node can have": (GOOD.replace("16}", "16, labels: {'a b': c}}"), "labels"),
    "not YAML": ("nodes: [", ""),
    "empty": ("", ""),
    "a list": ("- 1\n", ""),
    "not UTF-8": ("title: \udcff\n", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_fleet_is_refused_with_file_and_key(tmp_path: Path, case: str) -> None:
    text, key = BAD[case]
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as refused:
        check_data(str(file))
    assert str(file) in refused.value.what
    assert key in refused.value.what
    assert refused.value.do


def test_a_fleet_may_lie_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    check_data(str(file))
    assert [shape.name for shape in shapes(load_fleet(str(file)))] == ["a-1"]


groups = st.builds(
    NodeGroup,
    name=st.from_regex(r"[a-z]([a-z0-9-]{0,4}[a-z0-9])?", fullmatch=True),
    cpu=st.just(8),
    memory_gib=st.just(16),
    count=st.integers(1, 12),
)
fleets = st.lists(groups, min_size=1, max_size=6, unique_by=lambda group: group.name)


@given(fleets)
def test_every_node_has_a_name_and_a_place_of_its_own(chosen: list[NodeGroup]) -> None:
    nodes = list(shapes(Fleet("t", tuple(chosen))))
    assert len(nodes) == sum(group.count for group in chosen)
    assert len({node.name for node in nodes}) == len(nodes)
    assert [node.index for node in nodes] == list(range(len(nodes)))
