"""Moments as the API writes them."""

from __future__ import annotations

import datetime as dt


def stamp(moment: dt.datetime) -> str:
    """RFC 3339 in whole seconds, as metav1.Time."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now(*, exact: bool = False) -> dt.datetime:
    """The time, in whole seconds as status holds it, so that a restart reads what was meant."""
    moment = dt.datetime.now(dt.UTC)
    return moment if exact else moment.replace(microsecond=0)


def parse(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
