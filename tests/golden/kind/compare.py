"""Several runs into one golden, and one run against it. Pure; what it compares, it says here.

A track is a list of lines in the order in which a cluster showed them. Of several runs on a real
cluster, `always` holds the lines that came in every run, in their order, and `sometimes` those
that came in some: states that the kubelet may skip between two syncs, or events that race. (A
plain list is a track without `sometimes`.) A run elsewhere agrees with a track if it shows every
`always` line in this order and no line that the real cluster never showed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Object = dict[str, Any]
OUR_OWN = ("NotSimulated", "ImageNotVerified")  # events that only the simulator has


def merge(runs: Sequence[Object]) -> Object:
    """The golden of several runs: their shape, with a track where they have a list."""
    first = runs[0]
    if isinstance(first, dict):
        keys = dict.fromkeys(key for run in runs for key in run)
        return {key: merge([run.get(key, _empty(run, runs, key)) for run in runs]) for key in keys}
    if isinstance(first, list):
        return _track(runs)
    return first if all(run == first for run in runs) else {"differs": list(runs)}


def _empty(run: Object, runs: Sequence[Object], key: str) -> Any:
    """What stands for a key that a run lacks."""
    return type(next(other[key] for other in runs if key in other))()


def _track(runs: Sequence[Sequence[Any]]) -> Any:
    always = list(runs[0])
    for run in runs[1:]:
        always = common(always, run)
    seen = [line for run in runs for line in run if line not in always]
    sometimes = [line for index, line in enumerate(seen) if line not in seen[:index]]
    return {"always": always, "sometimes": sometimes} if sometimes else always


def _lines(track: Any) -> tuple[list[Any], list[Any]]:
    """What a track holds always, and what sometimes."""
    return (track["always"], track["sometimes"]) if isinstance(track, dict) else (track, [])


def _is_track(golden: Any) -> bool:
    return isinstance(golden, list) or (isinstance(golden, dict) and "always" in golden)


def common(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """The longest common subsequence.

    >>> "".join(common("abcd", "xacyd"))
    'acd'
    """
    rows: list[list[list[Any]]] = [[[] for _ in range(len(other) + 1)]]
    for item in one:
        row: list[list[Any]] = [[]]
        for column, candidate in enumerate(other):
            longer = max(rows[-1][column + 1], row[-1], key=len)
            row.append([*rows[-1][column], item] if item == candidate else longer)
        rows.append(row)
    return rows[-1][-1]


def differences(golden: Object, run: Object) -> list[str]:
    """Every way in which `run` disagrees, one line each, with where."""
    return [
        *(f"never came: {words}" for words in [run.get("stuck")] if words),
        *_compare(golden["pods"], run["pods"], "Pod "),
        *_compare(golden["events"], _without_our_own(run["events"]), "events of "),
        *_compare(golden["objects"], run["objects"], "status of "),
        *_repeated(golden["repeated"], run["repeated"]),
    ]


def _compare(golden: Any, run: Any, where: str) -> Iterable[str]:
    if isinstance(golden, dict) and "differs" in golden:
        return
    if _is_track(golden):
        yield from (f"{where}: {words}" for words in track_differences(golden, run or []))
    elif isinstance(golden, dict) and isinstance(run, dict):
        for key in dict.fromkeys([*golden, *run]):
            inner = f"{where}{'' if where.endswith(' ') else ' '}{key}"
            yield from _key(golden, run, key, inner)
    elif golden != run:
        yield f"{where}: is {run!r}, not {golden!r}"


def _key(golden: Object, run: Object, key: str, where: str) -> Iterable[str]:
    if key not in golden:
        yield f"{where}: the real cluster has none; here {run[key]!r}"
    elif key in run or not _optional(golden[key]):
        yield from _compare(golden[key], run.get(key, _nothing(golden[key])), where)


def _optional(golden: Any) -> bool:
    """Whether the real cluster too was seen without it."""
    if _is_track(golden):
        return not _lines(golden)[0]
    return isinstance(golden, dict) and all(_optional(value) for value in golden.values())


def _nothing(golden: Any) -> Any:
    return {} if isinstance(golden, dict) and not _is_track(golden) else None


def track_differences(golden: Any, lines: Sequence[Any]) -> Iterable[str]:
    """Lines of `always` that are missing or out of order, and lines never seen on the real one."""
    always, sometimes = _lines(golden)
    rest = iter(lines)
    for line in always:
        if line not in lines:
            yield f"lacks {line!r}"
            return
        if all(line != candidate for candidate in rest):
            yield f"out of order: {line!r}"
            return
    strange = [line for line in lines if line not in always and line not in sometimes]
    kept = [line for index, line in enumerate(strange) if line not in strange[:index]]
    yield from (f"invents {line!r}" for line in kept)


def _without_our_own(events: Object) -> Object:
    def is_ours(line: str) -> bool:
        return line.split(" ", 2)[1].rstrip(":") in OUR_OWN

    return {
        key: {who: [line for line in lines if not is_ours(line)] for who, lines in by.items()}
        for key, by in events.items()
    }


def _repeated(golden: Any, lines: Sequence[str]) -> Iterable[str]:
    """Events that every run counted more than once; others may be."""
    yield from (f"came only once: {line}" for line in _lines(golden)[0] if line not in lines)
