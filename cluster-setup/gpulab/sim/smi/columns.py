"""CSV as `--query-gpu` and `--query-compute-apps` write it: fields are data, one row each."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

NOT_AVAILABLE = "[N/A]"

R = TypeVar("R")


class Field(msgspec.Struct, Generic[R], frozen=True):
    """A column; with a unit, header and value both name it."""

    value: Callable[[R], object]
    unit: str = ""


class Style(msgspec.Struct, frozen=True):
    """What `--format=csv` may leave out."""

    header: bool = True
    units: bool = True


def write(chosen: Sequence[tuple[str, Field[R]]], rows: Iterable[R], style: Style) -> str:
    """Write the chosen fields of every row."""
    lines = [", ".join(_cell(field, row, style) for _, field in chosen) for row in rows]
    heads = [", ".join(_head(name, field) for name, field in chosen)]
    return "".join(f"{line}\n" for line in (heads if style.header else []) + lines)


def unknown(names: Sequence[str], fields: Container[str]) -> str | None:
    """First name that is no field, as nvidia-smi complains of one at a time."""
    return next((name for name in names if name not in fields), None)


def time(now: datetime) -> str:
    """Write a time as the field `timestamp` has it."""
    return f"{now:%Y/%m/%d %H:%M:%S}.{now.microsecond // 1000:03}"


def _head(name: str, field: Field[R]) -> str:
    return f"{name} [{field.unit}]" if field.unit else name  # `nounits` leaves the header alone


def _cell(field: Field[R], row: R, style: Style) -> str:
    value = str(field.value(row))
    unit = field.unit if style.units and value != NOT_AVAILABLE else ""
    return f"{value} {unit}" if unit else value
