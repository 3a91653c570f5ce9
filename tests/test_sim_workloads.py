"""Which program a container runs, and what a malformed file of workloads is told."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from autograders.errors import InputError
from gpulab.paths import DATA
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import node_gpus
from gpulab.sim.pace import Pace
from gpulab.sim.program import CannotStart, Program, Surroundings
from gpulab.sim.replay import output
from gpulab.sim.workloads import Catalogue
from tests.test_sim_program import MODELS, here

CATALOGUE = Catalogue.load(DATA / "workloads")
BEGAN = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def with_gpus(count: int) -> Surroundings:
    gpus = node_gpus(MODELS["h100-80gb-sxm"], count, seed="s", node="n")
    return here(gpus=gpus)


def text(found: Program | CannotStart) -> str:
    assert isinstance(found, Program)
    far = BEGAN + dt.timedelta(hours=1)
    return "".join(line.text for line in output(found.script, BEGAN, far, Facts()))


@pytest.mark.parametrize("name", ["nvidia-smi", "/usr/bin/nvidia-smi"])
def test_nvidia_smi_is_there_only_in_a_container_that_was_given_a_gpu(name: str) -> None:
    assert CATALOGUE.find([name], here()) == CannotStart(name)
    assert "H100" in text(CATALOGUE.find([name], with_gpus(1)))


def test_a_shell_without_a_gpu_does_not_find_nvidia_smi_and_goes_on() -> None:
    found = CATALOGUE.find(["sh", "-c", "nvidia-smi; echo after"], here())
    assert text(found) == "sh: 1: nvidia-smi: not found\nafter\n"


@pytest.mark.parametrize(
    ("code", "without", "with_two"),
    [
        ("import torch; print(torch.cuda.is_available())", "False\n", "True\n"),
        ("import torch\nprint(torch.cuda.is_available())\n", "False\n", "True\n"),
        ("import torch; print(torch.cuda.device_count())", "0\n", "2\n"),
    ],
)
def test_pytorch_sees_the_gpus_that_its_container_was_given(
    code: str, without: str, with_two: str
) -> None:
    for python in ("python", "python3", "/usr/bin/python3"):
        assert text(CATALOGUE.find([python, "-c", code], here())) == without
        assert text(CATALOGUE.find([python, "-c", code], with_gpus(2))) == with_two


@pytest.mark.parametrize(
    "argv", [["python", "tune.py"], ["python", "-c", "print(1)"], ["nvidia-smi-fan"], ["SLEEP"]]
)
def test_everything_else_is_unmodelled_and_runs_silently_for_ever(argv: list[str]) -> None:
    found = CATALOGUE.find(argv, with_gpus(1))
    assert isinstance(found, Program)
    assert not found.modelled
    assert text(found) == ""


def test_the_images_own_command_is_known_for_pause_only() -> None:
    pause = CATALOGUE.find([], here(container={"image": "registry.k8s.io/pause:3.9"}))
    other = CATALOGUE.find([], here(container={"image": "example.com/pause:3.9"}))
    assert isinstance(pause, Program)
    assert isinstance(other, Program)
    assert (pause.modelled, other.modelled) == (True, False)


def test_sleep_as_pid_1_ignores_sigterm_as_every_such_process_does() -> None:
    found = CATALOGUE.find(["sleep", "9"], here())
    assert isinstance(found, Program)
    assert found.ignores_term


def test_adding_a_workload_is_adding_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "title: mine\nworkloads:\n- match: {command: [train]}\n"
        "  steps: [{print: started}, {sleep: 2}, {exit: 7}]\n"
    )
    found = Catalogue.load(tmp_path).find(["train", "--fast"], here())
    assert text(found) == "started\n"


HEAD = "title: t\nworkloads:\n"
BAD = {
    "unknown key": (HEAD + "- {match: {}, program: sleep, colour: red}\n", "colour"),
    "unknown key of match": (HEAD + "- {match: {argv: [a]}, program: sleep}\n", "argv"),
    "unknown step": (HEAD + "- {match: {}, steps: [{dance: 1}]}\n", "dance"),
    "a step with two keys": (HEAD + "- {match: {}, steps: [{sleep: 1, print: a}]}\n", "steps[0]"),
    "an empty step": (HEAD + "- {match: {}, steps: [{}]}\n", "steps[0]"),
    "neither program nor steps": (HEAD + "- {match: {command: [a]}}\n", "workloads[0]"),
    "both": (HEAD + "- {match: {}, program: sleep, steps: [{sleep: 1}]}\n", "workloads[0]"),
    "unknown program": (HEAD + "- {match: {}, program: make}\n", "make"),
    "a broken expression": (HEAD + "- {match: {command: ['(']}, program: sleep}\n", ""),
    "wrong type": (HEAD + "- {match: {}, steps: [{sleep: long}]}\n", "sleep"),
    "no title": ("workloads: []\n", "title"),
    "not YAML": ("title: [", ""),
    "not UTF-8": ("title: \udcff", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_is_refused_with_its_name_and_key(tmp_path: Path, case: str) -> None:
    content, key = BAD[case]
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as refused:
        Catalogue.load(tmp_path)
    assert str(file) in refused.value.what
    assert key in refused.value.what


def facts_workload(tmp_path: Path, steps: str) -> Catalogue:
    (tmp_path / "mine.yaml").write_text(f"title: t\nworkloads:\n- match: {{}}\n  steps: {steps}\n")
    return Catalogue.load(tmp_path)


def provide(facts: Facts, since: dt.datetime) -> None:
    async def now() -> None:
        facts.provide("f", "owner", since)

    asyncio.run(now())


def said_after(found: Program | CannotStart, seconds: float, facts: Facts) -> str:
    assert isinstance(found, Program)
    until = BEGAN + dt.timedelta(seconds=seconds)
    return "".join(line.text for line in output(found.script, BEGAN, until, facts))


def test_a_wait_is_heard_until_the_fact_holds(tmp_path: Path) -> None:
    steps = "[{wait: {fact: f, says: 'no f, retry: $n'}}, {print: found}]"
    found, facts = facts_workload(tmp_path, steps).find(["x"], here()), Facts()
    assert said_after(found, 7, facts) == "no f, retry: 1\nno f, retry: 2\n"
    provide(facts, BEGAN + dt.timedelta(seconds=8))
    assert said_after(found, 60, facts) == "no f, retry: 1\nno f, retry: 2\nfound\n"
    provide(facts, BEGAN)
    assert said_after(found, 60, facts) == "found\n"


def test_what_is_needed_and_missing_ends_a_program(tmp_path: Path) -> None:
    steps = "[{need: {fact: f, says: no f}}, {print: found}]"
    found, facts = facts_workload(tmp_path, steps).find(["x"], here()), Facts()
    assert said_after(found, 60, facts) == "no f\n"
    provide(facts, BEGAN)
    assert said_after(found, 60, facts) == "found\n"


def test_what_takes_time_on_a_real_node_takes_none_while_a_lab_comes_up(tmp_path: Path) -> None:
    catalogue = facts_workload(tmp_path, "[{takes: 40}, {print: done}]")
    for pace, at in (
        (Pace(1.0), 40),
        (Pace(20.0), 2),
        (Pace(1.0, None), 0),
        (Pace(1.0, BEGAN + dt.timedelta(seconds=1)), 0),
        (Pace(1.0, BEGAN), 40),
    ):
        found = catalogue.find(["x"], here(pace=pace))
        assert said_after(found, at, Facts()) == "done\n"
        assert not at or said_after(found, at - 1, Facts()) == ""


def test_the_same_command_may_differ_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "title: t\nworkloads:\n"
        "- {match: {command: [v], env: {PART: a}}, steps: [{print: it is a}]}\n"
        "- {match: {command: [v]}, steps: [{print: another}]}\n"
    )
    catalogue = Catalogue.load(tmp_path)
    for value, said in (("a", "it is a\n"), ("b", "another\n")):
        container = {"image": "i", "env": [{"name": "PART", "value": value}]}
        assert text(catalogue.find(["v"], here(container=container))) == said
