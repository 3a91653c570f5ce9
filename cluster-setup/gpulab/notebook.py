"""What a lesson may call: `from gpulab.notebook import gpu_map`. Each reads the cluster once."""

from __future__ import annotations

import builtins
import html
import os
from pathlib import Path

from autograders.cluster import Allocation, Node, Pod
from autograders.cluster.chain import trace
from autograders.cluster.dra import claimed
from autograders.cluster.gpus import by_resource
from autograders.connect import Api, ApiProblem, connect
from autograders.errors import InputError
from autograders.model import KubeObject
from autograders.widgets import chain as lights
from autograders.widgets import gpu_map as picture
from autograders.widgets import gpu_use as use
from autograders.widgets.gpu_use import Device
from gpulab import lab
from gpulab.providers import KIND

SKIPPED = "Skipped: this lab has no real node."
ELSEWHERE = (
    "This lab has no real node, so the cells below are skipped. With Docker you can have one: "
    "gpulab down --delete, then gpulab lab --provider kind. Notebooks, answers and progress stay."
)


class Html(str):
    """Text that Jupyter shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


class Shown:
    """A picture where there is a front end, text where there is none."""

    def __init__(self, picture: str, text: str) -> None:
        self._picture, self._text = picture, text

    def _repr_html_(self) -> str:
        return self._picture

    def __repr__(self) -> str:
        return self._text


def gpu_use() -> Shown:
    """Draw how much of each Pod's GPUs is used beside how many it holds, from their metrics."""
    from gpulab import metrics

    paths, record = lab.existing(os.environ.get("GPULAB_NAME", "lab"))
    sampled = metrics.parse(metrics.read(paths, record))
    found = use.rows(Device(*metrics.shares(each)) for each in sampled)
    return Shown(use.render(found), use.text(found))


def gpu_map() -> Html:
    """Draw every node's GPUs and who holds them, from the cluster that $KUBECONFIG names."""
    return Html(picture.render(read_allocations()))


def operator_chain() -> Html:
    """Draw how far the GPU Operator has come on each node: one light for each step."""
    with connect(None) as api:
        nodes = [Node(item) for item in api.json("/api/v1/nodes")["items"]]
        pods = [Pod(item) for item in api.json("/api/v1/namespaces/gpu-operator/pods")["items"]]
        policies = api.json("/apis/nvidia.com/v1/clusterpolicies")["items"]
    traced = [trace(node, pods, next(iter(policies), None)) for node in nodes]
    return Html(lights.render([each for each in traced if each]))


def begin_lesson(lesson: str) -> Html:
    """See that the lab is ready, give the lesson an empty namespace, and show how."""
    from gpulab import lesson as lessons

    return Html(f"<pre>{html.escape(lessons.begin(lesson))}</pre>")


def quiz_form(exercise: str) -> object:
    """Show an exercise's questions as a form that saves each answer as it changes."""
    from gpulab import quiz

    try:
        return quiz.form(exercise)
    except InputError as problem:
        return Html(f"<p>{html.escape(problem.what)}<br>{html.escape(problem.do)}</p>")


def real_nodes() -> str:
    """Say whether this lab has real nodes, and teach the notebook `%%on_kind`.

    A cell that begins with it runs in a lab of provider kind, and says so elsewhere.
    """
    shell = builtins.get_ipython()  # type: ignore[attr-defined]  # Jupyter puts it there

    def on_kind(line: str, cell: str) -> None:
        if provider() == KIND:
            shell.run_cell(cell).raise_error()
        else:
            shell.run_cell(f"print({SKIPPED!r})")

    shell.register_magic_function(on_kind, "cell")
    return "This lab has real nodes." if provider() == KIND else ELSEWHERE


def provider() -> str:
    """Of the lab whose notebook this is."""
    _, record = lab.existing(os.environ.get("GPULAB_NAME", "lab"))
    return record.provider


def read_allocations(kubeconfig: Path | None = None) -> tuple[Allocation, ...]:
    """Read nodes and Pods and count: what `kubectl describe nodes` says, without its pages."""
    with connect(kubeconfig) as api:
        nodes = [Node(item) for item in api.json("/api/v1/nodes")["items"]]
        pods = [Pod(item) for item in api.json("/api/v1/pods")["items"]]
        by_claims = claimed(*(_items(api, kind) for kind in ("resourceslices", "resourceclaims")))
    found = by_resource(nodes, pods)
    return tuple(by_claims.get(one.node, one) if not one.capacity else one for one in found)


def _items(api: Api, kind: str) -> list[KubeObject]:
    """None where the cluster is too old for it, or does not let us look."""
    try:
        found: list[KubeObject] = api.json(f"/apis/resource.k8s.io/v1/{kind}")["items"]
    except ApiProblem:
        return []
    return found
