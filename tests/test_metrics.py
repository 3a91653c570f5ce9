"""The GPUs' metrics: what they say, who may ask, and a real Prometheus that does."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from autograders.widgets import gpu_use
from autograders.widgets.gpu_use import Device
from gpulab import metrics
from gpulab.exporter import series
from gpulab.exporter.series import Seen
from gpulab.lab import read_record
from gpulab.paths import DATA, LabPaths
from gpulab.ports import free_ports
from gpulab.sim.gpus import load_models, node_gpus
from gpulab.sim.smi import IDLE, Load, measure
from tests import faulty
from tests.conftest import Lab, eventually, make_lab, pod, said

ABOUT = (
    "cluster-setup/gpulab/metrics",
    "cluster-setup/gpulab/exporter",
    "cluster-setup/gpulab/sim/loads.py",
    "cluster-setup/gpulab/sim/smi/",
)
pytestmark = pytest.mark.sample(*ABOUT)

MODELS = load_models(DATA / "gpus")
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
NODE = faulty.NODE
IMAGE = "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"
UTIL, USED = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"
ODD = 'an "odd" \\ name'


def some_seen() -> list[Seen]:
    first, second = node_gpus(MODELS["h100-80gb-sxm"], 2, seed="s", node="n")
    busy, idle = measure(first, Load(90, 40_000), NOW), measure(second, IDLE, NOW)
    return [
        Seen("n", first, "595.91.07", busy, 48, ("default", ODD, "main")),
        Seen("n", second, "595.91.07", idle),
        Seen("n", second, "595.91.07", None, 79),
    ]


def by_library(found: list[Seen]) -> bytes:
    """The same samples, all of it written by prometheus_client."""

    class Whole(CollectorRegistry):
        def collect(self) -> Iterator[Metric]:
            for suffix, text, value in series.READ:
                yield family(f"DCGM_FI_DEV_{suffix}", text, value)
            own = GaugeMetricFamily(series.XID, "Value of the last XID error encountered.")
            own.samples = [Sample(series.XID, labels(each), each.xid) for each in found]
            yield own

    def family(name: str, text: str, value: Any) -> GaugeMetricFamily:
        made = GaugeMetricFamily(name, text)
        read = [each for each in found if each.reading]
        made.samples = [Sample(name, labels(each), value(each.reading)) for each in read]
        return made

    return generate_latest(Whole(auto_describe=False))


def labels(each: Seen) -> dict[str, str]:
    return series.labels(each.node, each.gpu, each.driver, each.holder)


def test_the_text_is_what_the_library_writes() -> None:
    assert series.text(some_seen()) == by_library(some_seen())


def test_the_text_is_read_back() -> None:
    first, second = metrics.parse(series.text(some_seen()).decode())
    assert (first.holder, first.used_mib, first.xid) == (f"default/{ODD}", 40_000, 48)
    assert (second.holder, second.utilization) == ("", 0)


def test_a_gpu_off_the_bus_has_nothing_but_its_xid() -> None:
    lost = series.text(some_seen()[2:]).decode()
    names = {s.name for f in text_string_to_metric_families(lost) for s in f.samples}
    assert names == {series.XID}


def test_allocated_and_used_are_told_apart() -> None:
    devices = [Device("a/p", 90.0, 40, 80), Device("a/p", 70.0, 40, 80), Device("", 0.0, 0, 80)]
    found = gpu_use.rows(devices)
    assert [(one.holder, one.gpus, one.utilization) for one in found] == [
        ("a/p", 2, 80),
        ("free", 1, 0),
    ]
    expected = "allocated: 2 of 3 GPUs (67 %); used: as much as 1.6 GPUs (53 %)"
    assert gpu_use.summary(found) == expected
    assert expected in gpu_use.text(found)
    assert expected in gpu_use.render(found)
    assert "<b>&lt;x&gt;</b>" in gpu_use.render(gpu_use.rows([Device("<x>", None, None, None)]))
    assert "does a dcgm-exporter run?" in gpu_use.text(())


# -- on a lab


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("metrics"), "metrics", "--speed", "20")


@pytest.fixture(scope="module")
def busy(fast: Lab) -> Lab:
    """With a Pod that trains on two GPUs, and one that waits for its data on two."""
    spec: dict[str, Any] = {"image": IMAGE, "gpus": 2, "nodeSelector": faulty.ON_NODE}
    fast.make("default", pod("busy", "python", "train.py", **spec))
    fast.make("default", pod("slow", "python", "train.py", "--slow-data", **spec))
    for name in ("busy", "slow"):
        fast.wait("default", name, "phase=Running")
    return fast


By = dict[str, dict[str, str | float]]


def scraped(lab: Lab) -> dict[str, By]:
    """Metric → UUID → labels and value, all of one moment."""
    paths = LabPaths(lab.name, lab.root)
    record = read_record(paths)
    assert record
    found: dict[str, By] = {}
    for family in text_string_to_metric_families(metrics.read(paths, record)):
        for one in family.samples:
            entry: dict[str, str | float] = {**one.labels, "value": one.value}
            found.setdefault(one.name, {})[one.labels["UUID"]] = entry
    return found


def sampled(lab: Lab, name: str) -> By:
    return scraped(lab).get(name, {})


def of_pod(lab: Lab, metric: str, name: str) -> list[float]:
    return [float(e["value"]) for e in sampled(lab, metric).values() if e.get("pod") == name]


@pytest.mark.live
def test_every_gpu_has_the_labels_of_dcgm_exporter(busy: Lab) -> None:
    found = sampled(busy, UTIL)
    assert len(found) == 8 + 8 + 8 + 4
    one = next(each for each in found.values() if each.get("pod") == "busy")
    assert one.keys() == {
        *("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname"),
        *("DCGM_FI_DRIVER_VERSION", "container", "namespace", "pod", "value"),
    }
    assert one["Hostname"] == NODE
    assert one["device"] == f"nvidia{one['gpu']}"


@pytest.mark.live
def test_what_is_allocated_is_not_what_is_used(busy: Lab) -> None:
    eventually(lambda: of_pod(busy, UTIL, "busy"))
    used = {name: of_pod(busy, UTIL, name) for name in ("busy", "slow")}
    assert [len(each) for each in used.values()] == [2, 2]
    assert min(used["busy"]) > 80 > 20 > max(used["slow"]) > 0
    free = [each["value"] for each in sampled(busy, UTIL).values() if not each.get("pod")]
    assert set(free) == {0}


@pytest.mark.live
def test_nvidia_smi_in_the_pod_says_the_same(busy: Lab) -> None:
    query = "uuid,memory.used,memory.free,utilization.gpu,temperature.gpu,clocks.sm"
    words = ("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits")
    names = ("FB_USED", "FB_FREE", "GPU_UTIL", "GPU_TEMP", "SM_CLOCK")

    def agree() -> bool:
        """Its sample of five seconds is that of the scrape before or of the one after."""
        before = scraped(busy)
        text = busy.kubectl("exec", "busy", "--", *words).stdout
        seen = {uuid: rest for uuid, *rest in (line.split(", ") for line in text.splitlines())}
        assert len(seen) == 2
        return any(
            all(figures(every, uuid, names) == rest for uuid, rest in seen.items())
            for every in (before, scraped(busy))
        )

    eventually(agree, 60)


def figures(every: dict[str, By], uuid: str, names: Sequence[str]) -> list[str]:
    return [str(int(float(every[f"DCGM_FI_DEV_{name}"][uuid]["value"]))) for name in names]


@pytest.mark.live
def test_the_exporter_s_pod_answers_for_its_node(busy: Lab) -> None:
    name = faulty.operand(busy, "nvidia-dcgm-exporter")["metadata"]["name"]
    port = free_ports(["forwarded"])["forwarded"]
    words = ["port-forward", "-n", "gpu-operator", f"pod/{name}", f"{port}:9400"]
    forward = subprocess.Popen(
        [*busy.kubectl_command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with forward:
        try:
            assert forward.stdout is not None
            assert "Forwarding" in forward.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                text = answer.read().decode()
        finally:
            forward.kill()
    found = metrics.parse(text)
    assert {one.node for one in found} == {NODE}
    assert {one.holder for one in found} == {"default/busy", "default/slow", ""}
    assert sum(one.used_mib or 0 for one in found) == sum(
        sum(of_pod(busy, USED, each)) for each in ("busy", "slow")
    )


@pytest.mark.live
def test_a_sick_gpu_is_seen_in_its_metrics(busy: Lab) -> None:
    (uuid,) = [
        u for u, e in sampled(busy, UTIL).items() if (e["Hostname"], e["gpu"]) == (NODE, "0")
    ]
    for fault in ("gpu-ecc-error", "gpu-thermal-slowdown"):
        assert busy.gpulab("break", fault, "--node", NODE).returncode == 0
    eventually(lambda: sampled(busy, "DCGM_FI_DEV_XID_ERRORS")[uuid]["value"] == 48)
    assert float(sampled(busy, "DCGM_FI_DEV_GPU_TEMP")[uuid]["value"]) > 85
    assert busy.gpulab("heal").returncode == 0
    eventually(lambda: sampled(busy, "DCGM_FI_DEV_XID_ERRORS")[uuid]["value"] == 0)


@pytest.mark.live
def test_a_real_prometheus_scrapes_them(busy: Lab, tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        assert "CI" not in os.environ, "Prometheus is missing: .ci/setup installs it"
        pytest.skip("needs Prometheus: .ci/setup installs it")
    file, port = tmp_path / "prometheus.yml", free_ports(["prometheus"])["prometheus"]
    done = busy.gpulab("metrics", "config")
    file.write_text(done.stdout.replace("5s", "1s"))
    words = [f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}"]
    with (
        open(tmp_path / "log", "wb") as log,
        subprocess.Popen([program, *words], stderr=log) as one,
    ):
        try:
            query = f'avg by (pod) ({UTIL}{{pod=~"busy|slow"}})'
            found = eventually(lambda: asked(port, query), 60)
        finally:
            one.terminate()
    values = {each["metric"]["pod"]: float(each["value"][1]) for each in found}
    assert values["busy"] > 80 > 20 > values["slow"]


def asked(port: int, query: str) -> list[Any]:
    """The result of a query; empty while Prometheus comes up."""
    address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            result: list[Any] = json.loads(answer.read())["data"]["result"]
    except OSError:
        return []
    return result if len(result) == 2 else []


@pytest.mark.live
def test_a_notebook_draws_it_and_a_terminal_reads_it(busy: Lab) -> None:
    code = (
        "from gpulab.notebook import gpu_use; one = gpu_use(); print(one); print(one._repr_html_())"
    )
    env = busy.env | {"KUBECONFIG": str(busy.kubeconfig)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "allocated: 4 of 28 GPUs (14 %)" in done.stdout, done.stderr
    assert '<span class="bar' in done.stdout
    assert f"{UTIL}{{" in busy.gpulab("metrics", "text").stdout
    shown = busy.gpulab("metrics", "show").stdout
    assert "default/busy" in shown
    assert "30720 MiB" in shown


@pytest.mark.live
def test_it_is_started_again_and_stopped(busy: Lab) -> None:
    assert busy.gpulab("metrics", "start").returncode == 0

    def pid() -> Any:
        components = busy.status()["components"]
        return next((each["pid"] for each in components if each["name"] == "exporter"), None)

    first = pid()
    assert first
    subprocess.run(["kill", "-9", str(first)], check=True)
    eventually(lambda: pid() not in (None, first), 60)
    eventually(lambda: sampled(busy, UTIL), 30)

    assert busy.gpulab("metrics", "stop").returncode == 0
    assert pid() is None
    assert busy.gpulab("status").returncode == 0
    assert "No metrics were served." in busy.gpulab("metrics", "stop").stderr


@pytest.mark.live
def test_a_node_without_its_exporter_has_no_metrics(busy: Lab) -> None:
    label = "nvidia.com/gpu.deploy.dcgm-exporter"
    busy.kubectl("label", "node", NODE, f"{label}=false", "--overwrite")
    hosts = lambda: {each["Hostname"] for each in sampled(busy, UTIL).values()}  # noqa: E731
    eventually(lambda: NODE not in hosts())
    assert "h100-1" in hosts()
    busy.kubectl("label", "node", NODE, f"{label}=true", "--overwrite")
    eventually(lambda: NODE in hosts(), 60)


@pytest.mark.live
def test_a_lab_that_does_not_run_says_so(busy: Lab) -> None:
    assert busy.gpulab("down").returncode == 0
    done = busy.gpulab("metrics", "show")
    assert said(done)[0] == "lab 'metrics' does not run"
