"""Hand-ins of `adversarial/`: each file says what is other than the solution, and the end."""

from __future__ import annotations

import copy
import warnings
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from autograders import variants
from autograders.load import Exercise, load_exercise
from gpulab.classroom import pack, release
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.trial import laid_out

FOLDER = Path(__file__).parent / "adversarial"
SECOND = "02-fix-broken-pytorch"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of `adversarial/`."""

    why: str
    """What it tries."""
    ending: str
    """How it must end."""
    score: float | None = None
    """The mark that it must get."""
    exercise: str = SECOND
    values_of: str = "eve"
    """Whose values its solution has."""
    files: dict[str, str] = {}
    """Instead of the solution's; an empty text takes a file away."""
    append: dict[str, str] = {}
    """At the end of a file."""
    patch: dict[str, Any] = {}
    """Merged into the Pod."""
    container: dict[str, Any] = {}
    """Of the Pod's container."""
    repeat: dict[str, Any] = {}
    """An annotation: `key`, `times`."""
    fill: dict[str, dict[str, Any]] = {}
    """File -> `text` and `times`, or `lines`."""
    encoding: str = "utf-8"
    """Of the manifests."""
    entry: list[dict[str, Any]] = []
    """More entries of the zip: `name`, `link`, `mode`."""
    many: dict[str, int] = {}
    """`entries`: so many empty ones."""
    cut: int = 0
    """Bytes of the zip that are left."""
    raw: str = ""
    """Instead of a zip."""
    without_solution: bool = False


def cases() -> dict[str, Case]:
    found = sorted(FOLDER.glob("*.toml"))
    return {each.stem: msgspec.toml.decode(each.read_bytes(), type=Case) for each in found}


def solution(room: Classroom, name: str, learner: str, *over: str) -> dict[str, str]:
    """What gets this learner full marks, under the names that the exercise declares."""
    exercise = exercise_for(room, name, learner)
    declared = [each for each in exercise.settings.files if each.endswith(".yaml")]
    folders = [exercise.folder / each for each in ("solution", *over)]
    with laid_out(exercise, *folders) as laid:
        texts = {path.name: path.read_text() for path in sorted(laid.iterdir())}
    manifests = [each for each in texts if each.endswith(".yaml")]
    if len(manifests) == 1 and declared and declared[0] not in texts:
        texts[declared[0]] = texts.pop(manifests[0])
    return texts


def exercise_for(room: Classroom, name: str, learner: str) -> Exercise:
    values = release.drawn_for(room, name, learner)
    return load_exercise(EXERCISES / name, values)


def hand_in(room: Classroom, case: Case, learner: str, zips: Path) -> Path:
    """Write the zip that a learner uploads."""
    path = zips / f"{learner}+{case.exercise}.zip"
    if case.raw:
        path.write_text(case.raw)
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in contents(room, case, learner).items():
            made.writestr(name, data)
        for number in range(case.many.get("entries", 0)):
            made.writestr(f"x/{number}", b"")
        for each in case.entry:
            info = zipfile.ZipInfo(each["name"])
            mode = 0o120777 if "link" in each else each.get("mode", 0o100644)
            info.external_attr = mode << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # two of one name are what is tried
                made.writestr(info, each.get("link", "x"))
    if case.cut:
        path.write_bytes(path.read_bytes()[: case.cut])
    return path


def contents(room: Classroom, case: Case, learner: str) -> dict[str, bytes]:
    texts = {} if case.without_solution else solution(room, case.exercise, case.values_of)
    values = exercise_for(room, case.exercise, learner).values
    if "pod.yaml" in texts:
        texts["pod.yaml"] = patched(case, texts["pod.yaml"])
    for name, text in case.files.items():
        texts[name] = rendered(text, values)
    for name, text in case.append.items():
        texts[name] += rendered(text, values)
    data = {name: text.encode(case.encoding) for name, text in texts.items() if text}
    for name, fill in case.fill.items():
        data[name] = filled(fill)
    assert set(data) & set(pack.names(load_exercise(EXERCISES / case.exercise))) or not data
    return data


def rendered(text: str, values: variants.Values) -> str:
    for name, value in values.items():
        text = text.replace(f"${name}", str(value))
    return text


def filled(fill: dict[str, Any]) -> bytes:
    if "lines" in fill:
        return "".join(f"a{number} = 1\n" for number in range(fill["lines"])).encode()
    return (fill["text"] * fill["times"]).encode(fill.get("encoding", "utf-8"))  # type: ignore[no-any-return]


def patched(case: Case, text: str) -> str:
    if not (case.patch or case.container or case.repeat):
        return text
    pod = merged(yaml.safe_load(text), case.patch)
    pod["spec"]["containers"][0].update(case.container)
    if case.repeat:
        notes = {"example.org/long": case.repeat["key"] * case.repeat["times"]}
        pod["metadata"]["annotations"] = notes
    return yaml.safe_dump(pod)


def merged(one: Any, other: Any) -> Any:
    """As a JSON merge patch does it."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return copy.deepcopy(other)
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}
