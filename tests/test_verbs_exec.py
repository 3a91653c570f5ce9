"""`kubectl exec` with input, and `-it … -- bash`: a shell as a learner uses one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import CUDA, Done, Lab, make_namespace, pod
from tests.terminal import Terminal

pytestmark = pytest.mark.live
PROMPT = r"root@gpu:\S+# $"
WRITER = "echo begun > /tmp/state; while true; do date >> /tmp/log; sleep 1; done"


@pytest.fixture(scope="module")
def where(lab: Lab) -> Iterator[str]:
    made = make_namespace(lab)
    namespace = next(made)
    volumes = [{"name": "work", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "conf"}}]
    mounts = [{"name": "work", "mountPath": "/srv"}, {"name": "conf", "mountPath": "/conf"}]
    init = pod("x", "sh", "-c", "echo model > /srv/m")["spec"]["containers"][0]
    reader = pod("reader", "sh", "-c", "cat /srv/m /conf/key; echo $KEY; sleep 600")
    reader["spec"] |= {
        "volumes": volumes,
        "initContainers": [init | {"name": "init", "volumeMounts": mounts}],
    }
    reference = {"configMapKeyRef": {"name": "conf", "key": "key"}}
    reader["spec"]["containers"][0] |= {
        "volumeMounts": mounts,
        "env": [{"name": "KEY", "valueFrom": reference}],
    }
    lab.make(
        namespace,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "conf"},
            "data": {"key": "v\n"},
        },
        pod("gpu", "sleep", "600", image=CUDA, gpus=1),
        pod("writer", "sh", "-c", WRITER),
        reader,
    )
    for name in ("gpu", "writer", "reader"):
        lab.wait(namespace, name, "phase=Running")
    yield namespace
    next(made, None)


def execute(lab: Lab, where: str, name: str, *command: str, given: str | None = None) -> Done:
    options = ("-i",) if given is not None else ()
    return lab.kubectl(
        "exec", "-n", where, *options, name, "-c", "main", "--", *command, given=given
    )


def interactive(lab: Lab, where: str, name: str, *command: str) -> Terminal:
    return Terminal(*lab.kubectl_command, "exec", "-it", "-n", where, name, "--", *command)


def test_a_learner_works_in_a_shell(lab: Lab, where: str) -> None:
    with interactive(lab, where, "gpu", "bash") as shell:
        shell.read(PROMPT)
        assert "GPU 0: " in shell.enter("nvidia-smi -L", PROMPT)
        assert "root@gpu:/tmp# " in shell.enter("cd /tmp", PROMPT)
        assert "\r\n1\r\n2\r\n" in shell.enter("for i in 1 2; do echo $i; done", PROMPT)
        assert "\r\nkept\r\n" in shell.enter("A=kept; echo $A > f; cat f", PROMPT)
        assert "nope: command not found" in shell.enter("nope", PROMPT)
        shell.enter("exit 7", "exit\r\n")
        assert shell.code() == 7
    assert execute(lab, where, "gpu", "cat", "/tmp/f").stdout == "kept\n"


def test_keys_do_what_they_do_in_a_terminal(lab: Lab, where: str) -> None:
    with interactive(lab, where, "gpu", "bash") as shell:
        shell.read(PROMPT)
        shell.press(b"sleep 600\r")
        shell.read("sleep 600\r\n")
        shell.press(b"\x03")
        shell.read(r"\^C\r\n" + PROMPT)
        shell.press(b"echo wrong\x15echo ab\x7fc\r")
        assert "\r\nac\r\n" in shell.read(r"ac\r\n" + PROMPT)
        shell.press(b"cat\rline\r\x04")
        shell.read(r"line\r\nline\r\n" + PROMPT)
        shell.press(b"\x04")
        assert shell.code() == 0


def test_the_terminals_size_arrives_and_follows(lab: Lab, where: str) -> None:
    with interactive(lab, where, "gpu", "bash") as shell:
        shell.read(PROMPT)
        shell.enter("stty size", r"40 132\r\n" + PROMPT)
        shell.resize(30, 100)
        shell.process.send_signal(28)  # SIGWINCH
        shell.enter("sleep 1; stty size", r"30 100\r\n" + PROMPT)


def test_a_command_that_needs_more_lines_asks_for_them(lab: Lab, where: str) -> None:
    with interactive(lab, where, "gpu", "bash") as shell:
        shell.read(PROMPT)
        shell.enter("for i in 1 2", "> $")
        shell.enter("do echo [$i]; done", r"\[1\]\r\n\[2\]\r\n" + PROMPT)


def test_commands_may_come_from_a_pipe(lab: Lab, where: str) -> None:
    done = execute(lab, where, "writer", "sh", given="echo hi\nnope\nexit 4\n")
    assert (done.stdout, done.returncode) == ("hi\n", 4)
    assert "sh: nope: not found" in done.stderr


def test_input_passes_unchanged_and_ends(lab: Lab, where: str) -> None:
    data = bytes(range(256)) * 4000
    command = ["exec", "-i", "-n", where, "writer", "--", "cat"]
    done = subprocess.run(
        [*lab.kubectl_command, *command], input=data, capture_output=True, timeout=60, check=True
    )
    assert done.stdout == data


def test_a_shell_that_the_image_lacks_is_refused_as_a_real_runtime_does(
    lab: Lab, where: str
) -> None:
    done = execute(lab, where, "writer", "bash")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: Internal error occurred: Internal error occurred: error executing command in "
        "container: failed to exec in container: failed to start exec"
    )
    assert 'exec: "bash": executable file not found in $PATH' in done.stderr


def test_exec_sees_what_the_main_process_has_written(lab: Lab, where: str) -> None:
    assert execute(lab, where, "writer", "cat", "/tmp/state").stdout == "begun\n"
    twice = "wc -l < /tmp/log; sleep 2; wc -l < /tmp/log"
    first, later = map(int, execute(lab, where, "writer", "sh", "-c", twice).stdout.split())
    assert later == first  # one command sees one moment
    assert int(execute(lab, where, "writer", "sh", "-c", "wc -l < /tmp/log").stdout) > first
    assert execute(lab, where, "writer", "test", "-f", "/tmp/none").returncode == 1


def test_volumes_show_what_was_put_there(lab: Lab, where: str) -> None:
    assert execute(lab, where, "reader", "cat", "/srv/m", "/conf/key").stdout == "model\nv\n"
    assert lab.kubectl("logs", "-n", where, "reader", "-c", "main").stdout == "model\nv\nv\n"


def test_standard_error_stays_apart(lab: Lab, where: str) -> None:
    done = execute(lab, where, "writer", "sh", "-c", "echo out; echo err >&2; ls /none")
    assert (done.stdout, done.returncode) == ("out\n", 1)
    assert done.stderr.startswith("err\nls: /none: No such file or directory\n")
