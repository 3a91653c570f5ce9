"""The explanation of a Pod as HTML."""

from __future__ import annotations

from autograders.cluster import Node
from autograders.cluster.fit import why
from autograders.cluster.nearest import nearest
from autograders.widgets.why import render
from tests.test_cluster_fit import N1, admit, here
from tests.worlds import GPU, node, pod


def test_reasons_holders_and_changes_are_shown() -> None:
    asked, nodes, pods = admit(pod("p", {GPU: "4"})), [Node(N1)], [admit(here("h", {GPU: "6"}))]
    shown = render(why(asked, nodes, pods), nearest(asked, nodes, pods))
    for text in (
        "Insufficient nvidia.com/gpu",
        "asks for 4, 2 of 8 are free",
        "2 of 8 free<br>6 default/h",
        "ask for 2 nvidia.com/gpu instead of 4",
    ):
        assert text in shown


def test_a_placed_pod_needs_no_table() -> None:
    shown = render(why(admit(here("p", {GPU: "4"})), [Node(N1)], []))
    assert "Pod p is on n1" in shown
    assert "<table>" not in shown


def test_what_was_read_is_escaped() -> None:
    evil = node("<b>n1</b>", {"zone": "<script>"}, {}, {"pods": "1"})
    shown = render(why(admit(pod("p", {}, nodeSelector={"zone": "x"})), [Node(evil)], []))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>n1</b>" not in shown
