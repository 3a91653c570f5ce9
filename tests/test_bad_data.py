"""What bad data gets: a readable refusal, or the right one of the four outcomes; never a crash."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograders.checks import check
from autograders.connect import LARGEST as LARGEST_KUBECONFIG
from autograders.connect import Unreachable, connect
from autograders.errors import InputError
from autograders.evidence import load
from autograders.grade import grade_live
from autograders.load import Collect, Exercise, Settings, run_module
from autograders.model import CheckFailed, Evidence, Phase
from autograders.plain_yaml import DEEPEST, fault
from autograders.quiz.manifest import LARGEST as LARGEST_MANIFEST
from autograders.quiz.manifest import read_manifest
from autograders.run import decide
from gpulab.fleets import LARGEST as LARGEST_FLEET
from gpulab.fleets import load_fleet
from tests.served import CUT, Answer, Served, serving, write_kubeconfig

PODS = "/api/v1/namespaces/lab/pods"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "x: " + "[" * 50_000
CYCLE = "x: &x [*x]\n"
TWICE = "x: {a: 1, b: 2, a: 3}\n"
NOT_PLAIN = {
    "bomb": (BOMB, "it uses an alias"),
    "cycle": (CYCLE, "it uses an alias"),
    "deep": (DEEP, f"nested deeper than {DEEPEST} levels"),
    "twice": (TWICE, "the key 'a' stands there twice"),
}
each_bad = pytest.mark.parametrize(("text", "why"), NOT_PLAIN.values(), ids=NOT_PLAIN)


# -- YAML


@each_bad
def test_yaml_that_is_not_plain_is_named_before_it_is_built(text: str, why: str) -> None:
    assert why in fault(text)


@pytest.mark.parametrize(
    "text",
    ["", "a: 1\nb: {a: 1}\nc: [{a: 1}, {a: 2}]", "- a\n- a", "? [a]\n: a\n? [b]\n: a", "a: '*x'"],
)
def test_plain_yaml_has_no_fault(text: str) -> None:
    assert fault(text) == ""


def test_a_value_like_a_key_is_no_second_key() -> None:
    assert fault("a: b\nb: a\nc: c") == ""


@each_bad
def test_a_manifest_that_is_not_plain_costs_nothing_but_a_try(text: str, why: str) -> None:
    with pytest.raises(CheckFailed, match="it is not plain YAML") as refused:
        read_manifest(f"kind: Pod\n{text}")
    assert why in refused.value.seen
    assert refused.value.next


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "\0",
        "x: .nan",
        "x: !!binary aGk=",
        "x: !!python/name:os.system",
        "a: 1\n---\nb: 1",
        "5",
        "[]",
        "x: " + "9" * 5000,
        "? [a]\n: b",
        "x" * (LARGEST_MANIFEST + 1),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_text_that_is_no_manifest_costs_nothing_but_a_try(text: str) -> None:
    with pytest.raises(CheckFailed) as refused:
        read_manifest(text)
    assert "\n" not in refused.value.seen
    assert len(refused.value.seen) < 300


@each_bad
def test_a_fleet_that_is_not_plain_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"title: t\n{text}")
    with pytest.raises(InputError) as refused:
        load_fleet(str(file))
    assert str(file) in refused.value.what
    assert why in refused.value.what


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe", b"\0", b"x: [", b"title: !!python/name:os.system\n", b"title: " + b"9" * 5000],
    ids=lambda data: repr(data[:20]),
)
def test_a_fleet_that_is_no_yaml_is_refused_on_one_line(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(data)
    with pytest.raises(InputError) as refused:
        load_fleet(str(file))
    assert str(file) in refused.value.what
    assert "\n" not in refused.value.what


def test_a_fleet_above_the_stated_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"#" * (LARGEST_FLEET + 1))
    with pytest.raises(InputError, match=f"larger than {LARGEST_FLEET // 1024} KiB"):
        load_fleet(str(file))


def test_a_folder_in_place_of_a_fleet_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(InputError, match=r"mine\.yaml cannot be read: Is a directory"):
        load_fleet(str(tmp_path / "mine.yaml"))


# -- other files


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"x: " + b"[" * 5000, "is broken"), (b"#" * (LARGEST_KUBECONFIG + 1), "larger than 1 MiB")],
    ids=["deep", "huge"],
)
def test_an_absurd_kubeconfig_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(data)
    with pytest.raises(InputError, match=what) as refused:
        connect(file)
    assert str(file) in refused.value.what


def test_an_evidence_above_the_stated_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    with file.open("wb") as sparse:
        sparse.truncate(513 * 1024 * 1024)
    with pytest.raises(InputError, match="is larger than"):
        load(file)


@pytest.mark.parametrize(
    "code",
    ["1 / 0", "{}['x']", "assert False", "raise RuntimeError('no')", "import sys; sys.exit(0)"],
)
def test_a_checks_file_that_ends_early_is_named(tmp_path: Path, code: str) -> None:
    file = tmp_path / "checks.py"
    file.write_text(code)
    with pytest.raises(InputError, match=r"checks\.py cannot be loaded"):
        run_module(file)


# -- checks


def exercise(*judges: Callable[[Any], None]) -> Exercise:
    collect = (Collect("v1", "pods"),)
    settings = Settings("T", "9", "lab", ("o",), ("h",), collect, settle_seconds=1)
    checks = tuple(check(points=1)(each) for each in judges)
    return Exercise("01-t", Path("01-t"), settings, checks, (), (), (), "d")


def passes(cluster: Any) -> None:
    return None


def exits(cluster: Any) -> None:
    sys.exit(0)


def recurses(cluster: Any) -> None:
    recurses(cluster)


def divides(cluster: Any) -> None:
    assert 1 / 0


def reads_what_is_not_there(cluster: Any) -> None:
    assert cluster.phase.objects[0]["spec"]["containers"][99]


@pytest.mark.parametrize("judge", [exits, recurses, divides, reads_what_is_not_there])
def test_a_check_that_goes_wrong_is_broken_and_stops_no_other(judge: Any) -> None:
    phase = Phase(
        "final", ("pods",), ({"kind": "Pod", "metadata": {}, "spec": {"containers": []}},)
    )
    evidence = Evidence("01-t", "d", "embedded", {}, None, 1.0, "now", (phase,))
    report = decide(exercise(judge, passes), evidence, {})
    assert [each.outcome.value for each in report.results] == ["broken", "passed"]
    assert (report.score, report.undecided) == (1.0, 1.0)


# -- answers of the API


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as state:
        yield state


def pod_is_there(cluster: Any) -> None:
    cluster.pod("p")


def graded(served: Served, folder: Path) -> list[tuple[str, str]]:
    config = write_kubeconfig(served, folder)
    none = folder / "answers.toml"
    report = grade_live(exercise(pod_is_there, passes), config, none, provider="embedded")
    return [(each.outcome.value, each.seen) for each in report.results]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, "<html></html>"), "is not JSON"),
        ((200, "[]"), "is not JSON"),
        ((200, ""), "is not JSON"),
        ((200, {"items": 5}), "no list of objects"),
        ((200, {"items": [5]}), "no list of objects"),
        ((200, {"items": [{}]}), "no list of objects"),
        ((200, {"items": [{"metadata": None}]}), "no list of objects"),
        ((410, {"message": "too old"}), "410: too old"),
        ((429, {"message": "too many"}), "429: too many"),
        ((500, {"message": "etcd"}), "500: etcd"),
        ((503, "no"), "503: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_none_breaks_what_needs_it(
    served: Served, tmp_path: Path, answer: Answer, why: str
) -> None:
    served.answers = {PODS: answer}
    (needs_it, other) = graded(served, tmp_path)
    assert needs_it[0] == "broken"
    assert "pods could not be read: " in needs_it[1]
    assert why in needs_it[1]
    assert other[0] == "passed"


def test_a_connection_that_is_cut_at_first_is_said(served: Served, tmp_path: Path) -> None:
    served.answers = {PODS: (CUT, {"items": []})}
    with pytest.raises(Unreachable, match="cannot reach the cluster at") as refused:
        graded(served, tmp_path)
    assert "gpulab up" in refused.value.do


def test_a_cluster_that_dies_in_the_middle_decides_nothing(served: Served, tmp_path: Path) -> None:
    pending = {"metadata": {"name": "p", "namespace": "lab"}, "status": {"phase": "Pending"}}
    served.answers = {PODS: [(200, {"kind": "PodList", "items": [pending]}), (CUT, {"items": []})]}
    (needs_it, other) = graded(served, tmp_path)
    assert needs_it[0] == "broken"
    assert "cannot reach the cluster" in needs_it[1]
    assert other[0] == "passed"


def test_an_object_that_vanishes_is_judged_as_gone(served: Served, tmp_path: Path) -> None:
    pending = {"metadata": {"name": "p", "namespace": "lab"}, "status": {"phase": "Pending"}}
    there, gone = ((200, {"kind": "PodList", "items": items}) for items in ([pending], []))
    served.answers = {PODS: [there, gone]}
    (needs_it, _) = graded(served, tmp_path)
    assert needs_it == ("failed", "there is no Pod p in namespace lab")
