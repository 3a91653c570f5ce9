"""`gpulab break`, `gpulab heal`, `gpulab faults`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from gpulab.cli.lab import err, out


def inject(fault: str, node: str | None, name: str) -> None:
    from gpulab import faults, lab

    paths, record = lab.existing(name)
    with lab.locked(paths):
        done = faults.inject(paths, record, fault, node)
    err.print(f"{done.fault} is at work on {done.where}.", highlight=False)
    err.print(f"  gpulab heal {done.fault}", highlight=False)


def heal(fault: str | None, node: str | None, name: str) -> None:
    from gpulab import faults, lab

    paths, _ = lab.existing(name)
    with lab.locked(paths):
        ended = faults.heal(paths, fault, node)
    for each in ended:
        err.print(f"{each.fault} on {each.where} has ended.", highlight=False)
    if not ended:
        err.print("No such fault was at work." if fault or node else "No fault was at work.")


def listing(name: str, *, json: bool) -> None:
    from gpulab import faults, lab

    paths, _ = lab.existing(name)
    known = faults.load()
    places: dict[str, list[str]] = {each: [] for each in known}
    for one in faults.active(paths):
        places.setdefault(one.fault, []).append(one.where)
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(places)).decode())  # noqa: T201
        return
    table = Table("fault", "what", "at work on", box=None, pad_edge=False)
    for each, fault in known.items():
        table.add_row(each, escape(fault.title), ", ".join(places[each]))
    out.print(table)
