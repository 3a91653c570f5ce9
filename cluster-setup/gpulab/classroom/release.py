"""What learners are given: stripped files, through nbgrader's own pipeline, and a zip for each."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import tomli_w

from autograders import variants
from autograders.load import load_exercise, read_variant
from autograders.variants import Drawn
from gpulab.classroom import gradebook, roster, stripping
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.paths import private_dir
from gpulab.workspace import answers_text

PLAIN = ("exercise.ipynb", "setup.yaml", "fleet.yaml")
VARIANTS = "variants.json"


def release(room: Classroom, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Make the release of each exercise; its name, and how many learners it is for."""
    learners = roster.expect(room)
    for name, drawn in [(each, drawn_for_all(room, each, learners)) for each in names]:
        lay_out(EXERCISES / name, room.source / name, drawn)
        gradebook.open_assignment(room, name)
        gradebook.generate(room, name)
        for learner, values in drawn.items():
            write_zip(room, name, learner, values)
        yield name, len(learners)


def drawn_for_all(
    room: Classroom, exercise: str, learners: Iterable[str]
) -> dict[str, dict[str, Drawn] | None]:
    return {each: drawn_for(room, exercise, each) for each in learners}


def drawn_for(room: Classroom, exercise: str, learner: str) -> dict[str, Drawn] | None:
    """Values of one learner; None where all have the same exercise."""
    spec = read_variant(EXERCISES / exercise)
    if spec is None:
        return None
    return variants.draw(spec, variants.seed_of(room.secret(), learner, exercise))


def lay_out(folder: Path, target: Path, drawn: Mapping[str, Mapping[str, Drawn] | None]) -> None:
    """Write what nbgrader makes the release from; what is not listed here stays behind."""
    shutil.rmtree(target, ignore_errors=True)
    private_dir(target)
    for each in PLAIN:
        if (folder / each).is_file():
            shutil.copyfile(folder / each, target / each)
    put(target / "exercise.toml", stripping.without_table(read(folder / "exercise.toml"), "probe"))
    put(target / "checks.py", stripping.checks(read(folder / "checks.py")))
    if text := answers_text(load_exercise(folder)):
        put(target / "answers.toml", text)
    if (folder / "variant.toml").is_file():
        text = stripping.without_table(read(folder / "variant.toml"), "derived")
        put(target / "variant.toml", text)
        put(target / VARIANTS, msgspec.json.format(msgspec.json.encode(drawn)).decode())


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_zip(room: Classroom, name: str, learner: str, values: Mapping[str, Drawn] | None) -> Path:
    """One learner's copy, to be unpacked in ~/gpulab: their own values and nobody else's."""
    folder = private_dir(room.handouts / name)
    path, part = folder / f"{learner}.zip", folder / f".{learner}.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as made:
        for file in sorted((room.release / name).iterdir()):
            if file.name not in (VARIANTS, "variant.toml"):
                made.write(file, f"exercises/{name}/{file.name}")
        if values is not None:
            made.writestr(f"exercises/{name}/variant.toml", tomli_w.dumps(dict(values)))
    part.replace(path)
    return path
