"""Proofs as text: for a terminal and a report file, and as data for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from autograders.proof import Case, Kind, Proof, Tally, tally

PASSES = "False passes: wrong answers that the grader let through"
FAILS = "False fails: right answers that it refused"
HEAD = ("kind", "cases", "wrong", "rate", "at most (95 %)")


def text(proofs: Sequence[Proof]) -> str:
    """For a terminal: what is not proven first, then the tables."""
    parts = [summary(proof) for proof in proofs]
    for title, must_pass in ((PASSES, False), (FAILS, True)):
        parts.append("\n".join([title, *aligned([HEAD, *rows(all_cases(proofs), must_pass)])]))
    parts.append(closing(proofs))
    return "\n\n".join(parts)


def markdown(proofs: Sequence[Proof]) -> str:
    """For people who read the report of a build."""
    parts = ["# Proof of the exercises", closing(proofs)]
    for title, must_pass in ((PASSES, False), (FAILS, True)):
        parts += [f"## {title}", table(HEAD, rows(all_cases(proofs), must_pass))]
    for proof in proofs:
        parts += [f"## {proof.exercise}: {proof.title}", f"```\n{summary(proof)}\n```"]
        parts.append(table(("kind", "case", "seconds", "verdict"), case_rows(proof.cases)))
        same = [case for case in proof.cases if case.kind is Kind.EQUIVALENT]
        if same:
            parts.append("Mutants that are right answers, too:")
            parts.append(table(("mutant", "because"), [(c.name, c.reason) for c in same]))
    return "\n\n".join(parts) + "\n"


def data(proofs: Sequence[Proof]) -> dict[str, Any]:
    return {
        "proven": all(proof.proven for proof in proofs),
        "false_passes": [counted(each) for each in tally(all_cases(proofs), must_pass=False)],
        "false_fails": [counted(each) for each in tally(all_cases(proofs), must_pass=True)],
        "exercises": [{**dataclasses.asdict(each), "proven": each.proven} for each in proofs],
    }


def write(proofs: Sequence[Proof], path: Path) -> None:
    """Write JSON if the file is called so, else Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_bytes(msgspec.json.format(msgspec.json.encode(data(proofs))) + b"\n")
    else:
        path.write_text(markdown(proofs))


def summary(proof: Proof) -> str:
    """One exercise in some lines: counts, and everything that is wrong."""
    mark = "proven" if proof.proven else "NOT PROVEN"
    lines = [f"{proof.exercise}: {mark} ({len(proof.cases)} cases, {proof.seconds:.1f} s)"]
    if proof.variant:
        lines.append(f"  variant: {', '.join(proof.variant)}")
    for kind in Kind:
        found = [case for case in proof.cases if case.kind is kind]
        if found:
            longest = max(case.seconds for case in found)
            lines.append(f"  {kind.value:<22}{len(found):>4}   at most {took(longest)} each")
    lines += [f"  fault: {fault}" for fault in proof.faults]
    lines += [f"  {case.kind}: {case.name}: {case.fault}" for case in proof.cases if case.fault]
    return "\n".join(lines)


def closing(proofs: Sequence[Proof]) -> str:
    missing = [proof.exercise for proof in proofs if not proof.proven]
    cases = sum(len(proof.cases) for proof in proofs)
    if missing:
        return f"Not proven: {', '.join(missing)}."
    return f"All {len(proofs)} exercises are proven by {cases} cases."


def all_cases(proofs: Iterable[Proof]) -> Iterator[Case]:
    return (case for proof in proofs for case in proof.cases)


def rows(cases: Iterable[Case], must_pass: bool) -> list[tuple[str, ...]]:
    return [row(each) for each in tally(cases, must_pass=must_pass)]


def row(tally: Tally) -> tuple[str, ...]:
    rate = f"{tally.wrong / tally.cases:.2%}" if tally.cases else "-"
    return tally.kind, str(tally.cases), str(tally.wrong), rate, f"{tally.bound:.2%}"


def case_rows(cases: Iterable[Case]) -> list[tuple[str, ...]]:
    return [
        (case.kind.value, case.name, f"{case.seconds:.3f}", case.fault or "as it must be")
        for case in cases
    ]


def counted(tally: Tally) -> dict[str, Any]:
    return {**dataclasses.asdict(tally), "upper_bound_95": tally.bound}


def took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def aligned(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for first, *rest in lines:
        numbers = "".join(
            f"  {each:>{width}}" for each, width in zip(rest, widths[1:], strict=True)
        )
        yield f"  {first:<{widths[0]}}{numbers}"


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    every = [head, tuple("---" for _ in head), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in each) + " |" for each in every
    )
