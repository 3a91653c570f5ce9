"""`gpulab metrics`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from gpulab.cli.lab import err, out


def start(name: str) -> None:
    from gpulab import lab, metrics

    paths, record = lab.existing(name)
    with err.status("Starting the exporter"):
        port = metrics.start(paths, record)
    err.print(f"The metrics of the GPUs are served at https://127.0.0.1:{port}/metrics")
    files = metrics.certificates(paths)
    words = f"--cacert {files['ca_file']} --cert {files['cert_file']} --key {files['key_file']}"
    err.print(f"  curl {words} https://127.0.0.1:{port}/metrics", highlight=False, soft_wrap=True)
    err.print("  gpulab metrics config > prometheus.yml", highlight=False)


def stop(name: str) -> None:
    from gpulab import lab, metrics

    paths, _ = lab.existing(name)
    served = metrics.stop(paths)
    err.print("The metrics are served no longer." if served else "No metrics were served.")


def text(name: str) -> None:
    from gpulab import lab, metrics

    print(metrics.read(*lab.existing(name)), end="")  # noqa: T201 (for a program)


def config(name: str) -> None:
    from gpulab import lab, metrics

    paths, record = lab.existing(name)
    port = metrics.start(paths, record)
    print(metrics.scrape_config(paths, port), end="")  # noqa: T201 (for a program)


def show(name: str, *, json: bool) -> None:
    from gpulab import lab, metrics

    found = metrics.parse(metrics.read(*lab.existing(name)))
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(found)).decode())  # noqa: T201
        return
    table = Table("node", "GPU", "holder", "used", "memory", "power", "", box=None, pad_edge=False)
    for one in found:
        row = (
            number(one.utilization, "%"),
            number(one.used_mib, "MiB"),
            number(one.power_w, "W"),
            number(one.temperature_c, "°C") + (f" Xid {one.xid:.0f}" if one.xid else ""),
        )
        table.add_row(one.node, str(one.index), escape(one.holder) or "-", *row)
    out.print(table)


def number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f} {unit}"
