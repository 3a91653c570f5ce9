"""Fixtures: real labs on a real control plane, each in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograders.errors import InputError
from gpulab import binaries
from gpulab.paths import ROOT
from gpulab.providers import docker
from gpulab.versions import versions

Done = subprocess.CompletedProcess[str]
Object = dict[str, Any]
GPULAB = str(Path(sys.executable).with_name("gpulab"))
# A shell that starts jobs in the background makes them ignore SIGINT; a terminal does not.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])",
]
MAIN = "import sys; from gpulab.cli import main; sys.exit(main())"
IMAGE = "busybox:1.37"
SHARED: list[Lab] = []  # the lab that most tests share, while there is one
CUDA = "nvidia/cuda:12.4.1-base-ubuntu22.04"


@dataclass(frozen=True)
class Lab:
    """A lab with GPULAB_HOME and GPULAB_WORK of its own."""

    name: str
    env: dict[str, str]

    def gpulab(self, *arguments: str, seconds: float = 120, **more: Any) -> Done:
        """Run `gpulab`; the caller looks at the exit code."""
        return run([GPULAB, *arguments], self.env, seconds, **more)

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = 60) -> Done:
        """Run `kubectl` against this lab."""
        return run([*self.kubectl_command, *arguments], self.env, seconds, input=given)

    @property
    def kubectl_command(self) -> list[str]:
        """For tests that talk to a running `kubectl`."""
        return [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(self.kubeconfig)]

    def begin(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start `gpulab` as a terminal does, so that SIGINT means Ctrl-C; the caller ends it."""
        return subprocess.Popen(
            [*INTERRUPTIBLE, GPULAB, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def make(self, namespace: str, *objects: Object) -> None:
        """Create objects in a namespace."""
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        done = self.kubectl("create", "-n", namespace, "-f", "-", given=given)
        assert done.returncode == 0, done.stderr

    def wait(self, namespace: str, name: str, holds: str, seconds: float = 30) -> Object:
        """Wait until a Pod is as `holds` says, as in `phase=Running`; return the Pod."""
        path, _, value = holds.partition("=")
        condition = f"--for=jsonpath={{.status.{path}}}" + (f"={value}" if value else "")
        limit = f"--timeout={seconds}s"
        done = self.kubectl("wait", "-n", namespace, f"pod/{name}", condition, limit, seconds=99)
        found = self.get("pod", "-n", namespace, name)
        assert done.returncode == 0, f"{done.stderr}\n{json.dumps(found['status'], indent=1)}"
        return found

    def events(self, namespace: str, name: str) -> list[Object]:
        """The Events about a Pod in the order in which they were first written."""
        field = f"--field-selector=involvedObject.kind=Pod,involvedObject.name={name}"
        items = self.get("events", "-n", namespace, field)["items"]
        return sorted(items, key=lambda item: int(item["metadata"]["name"].rpartition(".")[2], 16))

    def status(self) -> Object:
        """`gpulab status --json`; it is ready if and only if the exit code is 0."""
        done = self.gpulab("status", "--json")
        found: Object = json.loads(done.stdout)
        assert done.returncode == (0 if found["ready"] else 1), done.stderr
        return found

    def processes(self) -> list[psutil.Process]:
        """Every process of this machine that names a folder of this lab, kernels included."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(self.root) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def apply(self, manifest: str, namespace: str = "default") -> None:
        done = self.kubectl("apply", "-n", namespace, "-f", "-", given=manifest)
        assert done.returncode == 0, done.stderr

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`."""
        done = self.kubectl("get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    @property
    def root(self) -> Path:
        return Path(self.env["GPULAB_HOME"]) / "labs" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def work(self) -> Path:
        return Path(self.env["GPULAB_WORK"])


def run(command: list[str], env: dict[str, str], seconds: float, **more: Any) -> Done:
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=seconds, check=False, **more
    )


def eventually(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first true value of `holds()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {holds}"
        time.sleep(0.1)
    return value


def waits_for_lock(pid: int) -> bool:
    """Whether a `gpulab` holds its lab's lock, or waits for it."""
    return any(file.path.endswith("lock") for file in psutil.Process(pid).open_files())


def pod(name: str, *command: str, image: str = IMAGE, gpus: int = 0, **spec: Any) -> Object:
    """A Pod with one container; it does not start again and needs no time to be deleted."""
    container: Object = {"name": "main", "image": image, "command": list(command)}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
    usual = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {**usual, "containers": [container], **spec},
    }


def state(found: Object, container: int = 0) -> Object:
    """The entry of a container in its Pod's status."""
    entry: Object = found["status"]["containerStatuses"][container]
    return entry


def devices(found: Object) -> list[str]:
    """UUIDs of all GPUs that a Pod was given, container by container."""
    return [
        resource["resourceID"]
        for entry in found["status"].get("containerStatuses", [])
        for resources in entry.get("allocatedResourcesStatus", [])
        for resource in resources["resources"]
    ]


def said(done: Done) -> tuple[str, str]:
    """Assert that bad input was refused as promised; return what is wrong and what to do."""
    assert done.returncode == 2, f"exit code {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("gpulab: ")
    assert all(line.strip() for line in lines)
    return lines[0].removeprefix("gpulab: "), lines[1]


def environment(folder: Path, name: str) -> dict[str, str]:
    """The environment of a learner whose folders are under `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GPULAB_", "KUBE"))}
    kept |= {k: os.environ[k] for k in ("GPULAB_CACHE", "GPULAB_NODE_IMAGE") if k in os.environ}
    return kept | {
        "GPULAB_HOME": str(folder / "home"),
        "GPULAB_WORK": str(folder / "work"),
        "GPULAB_NAME": name,
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab that most tests share: they use namespaces of their own and leave no Pod behind."""
    for made in make_lab(tmp_path_factory.mktemp("lab"), "shared"):
        SHARED.append(made)
        yield made
        SHARED.clear()


@pytest.fixture(scope="module", autouse=True)
def no_gpu_is_left_behind() -> Iterator[None]:
    """A file of tests that shares a lab gives back what it took there: the next one needs it."""
    yield
    for each in SHARED:
        remove_exercises(each)
        with contextlib.suppress(AssertionError):
            eventually(lambda each=each: holders(each) == [], 15)
        assert holders(each) == []


def remove_exercises(lab: Lab) -> None:
    """Delete what exercises' namespaces hold; these stay, and count as not started."""
    for given in (lab.root / "given").glob("*.json"):
        given.unlink()
    chosen = ("-l", "gpulab.dev/exercise", "-o", "jsonpath={.items[*].metadata.name}")
    for name in lab.kubectl("get", "namespaces", *chosen).stdout.split():
        kinds = "deployments,jobs,pods"
        lab.kubectl("delete", kinds, "--all", "-n", name, "--force", "--grace-period=0")


def holders(lab: Lab) -> list[str]:
    """Pods that hold GPUs in namespaces that are there to stay."""
    stay = {
        item["metadata"]["name"]
        for item in lab.get("namespaces")["items"]
        if item["status"]["phase"] == "Active"
    }
    return [
        f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in lab.get("pods", "--all-namespaces")["items"]
        if item["metadata"]["namespace"] in stay
        and item["status"]["phase"] not in ("Succeeded", "Failed")
        and any("nvidia.com/gpu" in str(c.get("resources")) for c in item["spec"]["containers"])
    ]


@pytest.fixture(scope="session")
def kind_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on a real kind cluster, where Docker and a node image are."""
    need_kind()
    yield from make_lab(tmp_path_factory.mktemp("kind"), "kt", "--provider", "kind")


def need_kind() -> None:
    """Skip where a kind cluster cannot be had without a download; in CI it must be had."""
    if os.environ.get("GPULAB_KIND") == "required":
        return
    image = os.environ.get("GPULAB_NODE_IMAGE") or versions().kind.node_image
    try:
        docker.info()
        if docker.has_image(image):
            return
        pytest.skip(f"Docker has no {image}")
    except InputError as error:
        pytest.skip(error.what)


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab that a test may stop, break and delete."""
    yield from make_lab(tmp_path, "own")


@pytest.fixture(scope="session")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Makes the lab of `spare_lab` once."""
    yield from make_lab(tmp_path_factory.mktemp("spare"), "spare")


@pytest.fixture
def spare_lab(spare: Lab) -> Lab:
    """A lab that tests may stop and hurt, as long as `gpulab up` mends it; they share its state."""
    up = spare.gpulab("up")
    assert up.returncode == 0, up.stderr
    return spare


@pytest.fixture
def no_lab(tmp_path: Path) -> Iterator[Lab]:
    """The surroundings of a learner who has started nothing; what a test leaves running ends."""
    made = Lab("lab", environment(tmp_path, "lab"))
    yield made
    for process in made.processes():
        process.kill()


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    """A fresh namespace; what was in it is deleted, itself it goes in the background."""
    yield from make_namespace(lab)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what a clone of this project has, for tests that change it."""
    folder = tmp_path / "clone"
    for name in ("autograders", "cluster-setup", "course", "exercises"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def run_clone(
    folder: Path, lab: Lab, *arguments: str, command: str = MAIN, seconds: float = 60
) -> Done:
    """Run the `gpulab` of a clone, or another command of Python with its code."""
    env = lab.env | {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'cluster-setup'}"}
    return run([sys.executable, "-P", "-c", command, *arguments], env, seconds)


def make_namespace(lab: Lab) -> Iterator[str]:
    number = time.monotonic_ns() % 10**9
    name = f"t-{number}"
    assert lab.kubectl("create", "namespace", name).returncode == 0
    # without its service account, which a controller makes, a Pod is refused
    account = ("get", "serviceaccount", "default", "-n", name)
    eventually(lambda: lab.kubectl(*account).returncode == 0)
    yield name
    lab.kubectl(
        "delete", "pods", "--all", "-n", name, "--grace-period=0", "--force", "--wait=false"
    )
    lab.kubectl("delete", "namespace", name, "--wait=false")


def make_lab(folder: Path, name: str, *arguments: str) -> Iterator[Lab]:
    made = Lab(name, environment(folder, name))
    try:
        up = made.gpulab("up", *arguments, seconds=300)
        assert up.returncode == 0, up.stderr
        yield made
    finally:
        down = made.gpulab("down", "--delete")
    assert down.returncode == 0, down.stderr
    assert not made.root.exists()
