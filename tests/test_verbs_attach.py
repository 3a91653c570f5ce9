"""`kubectl attach`, `run -it` and `debug`: main processes that are watched or typed to."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.conftest import CUDA, Lab, eventually, pod
from tests.terminal import Terminal

pytestmark = pytest.mark.live
BUSYBOX_PROMPT = r"/ # $"


def kubectl(lab: Lab, namespace: str, *arguments: str) -> Terminal:
    return Terminal(*lab.kubectl_command, "-n", namespace, *arguments)


def test_attach_shows_what_is_printed_from_now_on(lab: Lab, namespace: str) -> None:
    lab.make(
        namespace, pod("p", "sh", "-c", "i=0; while true; do echo $i; i=$((i+1)); sleep 1; done")
    )
    lab.wait(namespace, "p", "phase=Running")
    time.sleep(2)
    command = [*lab.kubectl_command, "attach", "p", "-n", namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attached:
        assert attached.stdout is not None
        lines = [int(attached.stdout.readline()) for _ in range(2)]
        attached.terminate()
    assert lines[0] > 0
    assert lines[1] == lines[0] + 1


def test_attach_ends_with_the_process(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sh", "-c", "sleep 4; echo last"))
    lab.wait(namespace, "p", "phase=Running")
    done = lab.kubectl("attach", "p", "-n", namespace, seconds=30)
    assert done.stdout == "last\n"


def test_run_it_gives_a_shell_and_ends_the_pod_with_it(lab: Lab, namespace: str) -> None:
    command = ("run", "-it", "x", "--image=busybox:1.37", "--restart=Never", "--", "sh")
    with kubectl(lab, namespace, *command) as shell:
        shell.read(BUSYBOX_PROMPT)
        shell.enter("hostname", r"\r\nx\r\n/ # $")
        shell.enter("exit 3", "exit 3\r\n")
        shell.code()
    found = lab.wait(namespace, "x", "phase=Failed")
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_a_shell_without_input_is_over_at_once(lab: Lab, namespace: str) -> None:
    """The usual surprise of `kubectl run x --image=busybox`."""
    made = pod("p")
    del made["spec"]["containers"][0]["command"]
    lab.make(namespace, made)
    lab.wait(namespace, "p", "phase=Succeeded")


def test_debug_adds_a_container_that_can_be_typed_to(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "600"))
    lab.wait(namespace, "p", "phase=Running")
    with kubectl(lab, namespace, "debug", "-it", "p", "--image=busybox:1.37") as shell:
        shell.read(BUSYBOX_PROMPT)
        shell.enter("echo $((6 * 7))", r"\r\n42\r\n/ # $")
        shell.enter("exit", "Session ended")
        assert shell.code() == 0
    (status,) = eventually(lambda: _ended(lab, namespace))
    assert status["state"]["terminated"]["exitCode"] == 0
    assert lab.get("pod", "p", "-n", namespace)["status"]["phase"] == "Running"


def _ended(lab: Lab, namespace: str) -> list[dict[str, dict[str, dict[str, int]]]]:
    statuses = lab.get("pod", "p", "-n", namespace)["status"].get("ephemeralContainerStatuses", [])
    return [one for one in statuses if "terminated" in one["state"]]


def test_debug_runs_a_command_whose_log_can_be_read(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "600"))
    lab.wait(namespace, "p", "phase=Running")
    line = ("debug", "p", "-n", namespace, "--image=busybox:1.37", "-c", "look")
    assert lab.kubectl(*line, "--", "sh", "-c", "echo seen; exit 2").returncode == 0
    (status,) = eventually(lambda: _ended(lab, namespace))
    assert status["state"]["terminated"]["exitCode"] == 2
    assert lab.kubectl("logs", "p", "-n", namespace, "-c", "look").stdout == "seen\n"


def test_debug_of_a_node_is_a_pod_on_it_with_the_nodes_name(lab: Lab, namespace: str) -> None:
    with kubectl(lab, namespace, "debug", "node/h100-1", "-it", "--image=busybox:1.37") as shell:
        shell.read(BUSYBOX_PROMPT)
        shell.enter("hostname", r"\r\nh100-1\r\n/ # $")
        shell.enter("exit", "Session ended")


def test_debug_of_a_copy_has_a_shell_beside_a_stopped_program(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "600", image=CUDA, gpus=1))
    lab.wait(namespace, "p", "phase=Running")
    command = ("debug", "p", "-it", "--copy-to=copy", "--container=main", "--", "sh")
    with kubectl(lab, namespace, *command) as shell:
        shell.read(r"# $")
        shell.enter("nvidia-smi -L", r"GPU 0: .*\r\n# $")
