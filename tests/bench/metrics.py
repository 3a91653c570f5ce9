"""The metrics of 1,000 nodes with 8 GPUs each: a scrape, and what scrapes cost who starts Pods."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.measure import GPULAB, Row, command, percentile, surroundings, timed
from tests.bench.pods import times
from tests.bench.scale import FLEET, GPUS, NODES

EVERY = 5.0  # seconds between two scrapes
BYTES = 10_000_000  # of a scrape, at least


def measure(folder: Path, runs: int) -> list[Row]:
    """One lab; Pods start one after another, in turn without scrapes and with them."""
    env, fleet = surroundings(folder), folder / "big.yaml"
    fleet.write_text(FLEET)
    root = folder / "home" / "labs" / "lab"
    try:
        command([GPULAB, "up", "--fleet", str(fleet), "--speed", "20"], env, seconds=600)
        command([GPULAB, "metrics", "start"], env)
        scrape = _curl(root)
        taken = [timed(lambda: _scrape(scrape)) for _ in range(runs)]
        alone = times(root / "kubeconfig")
        with _scraped(scrape):
            beside = times(root / "kubeconfig")
        status = json.loads(command([GPULAB, "status", "--json"], env))
        (pid,) = [each["pid"] for each in status["components"] if each["name"] == "exporter"]
        memory = psutil.Process(pid).memory_info().rss / 2**20
    finally:
        command([GPULAB, "down", "--delete"], env)
    return [
        Row(f"scrape of {NODES} x {GPUS} GPUs", statistics.median(taken), max(taken), 1.5, "s"),
        *_slower(alone, beside),
        Row("exporter's memory at that size", memory, memory, 300, "MiB"),
    ]


def _slower(alone: list[float], beside: list[float]) -> Iterator[Row]:
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        base, ours = percentile(alone, share), percentile(beside, share)
        note = f"without {base:.3f} s, ratio {ours / base:.2f}"
        yield Row(f"Pod start {name}, scraped every 5 s", ours, max(beside), base * 1.1, "s", note)


def _curl(root: Path) -> list[str]:
    """As a process of its own, as Prometheus is."""
    port = (root / "metrics.port").read_text()
    code = (
        "import ssl, sys, urllib.request; "
        "ca, crt, key, url = sys.argv[1:]; context = ssl.create_default_context(cafile=ca); "
        "context.load_cert_chain(crt, key); "
        "print(len(urllib.request.urlopen(url, context=context, timeout=60).read()))"
    )
    files = [str(root / "pki" / name) for name in ("kubelet-ca.crt", "learner.crt", "learner.key")]
    return [sys.executable, "-S", "-c", code, *files, f"https://127.0.0.1:{port}/metrics"]


def _scrape(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    if int(done.stdout) < BYTES:
        raise RuntimeError(f"a scrape of {done.stdout.strip()} bytes only")


@contextmanager
def _scraped(words: list[str]) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while not over.wait(EVERY):
            _scrape(words)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=120)
