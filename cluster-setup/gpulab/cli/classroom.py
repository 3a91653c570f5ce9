"""`gpulab class`, `roster`, `release`, `submit`, `collect`, `grade`: what an instructor types."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from autograders.errors import InputError
from autograders.load import exercise_names, find_exercise, load_exercise
from gpulab.cli.lab import err, out
from gpulab.paths import ROOT

if TYPE_CHECKING:  # each takes time to import, and most commands need none of them
    from gpulab.classroom.folder import Classroom
    from gpulab.classroom.store import Verdict

EXERCISES = ROOT / "exercises"


def room(folder: Path) -> Classroom:
    from gpulab.classroom import folder as folders

    return folders.existing(folder.expanduser().absolute())


def init(folder: Path, name: str, due: list[str], late: float) -> None:
    from gpulab.classroom import folder as folders

    made = folders.init(folder.expanduser().absolute(), name, due, late)
    out.print(f"Class {name} in {made.root}; its secret is in {made.secret_file}", highlight=False)
    out.print("Next: gpulab roster import FILE.csv", highlight=False)


def import_roster(folder: Path, csv: Path) -> None:
    from gpulab.classroom import roster

    new, every = roster.add(room(folder), csv)
    out.print(f"{new} new, {every} in the class", highlight=False)


def release(folder: Path, texts: list[str]) -> None:
    from gpulab.classroom import release as releases

    found = room(folder)
    for name, count in releases.release(found, chosen(texts, exercise_names(EXERCISES))):
        where = found.handouts / name
        out.print(f"{name}: {found.release / name}, and {count} zips in {where}", highlight=False)


def chosen(texts: list[str], every: list[str]) -> list[str]:
    """Full names of the exercises that were named, else all."""
    return [find_exercise(EXERCISES, each).name for each in texts] or every


def receive(folder: Path, learner: str) -> None:
    from gpulab.classroom import receiving

    target = receiving.receive(folder.expanduser().absolute(), learner)
    out.print(f"{target} has it, with your own values", highlight=False)


def submit(text: str, learner: str, to: Path, exchange: Path | None, course: str) -> None:
    from gpulab.classroom import pack
    from gpulab.cli.exercises import exercise_of

    exercise = exercise_of(text)
    if exchange and not course:
        raise InputError("--exchange needs the class's name", "add --course, as in k8s-101")
    if exchange:
        made = pack.handed_in(exercise, learner, exchange, course)
    else:
        made = pack.packed(exercise, learner, to.expanduser().absolute())
    out.print(f"Handed in: {made}", highlight=False)


def collect(folder: Path, zips: Path | None, text: str, exchange: Path | None) -> int:
    """Take them one by one; say what was not taken."""
    from gpulab.classroom import collecting, roster

    found = room(folder)
    if (zips is None) == (exchange is None):
        raise InputError("one source is needed", "name a folder of zips, or --exchange")
    learners = roster.expect(found)
    names = chosen([text] if text else [], exercise_names(EXERCISES))
    exercises = {each: load_exercise(EXERCISES / each) for each in names}
    if exchange:
        inbound = exchange / found.settings.name / "inbound"
        hand_ins, lost = collecting.from_exchange(inbound, learners, exercises)
    else:
        only = names[0] if text else ""
        hand_ins, lost = collecting.from_zips(zips or Path(), learners, exercises, only)
    taken = [collecting.take(found, exercises[each.exercise], each) for each in hand_ins]
    refused = [each for each in taken if each.why_not]
    for each in refused:
        err.print(f"refused: {each.learner}, {each.exercise}: {each.why_not}", highlight=False)
    for name in lost:
        err.print(f"fits no learner and exercise: {name}", highlight=False, markup=False)
    out.print(f"{len(taken) - len(refused)} of {len(taken) + len(lost)} taken", highlight=False)
    return 1 if refused or lost else 0


def grade(
    folder: Path,
    texts: list[str],
    students: str,
    clusters: int,
    *,
    force: bool,
    reason: str,
    json: bool,
) -> int:
    """Grade what is not graded, write it into the gradebook, and say how each ended."""
    from gpulab.classroom import batch, gradebook, sandbox

    found = room(folder)
    only = expect_learners(found, [each for each in students.split(",") if each])
    names = chosen(texts, handed_in(found))
    todo, done = batch.jobs(found, names, only, force=force)
    if todo:
        sandbox.expect()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that clusters are removed, too
    new: list[Verdict] = []

    def told(verdict: Verdict) -> None:
        new.append(verdict)
        if not json:
            say(verdict, len(new), len(todo))

    try:
        batch.run(found, todo, clusters, reason, told)
    finally:
        gradebook.write(found, [*done, *new])
    return summed_up([*done, *new], len(done), json=json)


def handed_in(found: Classroom) -> list[str]:
    names = {path.name for path in found.submitted.glob("*/*") if path.is_dir()}
    return [each for each in exercise_names(EXERCISES) if each in names]


def expect_learners(found: Classroom, ids: list[str]) -> list[str]:
    from gpulab.classroom import roster

    for each in set(ids) - roster.expect(found).keys():
        raise InputError(f"{each!r} is not in the class", f"see {found.roster_file}")
    return ids


def say(verdict: Verdict, number: int, every: int) -> None:
    mark = "" if verdict.score is None else f" {verdict.score:g}"
    of = f" of {verdict.report.max_score:g}" if verdict.report else ""
    why = f": {verdict.why}" if verdict.why else ""
    line = f"[{number}/{every}] {verdict.learner}, {verdict.exercise}: {verdict.ending}{mark}{of}"
    out.print(line + why, highlight=False, markup=False)


def summed_up(verdicts: list[Verdict], unchanged: int, *, json: bool) -> int:
    from gpulab.classroom.store import Ending

    if json:
        import msgspec

        data = msgspec.json.encode([msgspec.structs.asdict(each) for each in verdicts])
        print(msgspec.json.format(data).decode())  # noqa: T201 (for a program)
    else:
        counts = {ending: sum(each.ending is ending for each in verdicts) for ending in Ending}
        text = ", ".join(f"{count} {ending}" for ending, count in counts.items() if count)
        out.print(f"{text or 'nothing handed in'}; {unchanged} of them unchanged", highlight=False)
    return 0 if all(each.ending is Ending.GRADED for each in verdicts) else 1


def audit(folder: Path) -> int:
    """Name what is not as the grader wrote it."""
    from gpulab.classroom import audit as audits

    found = list(audits.faults(room(folder)))
    for each in found:
        out.print(each, highlight=False, markup=False)
    if not found:
        out.print("Verdicts and gradebook are as the grader wrote them.", highlight=False)
    return 1 if found else 0


def export(folder: Path, kind: str, to: Path | None) -> None:
    from gpulab.classroom import exporting
    from gpulab.private import write_private

    if kind not in exporting.KINDS:
        do = f"give --columns {', '.join(exporting.KINDS)}"
        raise InputError(f"there are no columns of {kind!r}", do)
    text = exporting.table(room(folder), kind)
    if to is None:
        print(text, end="")  # noqa: T201 (for a program)
    else:
        write_private(to, text.encode())
        out.print(f"Written: {to}", highlight=False)


def report(folder: Path) -> None:
    from gpulab.classroom import report as reports

    path = reports.write(room(folder))
    out.print(f"Written: {path}, and {path.with_suffix('.csv').name} beside it", highlight=False)
