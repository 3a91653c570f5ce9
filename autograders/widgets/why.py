"""Why a Pod is nowhere, as a table: one row per node, and the changes that would help."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from autograders.cluster.answer import placed, unplaced
from autograders.cluster.fit import Explanation, NodeFit
from autograders.cluster.gpus import Allocation
from autograders.cluster.nearest import Change

# `!important` where JupyterLab's own table style would win
STYLE = """
<style>
.pod-why {font: 13px/1.45 system-ui, sans-serif; color: inherit; max-width: 72em}
.pod-why table {border-collapse: collapse; width: auto; margin: 8px 0 !important}
.pod-why th, .pod-why td {padding: 4px 16px 4px 0 !important; text-align: left !important;
  vertical-align: top !important; border: 0; border-top: 1px solid #8886; font-weight: normal}
.pod-why tr {background: none !important}
.pod-why thead th {border-top: 0; font-weight: 600}
.pod-why b {font-weight: 600}
.pod-why .detail {opacity: .8}
.pod-why ol, .pod-why ul {margin: 4px 0 8px; padding-left: 1.6em}
</style>
"""


def render(found: Explanation, changes: Sequence[Change] = ()) -> str:
    """HTML for one Pod; everything that was read is escaped."""
    if found.pod.node:
        return f'{STYLE}<div class="pod-why"><p><b>{safe(placed(found.pod))}</b></p></div>'
    rows = "".join(map(row, found.nodes))
    head = "<tr><th>node</th><th>why not</th><th>GPUs</th></tr>"
    parts = (
        f"<p><b>{safe(unplaced(found, changes))}</b></p>",
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>",
        section("What would help", "ol", [each.text for each in changes]),
        section("Not computed", "ul", found.uncomputed),
    )
    return f'{STYLE}<div class="pod-why">{"".join(parts)}</div>'


def row(one: NodeFit) -> str:
    lines = "<br>".join(reasons(one)) or "✓ it fits"
    return f"<tr><td><b>{safe(one.node)}</b></td><td>{lines}</td><td>{gpus(one.gpus)}</td></tr>"


def reasons(one: NodeFit) -> Iterator[str]:
    for each in one.reasons:
        yield f'{safe(each.text)} <span class="detail">({safe(each.detail)})</span>'
    if one.chain and (link := one.chain.broken):
        yield f"GPU Operator: {safe(link.seen)} <code>{safe(link.do)}</code>"


def gpus(found: Allocation) -> str:
    if not found.allocatable and not found.held:
        return "none"
    held = "".join(
        f"<br>{each.gpus} {safe(each.namespace)}/{safe(each.pod)}" for each in found.holdings
    )
    return f"{found.free} of {found.allocatable} free{held}"


def section(title: str, kind: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{safe(each)}</li>" for each in lines)
    return f"<p><b>{title}</b></p><{kind}>{items}</{kind}>" if lines else ""


def safe(text: str) -> str:
    return html.escape("".join(each if each.isprintable() else " " for each in text))
