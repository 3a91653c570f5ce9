"""`gpulab doctor`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from gpulab.cli.lab import out
from gpulab.doctor.line import Line


def show(*, json: bool) -> int:
    """Print what was found; 1 if something needed is missing."""
    import msgspec

    from gpulab import doctor

    lines = doctor.examine()
    if json:
        print(msgspec.json.format(msgspec.json.encode(lines)).decode())  # noqa: T201
    else:
        _print(lines)
    return int(any(line.needed and not line.ok for line in lines))


def _print(lines: list[Line]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for line in lines:
        mark = "[green]✓[/]" if line.ok else "[red]✗[/]" if line.needed else "[yellow]-[/]"
        table.add_row(mark, line.name, escape(line.found))
        if not line.ok:
            kind = "needed" if line.needed else "optional"
            table.add_row("", "", escape(f"{kind}, for {line.use}: {line.do}"))
    out.print(table)
    missing = [line.name for line in lines if line.needed and not line.ok]
    out.print(f"Missing: {', '.join(missing)}" if missing else "Nothing that is needed is missing.")
