"""The metrics of a lab's GPUs: have them served, ask for them, and count by Pod.

The exporter is a process that costs 60 MiB, so it runs from when it is first asked for; the
supervisor keeps it from then on, and `gpulab up` starts it again.
"""

from __future__ import annotations

import ssl

import msgspec
import yaml

from autograders.errors import InputError
from gpulab import ports, programs, providers, supervision
from gpulab.lab import Record, locked
from gpulab.pairs import LEARNER, KubeletPki, pair_of
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.providers import components
from gpulab.waiting import eventually

START_SECONDS = 60.0


def start(paths: LabPaths, record: Record) -> int:
    """Have them served from now on; the port. Done when they are."""
    if not providers.of(record.provider).SIMULATED:
        what = f"lab {paths.name!r} has no simulated GPUs"
        raise InputError(what, "real ones have an exporter of their own: kubectl get ds -A")
    with locked(paths), supervision.alone(paths):
        if not supervision.process(paths):
            raise InputError(f"lab {paths.name!r} does not run", _up(paths))
        mine, port = components.exporter(paths), components.metrics_port(paths)
        if port is None:
            programs.kill(programs.running([mine]).values(), START_SECONDS)
            port = ports.free_ports([mine.name])[mine.name]
            write_private(paths.metrics, str(port).encode())
        if not programs.running([mine]):
            ports.check_free({mine.name: port}, paths.name)
            programs.spawn(mine)
        supervision.watch_also(paths, [mine])
    eventually(lambda: _missing(paths), START_SECONDS, _up(paths))
    return port


def stop(paths: LabPaths) -> bool:
    """Serve them no longer; False if nobody did."""
    with locked(paths), supervision.alone(paths):
        mine, served = components.exporter(paths), components.metrics_port(paths) is not None
        supervision.forget(paths, [mine.name])
        paths.metrics.unlink(missing_ok=True)
        left = programs.kill(programs.running([mine]).values(), START_SECONDS)
    if left:
        raise InputError(f"process {left[0].pid} does not end", "end it")
    return served


def read(paths: LabPaths, record: Record) -> str:
    """All metrics as text, from an exporter that is started if none runs."""
    try:
        return _get(paths)
    except InputError:
        start(paths, record)
        return _get(paths)


def _up(paths: LabPaths) -> str:
    return f"gpulab up --name {paths.name}, then gpulab metrics start --name {paths.name}"


def _missing(paths: LabPaths) -> str | None:
    try:
        _get(paths)
        return None
    except InputError as error:
        return error.what


def _get(paths: LabPaths) -> str:
    import httpx2

    port = components.metrics_port(paths)
    if port is None:
        raise InputError("the metrics of the GPUs are not served", "gpulab metrics start")
    files = certificates(paths)
    context = ssl.create_default_context(cafile=files["ca_file"])
    context.load_cert_chain(files["cert_file"], files["key_file"])
    url = f"https://{ports.LOOPBACK}:{port}/metrics"
    try:
        answer = httpx2.get(url, verify=context, timeout=30)
    except (httpx2.HTTPError, OSError) as error:
        what = f"the metrics of the GPUs are not served on port {port}: {error}"
        raise InputError(what, _up(paths)) from None
    if not answer.is_success:
        raise InputError(f"no metrics yet: {answer.text.strip()}", "ask again in a moment")
    return str(answer.text)


def certificates(paths: LabPaths) -> dict[str, str]:
    """The learner's certificate, and the authority of the exporter's, as Prometheus names them."""
    learner = pair_of(paths.pki, LEARNER)
    return {
        "ca_file": str(KubeletPki(paths.pki).ca.crt),
        "cert_file": str(learner.crt),
        "key_file": str(learner.key),
    }


def scrape_config(paths: LabPaths, port: int, seconds: int = 5) -> str:
    """A prometheus.yml that scrapes this lab."""
    job = {
        "job_name": "dcgm-exporter",
        "scheme": "https",
        "tls_config": certificates(paths),
        "static_configs": [{"targets": [f"{ports.LOOPBACK}:{port}"]}],
    }
    interval = {"scrape_interval": f"{seconds}s", "scrape_timeout": f"{seconds}s"}
    return yaml.safe_dump({"global": interval, "scrape_configs": [job]}, sort_keys=False)


class Sampled(msgspec.Struct):
    """One GPU as its metrics tell of it; what is missing is None."""

    node: str
    index: int
    model: str
    holder: str = ""
    """namespace/Pod; empty for a GPU that nobody holds."""
    utilization: float | None = None
    """Percent."""
    used_mib: float | None = None
    free_mib: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    xid: float | None = None


FIELDS = {
    "DCGM_FI_DEV_GPU_UTIL": "utilization",
    "DCGM_FI_DEV_FB_USED": "used_mib",
    "DCGM_FI_DEV_FB_FREE": "free_mib",
    "DCGM_FI_DEV_POWER_USAGE": "power_w",
    "DCGM_FI_DEV_GPU_TEMP": "temperature_c",
    "DCGM_FI_DEV_XID_ERRORS": "xid",
}


def parse(text: str) -> list[Sampled]:
    """One entry for each GPU, in the order of nodes and indices."""
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, Sampled] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            of = sample.labels
            holder = f"{of['namespace']}/{of['pod']}" if of.get("pod") else ""
            known = found.setdefault(
                of["UUID"], Sampled(of["Hostname"], int(of["gpu"]), of["modelName"], holder)
            )
            if field := FIELDS.get(sample.name):
                setattr(known, field, sample.value)
    return sorted(found.values(), key=lambda each: (each.node, each.index))


def shares(one: Sampled) -> tuple[str, float | None, float | None, float | None]:
    """Holder, percent in use, MiB in use, MiB in all."""
    both = one.used_mib is not None and one.free_mib is not None
    total = (one.used_mib or 0) + (one.free_mib or 0) if both else None
    return one.holder, one.utilization, one.used_mib, total
