"""The operator's chain as a row of lights."""

from __future__ import annotations

import re

from autograders.cluster.chain import Chain, Link
from autograders.widgets.chain import render

HOLDS = Link("nfd", True, "feature.node.kubernetes.io/pci-10de.present=true")
OUT = Link("deploy driver", False, "nvidia.com/gpu.deploy.driver=false")
LAST = Link("allocatable", False, "0 of 4 nvidia.com/gpu allocatable")


def test_each_link_is_a_light_with_words() -> None:
    shown = render([Chain("n1", (HOLDS, OUT, LAST))])
    assert re.findall(r">([✓✗])</i>", shown) == ["✓", "✗", "✗"]
    assert 'aria-label="driver wanted: nvidia.com/gpu.deploy.driver=false"' in shown


def test_the_first_one_that_is_out_is_named() -> None:
    shown = render([Chain("n1", (HOLDS, OUT, LAST))])
    assert "first out: driver wanted: nvidia.com/gpu.deploy.driver=false" in shown
    assert "all on" in render([Chain("n1", (HOLDS,))])


def test_what_was_read_is_escaped_and_no_node_is_said_so() -> None:
    assert "<b>x</b>" not in render([Chain("n", (Link("nfd", False, "<b>x</b>"),))])
    assert "no node says that it has a GPU" in render([])
