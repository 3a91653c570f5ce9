"""`gpulab check --watch`: a change of cluster or answers is graded at once, Ctrl-C ends it."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpulab.paths import ROOT
from tests.conftest import GPULAB, INTERRUPTIBLE, Lab, eventually, said

SECONDS = 20
FIRST = "01-deploy-gpu-pod"


@dataclass
class Watcher:
    """A running `gpulab check --watch` and what it has printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def scores(self) -> list[str]:
        return re.findall(r"Score ([\d.]+) of", "".join(self.lines))

    def shows(self, holds: Callable[[], bool]) -> None:
        eventually(holds, SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)


@contextmanager
def watching(lab: Lab, *arguments: str) -> Iterator[Watcher]:
    command = [*INTERRUPTIBLE, GPULAB, "check", *arguments, "--watch"]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env={**lab.env, "PYTHONUNBUFFERED": "1"}, **both) as process:
        watcher = Watcher(process)
        thread = threading.Thread(target=watcher.read, daemon=True)
        thread.start()
        try:
            yield watcher
        finally:
            process.kill()
            thread.join(SECONDS)


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(lab.name, lab.env | {"GPULAB_WORK": str(tmp_path / "work")})
    assert made.gpulab("start", "01").returncode == 0
    yield made
    assert made.gpulab("reset", "01").returncode == 0
    made.kubectl("delete", "namespace", "gpu-basics", "--timeout=60s", seconds=70)


@pytest.mark.live
def test_each_step_to_the_solution_is_graded_and_ctrl_c_ends_it(learner: Lab) -> None:
    solution = ROOT / "exercises" / FIRST / "solution"
    with watching(learner, "01") as watcher:
        watcher.shows(lambda: watcher.scores() == ["0"])
        learner.apply((solution / "pod.yaml").read_text(), "gpu-basics")
        watcher.shows(lambda: watcher.scores()[-1] == "7")
        answers = learner.work / "exercises" / FIRST / "answers.toml"
        answers.write_text("gpu_name =\n")
        watcher.shows(lambda: f"{answers} is not TOML" in "".join(watcher.lines))
        answers.write_bytes((solution / "answers.toml").read_bytes())
        watcher.shows(lambda: float(watcher.scores()[-1]) > 7)
        assert watcher.process.poll() is None
        assert watcher.stop() == 130
    assert watcher.lines[-1] == "Stopped.\n"
    assert "Traceback" not in "".join(watcher.lines)


@pytest.mark.live
def test_what_does_not_change_the_verdict_is_not_printed_again(learner: Lab) -> None:
    with watching(learner, "01") as watcher:
        watcher.shows(lambda: watcher.scores() == ["0"])
        for number in range(3):
            label = f"gpulab-test={number}"
            learner.kubectl("label", "namespace", "gpu-basics", label, "--overwrite")
        learner.kubectl("create", "configmap", "neighbour", "-n", "gpu-basics")
        answers = learner.work / "exercises" / FIRST / "answers.toml"
        answers.write_text("gpu_name =\n")  # what is printed after all that
        watcher.shows(lambda: "is not TOML" in "".join(watcher.lines))
        assert watcher.scores() == ["0"]


@pytest.mark.live
def test_a_lab_that_goes_ends_it_with_what_to_do(spare_lab: Lab) -> None:
    with watching(spare_lab, "01") as watcher:
        watcher.shows(lambda: watcher.scores() == ["0"])
        assert spare_lab.gpulab("down").returncode == 0
        assert watcher.process.wait(SECONDS) == 2
    what, do = watcher.lines[-2:]
    assert what.startswith("gpulab: cannot reach the cluster")
    assert "gpulab up" in do


@pytest.mark.parametrize("option", ["--json", "--replay"])
def test_one_report_and_no_end_of_reports_do_not_go_together(no_lab: Lab, option: str) -> None:
    what, do = said(no_lab.gpulab("check", "01", "--watch", option))
    assert what == f"{option} makes one report, --watch goes on"
    assert do == "leave one of the two out"


@pytest.mark.live
def test_an_exercise_with_trials_cannot_be_watched(lab: Lab) -> None:
    what, do = said(lab.gpulab("check", "03", "--watch"))
    assert "things are tried on the cluster" in what
    assert do == "leave --watch out: gpulab check 03"
