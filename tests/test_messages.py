"""Texts of a node: durations as Go writes them, back-offs as the kubelet counts them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.sim import messages
from gpulab.sim.image_messages import reference
from gpulab.sim.messages import CRASH_LOOP_BACKOFF, go_duration

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.001, "1ms"),
        (0.85, "850ms"),
        (1, "1s"),
        (2.5, "2.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (80, "1m20s"),
        (300, "5m0s"),
        (3600, "1h0m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_a_duration_reads_as_go_prints_it(seconds: float, text: str) -> None:
    """The right column is what Go 1.26 prints for time.Duration."""
    assert go_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_a_duration_can_be_read_back(millis: int) -> None:
    text = go_duration(millis / 1000)
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", text)
    assert "".join(number + unit for number, unit in parts) == text
    assert sum(round(float(number) * UNITS[unit]) for number, unit in parts) == millis


def test_the_back_off_doubles_from_10_seconds_to_5_minutes() -> None:
    delays = [CRASH_LOOP_BACKOFF.delay(failures) for failures in range(1, 9)]
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", "docker.io/nvidia/cuda:12.4.1-base-ubuntu22.04"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10.1"),
        ("a@sha256:0", "docker.io/library/a@sha256:0"),
    ],
)
def test_an_image_is_spelt_out_in_full(image: str, wanted: str) -> None:
    assert reference(image) == wanted


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("train", 'exec: "train": executable file not found in $PATH'),
        ("/opt/train", 'exec: "/opt/train": stat /opt/train: no such file or directory'),
    ],
)
def test_a_missing_command_is_told_in_runcs_words(command: str, end: str) -> None:
    assert messages.start_failed(command).endswith(end)
    assert messages.exec_failed("id", command).endswith(end)


def test_a_refusal_for_devices_says_how_many_were_asked_and_are_free() -> None:
    event = messages.devices_unavailable("nvidia.com/gpu", 9, 8)
    assert (event.reason, event.type) == ("UnexpectedAdmissionError", "Warning")
    assert "Requested: 9, Available: 8" in event.message
    assert messages.rejected(event.message).startswith("Pod was rejected: Allocate failed due to")
