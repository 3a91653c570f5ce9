"""How a lesson begins: an empty namespace, or two lines of what is wrong and what to do."""

from __future__ import annotations

import sys

import pytest

from gpulab.lesson import remedy
from tests.conftest import Done, Lab, run

CELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
found = shell.run_cell("from gpulab.notebook import begin_lesson\\nprint(begin_lesson('99'))")
"""


def begin(lab: Lab) -> Done:
    """Run the first cell of a lesson as Jupyter would."""
    return run([sys.executable, "-c", CELL], lab.env, 120)


def test_a_part_that_was_paused_goes_on_and_any_other_is_started() -> None:
    assert "!gpulab resume controller-manager " in remedy("kube-controller-manager: paused")
    assert "!gpulab up " in remedy("kube-scheduler: stopped")
    assert "!gpulab up " in remedy("2 nodes without their GPUs")


def test_without_a_lab_it_says_so_without_a_traceback(no_lab: Lab) -> None:
    said = begin(no_lab).stdout
    assert said.splitlines() == ["there is no lab called 'lab'", "  start it: gpulab up"]


@pytest.mark.live
def test_leftovers_go_and_nobody_elses_namespace(lab: Lab) -> None:
    assert begin(lab).returncode == 0
    lab.make("lesson-99", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}})
    other = ("namespace", "lesson-98")
    assert lab.kubectl("create", *other).returncode == 0
    assert lab.kubectl("label", *other, "gpulab.dev/lesson=98").returncode == 0
    said = begin(lab).stdout
    assert "kubectl create namespace lesson-99" in said
    assert lab.kubectl("get", "configmap", "old", "-n", "lesson-99").returncode != 0
    assert lab.kubectl("get", "serviceaccount", "default", "-n", "lesson-99").returncode == 0
    assert lab.kubectl("get", *other).returncode == 0
    gone = lab.kubectl("delete", "namespaces", "-l", "gpulab.dev/lesson in (98, 99)")
    assert gone.returncode == 0


@pytest.mark.live
def test_a_node_that_was_left_shut_is_no_obstacle(lab: Lab) -> None:
    assert lab.kubectl("cordon", "a100-1").returncode == 0
    try:
        said = begin(lab).stdout
    finally:
        assert lab.kubectl("uncordon", "a100-1").returncode == 0
        assert lab.kubectl("delete", "namespaces", "-l", "gpulab.dev/lesson=99").returncode == 0
    assert "kubectl create namespace lesson-99" in said


@pytest.mark.live
def test_a_lesson_begins_once_the_scheduler_goes_on(lab: Lab) -> None:
    assert lab.gpulab("pause", "scheduler").returncode == 0
    try:
        said = begin(lab).stdout
    finally:
        assert lab.gpulab("resume", "scheduler").returncode == 0
    assert said.splitlines() == [
        "the lab is not ready: kube-scheduler: paused",
        "  in a cell: !gpulab resume scheduler   then run this cell again",
    ]


@pytest.mark.live
def test_a_namespace_that_is_somebody_elses_is_left_alone(lab: Lab) -> None:
    assert lab.kubectl("create", "namespace", "lesson-99").returncode == 0
    said = begin(lab).stdout
    assert lab.kubectl("delete", "namespace", "lesson-99").returncode == 0
    assert said.splitlines()[0].endswith('namespaces "lesson-99" already exists')
    assert "Traceback" not in said
