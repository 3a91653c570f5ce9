"""How far the GPU Operator has come on each node, as a row of lights."""

from __future__ import annotations

import html
from collections.abc import Sequence

from autograders.cluster.chain import OPERANDS, PRESENT, Chain, Link

SHORT = {
    "nfd": "hardware found",
    "present": PRESENT,
    "gfd": "model and memory known",
    "allocatable": "GPUs allocatable",
} | {f"deploy {each.label}": f"{each.label} wanted" for each in OPERANDS}
"""Names of links in words; an operand is called after its Pods."""
# `!important` where JupyterLab's own table style would win
STYLE = """
<style>
.gpu-chain {font: 13px/1.4 system-ui, sans-serif; color: inherit; max-width: 72em}
.gpu-chain table {border-collapse: collapse; width: auto; margin: 0 !important}
.gpu-chain th, .gpu-chain td {padding: 3px 14px 3px 0 !important; text-align: left !important;
  vertical-align: middle !important; border: 0; font-weight: normal}
.gpu-chain tr {background: none !important}
.gpu-chain th b {font-weight: 600}
.gpu-chain th, .gpu-chain td:nth-child(2) {white-space: nowrap}
.gpu-chain i {display: inline-block; width: 20px; height: 20px; border-radius: 50%;
  font: 600 12px/20px system-ui, sans-serif; text-align: center; color: #fff;
  background: #009E73; margin-right: 3px}
.gpu-chain i.off {background: #D55E00}
</style>
"""


def render(chains: Sequence[Chain]) -> str:
    """HTML: a row for each node, a light for each link, and the first one that is out in words."""
    if not chains:
        return f'{STYLE}<div class="gpu-chain">no node says that it has a GPU</div>'
    rows = "".join(map(_row, chains))
    return f'{STYLE}<div class="gpu-chain"><table>{rows}</table></div>'


def _row(chain: Chain) -> str:
    lights = "".join(map(_light, chain.links))
    name, words = html.escape(chain.node), html.escape(_words(chain))
    return f"<tr><th><b>{name}</b></th><td>{lights}</td><td>{words}</td></tr>"


def _words(chain: Chain) -> str:
    """What stands beside the lights.

    >>> out = Link("nfd", False, "the node has no label x")
    >>> _words(Chain("n", (out,)))
    'first out: hardware found: the node has no label x'
    >>> _words(Chain("n", ()))
    'all on'
    """
    if chain.broken is None:
        return "all on"
    return f"first out: {name(chain.broken)}: {chain.broken.seen}"


def _light(link: Link) -> str:
    words = html.escape(f"{name(link)}: {link.seen}", quote=True)
    style, sign = ("", "✓") if link.holds else (' class="off"', "✗")
    return f'<i{style} title="{words}" role="img" aria-label="{words}">{sign}</i>'


def name(link: Link) -> str:
    """A link as the lesson on the operator calls it."""
    return SHORT.get(link.name, link.name)
