"""A Pod's life on a simulated node, as `kubectl` shows it; texts are compared in test_kind_goldens.

What has an outside origin (phases, conditions, events of a real kubelet) is recorded there; here
stands what only this lab has: GPUs, images by catalogue, unmodelled programs.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from typing import Any

import pytest

from tests.conftest import CUDA, IMAGE, Lab, Object, devices, eventually, pod, state

pytestmark = pytest.mark.live
MISSING = "nvidia/cuda:12.1-devel-ubuntu22.04"


def reasons(lab: Lab, namespace: str, name: str) -> list[str]:
    return [event["reason"] for event in lab.events(namespace, name)]


def names(namespace: str, lab: Lab) -> set[str]:
    return {each["metadata"]["name"] for each in lab.get("pods", "-n", namespace)["items"]}


def test_a_pod_tells_its_life_in_the_kubelets_order_and_words(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "nvidia-smi", image=CUDA, gpus=1))
    lab.wait(namespace, "p", "phase=Succeeded")
    found = [(event["reason"], event["message"]) for event in lab.events(namespace, "p")]
    assert found[0][1].startswith(f"Successfully assigned {namespace}/p to ")
    assert [reason for reason, _ in found if reason != "Pulling"] == [
        "Scheduled",
        "Pulled",
        "Created",
        "Started",
    ]
    assert [message for _, message in found[-2:]] == ["Container created", "Container started"]


@pytest.mark.parametrize(
    ("command", "phase", "code", "reason"),
    [("true", "Succeeded", 0, "Completed"), ("false", "Failed", 1, "Error")],
)
def test_the_exit_code_decides_how_a_pod_ends(
    lab: Lab, namespace: str, command: str, phase: str, code: int, reason: str
) -> None:
    lab.make(namespace, pod("p", command))
    ended = state(lab.wait(namespace, "p", f"phase={phase}"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, reason)
    assert ended["startedAt"] <= ended["finishedAt"]


def test_one_failed_container_fails_the_pod_once_all_have_ended(lab: Lab, namespace: str) -> None:
    made = pod("p", "sh", "-c", "sleep 1; exit 3")
    made["spec"]["containers"].append({"name": "other", "image": IMAGE, "command": ["true"]})
    lab.make(namespace, made)
    found = lab.wait(namespace, "p", "phase=Failed")
    codes = [state(found, n)["state"]["terminated"]["exitCode"] for n in (0, 1)]
    assert sorted(codes) == [0, 3]


def test_a_crashing_container_restarts_with_a_growing_back_off(lab: Lab, namespace: str) -> None:
    made = pod("p", "sh", "-c", "exit 7", restartPolicy="Always")
    lab.make(namespace, made)
    path = "containerStatuses[0].state.waiting.message"
    waits = []
    for delay in ("10s", "20s"):
        text = f"back-off {delay} restarting failed container=main"
        eventually(lambda text=text: text in lab.kubectl(*message_of(namespace, path)).stdout, 30)
        waits.append(state(lab.get("pod", "p", "-n", namespace)))
    assert [each["restartCount"] for each in waits] == [1, 2]
    assert {each["state"]["waiting"]["reason"] for each in waits} == {"CrashLoopBackOff"}
    assert {each["lastState"]["terminated"]["exitCode"] for each in waits} == {7}
    found = lab.get("pod", "p", "-n", namespace)
    assert found["status"]["phase"] == "Running"
    assert waited_at_least(waits, 10)


def message_of(namespace: str, path: str) -> tuple[str, ...]:
    return ("get", "pod", "p", "-n", namespace, "-o", f"jsonpath={{.status.{path}}}")


def waited_at_least(waits: list[Object], seconds: int) -> bool:
    """Whether the runs before the two waits lie as far apart as the first wait lasted."""
    ends = [
        dt.datetime.fromisoformat(each["lastState"]["terminated"]["finishedAt"]) for each in waits
    ]
    return (ends[1] - ends[0]).total_seconds() >= seconds - 1  # whole seconds


def test_a_container_that_cannot_start_backs_off_too(lab: Lab, namespace: str) -> None:
    """`nvidia-smi` is not there without a GPU: a mistake that learners make."""
    lab.make(namespace, pod("p", "nvidia-smi", image=CUDA, restartPolicy="Always"))
    found = lab.wait(namespace, "p", "containerStatuses[0].state.waiting.reason=CrashLoopBackOff")
    ended = state(found)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert 'exec: "nvidia-smi": executable file not found in $PATH' in ended["message"]
    assert state(found)["restartCount"] <= 2


def test_a_tag_that_does_not_exist_is_not_pulled_and_a_corrected_one_is(
    lab: Lab, namespace: str
) -> None:
    lab.make(namespace, pod("p", "nvidia-smi", image=MISSING, gpus=1))
    path = "containerStatuses[0].state.waiting.reason"
    found = lab.wait(namespace, "p", f"{path}=ImagePullBackOff")
    assert f'Back-off pulling image "{MISSING}"' in state(found)["state"]["waiting"]["message"]
    messages = [event["message"] for event in lab.events(namespace, "p")]
    assert "Error: ErrImagePull" in messages
    assert f"failed to resolve image: docker.io/{MISSING}: not found" in " ".join(messages)
    assert (found["status"]["phase"], len(devices(found))) == ("Pending", 1)
    image = ("set", "image", "pod/p", f"main={CUDA}", "-n", namespace)
    assert lab.kubectl(*image).returncode == 0
    done = lab.wait(namespace, "p", "phase=Succeeded")
    assert (devices(done), state(done)["restartCount"]) == (devices(found), 0)
    assert done["metadata"]["uid"] == found["metadata"]["uid"]


def test_an_image_that_must_not_be_pulled_is_not(lab: Lab, namespace: str) -> None:
    made = pod("p", "true", image="example.com/absent:1")
    made["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    lab.make(namespace, made)
    path = "containerStatuses[0].state.waiting.reason"
    lab.wait(namespace, "p", f"{path}=ErrImageNeverPull")
    assert "Pulling" not in reasons(lab, namespace, "p")


def test_an_image_of_which_nothing_is_known_says_so_once(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "true", image=f"example.com/{namespace}:1"))
    lab.wait(namespace, "p", "phase=Succeeded")
    found = reasons(lab, namespace, "p")
    assert found.count("ImageNotVerified") == 1
    assert found.index("ImageNotVerified") > found.index("Pulled")


@pytest.mark.parametrize(
    ("command", "image"), [(("python", "tune.py"), IMAGE), ((), "example.com/trainer:1")]
)
def test_an_unmodelled_program_runs_and_that_is_said_exactly_once(
    lab: Lab, namespace: str, command: tuple[str, ...], image: str
) -> None:
    lab.make(namespace, pod("p", *command, image=image, restartPolicy="Always"))
    lab.wait(namespace, "p", "phase=Running")
    event = eventually(lambda: not_simulated(lab, namespace))
    assert (" ".join(command) or "the image's own command") in event[0]["message"]
    assert (len(event), event[0]["count"]) == (1, 1)
    assert lab.kubectl("logs", "p", "-n", namespace).stdout == ""


def not_simulated(lab: Lab, namespace: str, name: str = "p") -> list[Object]:
    return [each for each in lab.events(namespace, name) if each["reason"] == "NotSimulated"]


def test_a_modelled_program_is_not_called_unmodelled(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sh", "-c", "echo a && sleep 1"))
    lab.wait(namespace, "p", "phase=Succeeded")
    assert not_simulated(lab, namespace) == []


def test_an_unmodelled_program_under_a_job_completes(lab: Lab, namespace: str) -> None:
    template = {"spec": pod("x", "python", "tune.py")["spec"]}
    lab.make(
        namespace,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {"template": template},
        },
    )
    wait = ("wait", "job/j", "-n", namespace, "--for=condition=Complete", "--timeout=40s")
    assert lab.kubectl(*wait, seconds=60).returncode == 0
    (name,) = names(namespace, lab)
    assert len(not_simulated(lab, namespace, name)) == 1


def test_every_container_gets_gpus_of_its_own(lab: Lab, namespace: str) -> None:
    made = pod("p", "sleep", "600", gpus=2)
    other = {**made["spec"]["containers"][0], "name": "other"}
    lab.make(
        namespace,
        {**made, "spec": {**made["spec"], "containers": [*made["spec"]["containers"], other]}},
    )
    found = lab.wait(namespace, "p", "phase=Running")
    given = [state(found, n)["allocatedResourcesStatus"][0] for n in (0, 1)]
    assert [len(each["resources"]) for each in given] == [2, 2]
    assert {each["name"] for each in given} == {"nvidia.com/gpu"}
    assert len(set(devices(found))) == 4


def test_pods_on_one_node_never_share_a_gpu_and_get_free_ones_again(
    lab: Lab, namespace: str
) -> None:
    """Four GPUs, two generations of Pods: the second gets what the first gave back."""
    for generation in ("a", "b"):
        made = [pod(f"{generation}{n}", "sleep", "1.5", gpus=1, **on("l40s-1")) for n in range(4)]
        lab.make(namespace, *made)
        running = [lab.wait(namespace, each["metadata"]["name"], "podIP") for each in made]
        given = [uuid for each in running for uuid in devices(each)]
        assert len(set(given)) == 4
        for each in made:
            lab.wait(namespace, each["metadata"]["name"], "phase=Succeeded")


def on(node: str) -> dict[str, Any]:
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def test_the_scheduler_says_why_a_ninth_gpu_is_not_to_be_had(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "9", gpus=9))
    eventually(lambda: "FailedScheduling" in reasons(lab, namespace, "p"))
    (event,) = lab.events(namespace, "p")
    assert "Insufficient nvidia.com/gpu" in event["message"]
    assert lab.get("pod", "p", "-n", namespace)["status"]["phase"] == "Pending"


def test_a_pod_forced_onto_a_node_without_enough_gpus_is_refused_by_its_kubelet(
    lab: Lab, namespace: str
) -> None:
    lab.make(namespace, pod("p", "sleep", "9", gpus=9, nodeName="h100-1"))
    status = lab.wait(namespace, "p", "phase=Failed")["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    assert "Requested: 9, Available: 8" in status["message"]
    assert status.get("podIP") is None
    (event,) = lab.events(namespace, "p")
    assert (event["type"], event["reason"]) == ("Warning", "UnexpectedAdmissionError")


def test_pods_have_addresses_of_their_own(lab: Lab, namespace: str) -> None:
    made = [pod(f"p{n}", "sleep", "60", **on("cpu-1")) for n in range(10)]
    lab.make(namespace, *made)
    found = [lab.wait(namespace, each["metadata"]["name"], "podIP") for each in made]
    addresses = {each["status"]["podIP"] for each in found}
    assert len(addresses) == 10
    network = lab.get("node", "cpu-1")["spec"]["podCIDR"].removesuffix(".0/24")
    assert all(address.startswith(f"{network}.") for address in addresses)


def test_a_pod_on_the_hosts_network_has_the_nodes_address(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "sleep", "60", hostNetwork=True))
    status = lab.wait(namespace, "p", "podIP")["status"]
    assert status["podIP"] == status["hostIP"]


def test_a_deleted_pod_that_ignores_sigterm_stays_for_its_grace_and_is_then_killed(
    lab: Lab, namespace: str
) -> None:
    lab.make(namespace, pod("p", "sleep", "600", terminationGracePeriodSeconds=3))
    lab.wait(namespace, "p", "phase=Running")
    watch = ["get", "pod", "p", "-n", namespace, "--watch", "-o", "json", "--output-watch-events"]
    with subprocess.Popen(
        [*lab.kubectl_command, *watch], stdout=subprocess.PIPE, text=True
    ) as watching:
        delete = ("delete", "pod", "p", "-n", namespace)
        assert lab.kubectl(*delete).returncode == 0
        watching.terminate()
        text, _ = watching.communicate(timeout=10)
    last = versions(text)[-1]
    ended = state(last)["state"]["terminated"]
    deleted = last["metadata"]["deletionTimestamp"]  # when its grace is over
    assert ended["exitCode"] == 137
    assert ended["finishedAt"] >= minus_a_second(deleted)
    assert "Killing" in reasons(lab, namespace, "p")


def versions(text: str) -> list[Object]:
    """All objects of a watch in the order in which they came."""
    found, decoder, rest = [], json.JSONDecoder(), text.strip()
    while rest:
        event, end = decoder.raw_decode(rest)
        found.append(event["object"])
        rest = rest[end:].strip()
    return found


def minus_a_second(text: str) -> str:
    moment = dt.datetime.fromisoformat(text) - dt.timedelta(seconds=1)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_forced_deletion_gives_the_gpus_back_at_once(lab: Lab, namespace: str) -> None:
    whole = {"gpus": 4, **on("l40s-1"), "terminationGracePeriodSeconds": 300}
    lab.make(namespace, pod("a", "sleep", "600", **whole))
    before = devices(lab.wait(namespace, "a", "phase=Running"))
    force = ("delete", "pod", "a", "-n", namespace, "--force", "--grace-period=0")
    assert lab.kubectl(*force).returncode == 0
    lab.make(namespace, pod("b", "sleep", "600", **whole))
    assert sorted(devices(lab.wait(namespace, "b", "phase=Running"))) == sorted(before)


def test_nothing_of_the_simulation_shows_on_a_learners_pod(lab: Lab, namespace: str) -> None:
    lab.make(namespace, pod("p", "nvidia-smi", image=CUDA, gpus=1))
    lab.wait(namespace, "p", "phase=Succeeded")
    found = lab.get("pod", "p", "-n", namespace, "--show-managed-fields")
    assert "finalizers" not in found["metadata"]
    assert "annotations" not in found["metadata"]
    assert "labels" not in found["metadata"]
    writers = {each["manager"] for each in found["metadata"]["managedFields"]}
    assert writers <= {"kubectl-create", "kubelet", "kube-scheduler"}


def test_a_daemonset_has_a_pod_on_every_gpu_node(lab: Lab, namespace: str) -> None:
    labels = {"app": "d"}
    template = {
        "metadata": {"labels": labels},
        "spec": pod("x", "sleep", "600", nodeSelector={"nvidia.com/gpu.present": "true"})["spec"],
    }
    template["spec"]["restartPolicy"] = "Always"
    spec = {"selector": {"matchLabels": labels}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": spec}
    lab.make(namespace, made)
    eventually(lambda: lab.get("daemonset", "d", "-n", namespace)["status"]["numberReady"] == 4)
    nodes = {each["spec"]["nodeName"] for each in lab.get("pods", "-n", namespace)["items"]}
    assert nodes == {"h100-1", "h100-2", "a100-1", "l40s-1"}
