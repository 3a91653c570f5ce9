"""Scripts in time: the same script gives the exit, the log at any moment, and the log again."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpulab.paths import DATA
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import load_driver, load_models, node_gpus
from gpulab.sim.program import Clock, Exit, Print, Script, Sleep, Step, Surroundings
from gpulab.sim.replay import Line, Run, output

BEGAN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
MODELS = load_models(DATA / "gpus")
DRIVER = load_driver(DATA / "nvidia.toml")
steps = st.lists(
    st.one_of(
        st.builds(Print, st.text(max_size=5), st.sampled_from(["stdout", "stderr"])),
        st.builds(Sleep, st.sampled_from([0, 0.5, 1, 3, math.inf])),
        st.builds(Exit, st.integers(0, 255)),
    ),
    max_size=8,
)


def script(chosen: list[Step]) -> Script:
    return lambda clock: iter(chosen)


def seconds(number: float) -> dt.datetime:
    return BEGAN + dt.timedelta(seconds=number)


def written(chosen: list[Step], until: float) -> list[Line]:
    return list(output(script(chosen), BEGAN, seconds(until), Facts()))


def here(**more: Any) -> Surroundings:
    pod: dict[str, Any] = {
        "metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}, "uid": "u"},
        "spec": {},
        "status": {},
    }
    usual = {"pod": pod, "container": {"image": "busybox"}, "node": "h100-1", "ip": "100.64.0.2"}
    return Surroundings(**(usual | {"driver": DRIVER} | more))


def test_each_line_is_written_when_the_sleeps_before_it_are_over() -> None:
    chosen: list[Step] = [Print("a"), Sleep(2), Print("b"), Sleep(3), Print("c")]
    assert [(line.text, line.at) for line in written(chosen, 99)] == [
        ("a", seconds(0)),
        ("b", seconds(2)),
        ("c", seconds(5)),
    ]


def test_nothing_happens_after_the_exit() -> None:
    run = Run(script([Print("a"), Exit(3), Print("b")]), BEGAN)
    assert [event.text for event in run if isinstance(event, Line)] == ["a"]
    assert run.code == 3


def test_a_script_that_just_ends_exits_with_0() -> None:
    run = Run(script([Print("a")]), BEGAN)
    assert run.code is None
    assert len(list(run)) == 1
    assert run.code == 0


def test_what_sleeps_for_ever_never_gets_to_its_next_line() -> None:
    assert written([Print("a"), Sleep(math.inf), Print("b")], 10**9)[-1].text == "a"


@given(steps, st.floats(0, 20), st.floats(0, 20))
def test_a_log_only_grows(chosen: list[Step], one: float, two: float) -> None:
    """Looked at later it starts with what stood there earlier: nothing is rewritten."""
    earlier, later = sorted((one, two))
    before, after = written(chosen, earlier), written(chosen, later)
    assert after[: len(before)] == before


@given(steps, st.floats(0, 20))
def test_nothing_is_written_before_its_time(chosen: list[Step], until: float) -> None:
    lines = written(chosen, until)
    assert all(BEGAN <= line.at <= seconds(until) for line in lines)
    assert [line.at for line in lines] == sorted(line.at for line in lines)


@given(steps)
def test_the_exit_code_is_that_of_the_first_exit(chosen: list[Step]) -> None:
    run = Run(script(chosen), BEGAN)
    for _ in run:
        pass
    codes = [step.code for step in chosen if isinstance(step, Exit)]
    assert run.code == (codes[0] if codes else 0)


def test_a_script_sees_its_own_time() -> None:
    def tell(clock: Clock) -> Iterator[Step]:
        yield Sleep(60)
        yield Print(f"{clock.now:%H:%M}")

    assert [line.text for line in output(tell, BEGAN, seconds(99), Facts())] == ["03:05"]


def test_a_process_sees_what_its_pod_declares() -> None:
    declared = [
        {"name": "PLAIN", "value": "1"},
        {"name": "EMPTY"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "HOME", "value": "/work"},
    ]
    found = here(container={"image": "busybox", "env": declared}).environment()
    wanted = {"PLAIN": "1", "EMPTY": "", "POD": "p", "NODE": "h100-1", "IP": "100.64.0.2"}
    assert found.items() >= (wanted | {"HOME": "/work", "HOSTNAME": "p"}).items()


def test_only_a_container_with_gpus_has_the_variable_of_the_nvidia_runtime() -> None:
    gpus = node_gpus(MODELS["h100-80gb-sxm"], 1, seed="s", node="n")
    assert "NVIDIA_VISIBLE_DEVICES" not in here().environment()
    assert here(gpus=gpus).environment()["NVIDIA_VISIBLE_DEVICES"] == "void"
