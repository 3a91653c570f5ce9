"""A seed draws the same values always; nobody else's seed, and no other exercise's, is the same."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from autograders import variants
from autograders.cluster import Node
from autograders.errors import InputError
from autograders.load import load_exercise, read_variant
from autograders.variants import Spec, Value, draw, is_drawn_from, options_of, render, seed_of
from gpulab import variant
from gpulab.paths import ROOT
from tests.conftest import Lab, said

EXERCISE = ROOT / "exercises" / "02-fix-broken-pytorch"
SPEC = msgspec.toml.decode((EXERCISE / "variant.toml").read_bytes(), type=Spec)
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
seeds = st.binary(max_size=40)
values = st.one_of(
    st.lists(st.text(min_size=1), min_size=1, unique=True).map(lambda all_: Value(tuple(all_))),
    st.tuples(st.integers(-99, 99), st.integers(0, 99), st.integers(1, 9)).map(
        lambda three: Value(range=(three[0], three[0] + three[1]), step=three[2])
    ),
)
specs = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), values).map(
    lambda drawn: Spec(drawn, "task")
)


def node(product: str, gpus: int) -> Node:
    labels = {"nvidia.com/gpu.product": product} if product else {}
    amounts = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return Node({"metadata": {"labels": labels}, "status": {"allocatable": amounts}})


@given(specs, seeds)
def test_the_same_seed_draws_the_same_allowed_values(spec: Spec, seed: bytes) -> None:
    drawn = draw(spec, seed)
    assert draw(spec, seed) == drawn
    assert is_drawn_from(spec, drawn)


@given(specs, values, seeds)
def test_another_value_does_not_change_the_others(spec: Spec, more: Value, seed: bytes) -> None:
    longer = draw(Spec({**spec.values, "another_one": more}, "task"), seed)
    assert {name: longer[name] for name in spec.values} == draw(spec, seed)


@given(st.lists(st.tuples(words, words), unique=True, max_size=6), st.binary(min_size=1))
def test_learners_and_exercises_never_share_a_seed(
    pairs: list[tuple[str, str]], secret: bytes
) -> None:
    assert len({seed_of(secret, *pair) for pair in pairs}) == len(pairs)


def test_the_border_between_learner_and_exercise_counts() -> None:
    assert seed_of(b"s", "ab", "c") != seed_of(b"s", "a", "bc")
    with pytest.raises(InputError, match="zero byte"):
        seed_of(b"s", "a\0b", "c")


@given(words, st.binary(), st.binary())
def test_another_secret_is_another_seed(learner: str, one: bytes, other: bytes) -> None:
    alike = one.rstrip(b"\0") == other.rstrip(b"\0")  # HMAC pads short keys with zeros
    assert alike or seed_of(one, learner, "x") != seed_of(other, learner, "x")


@given(seeds)
def test_every_value_of_a_choice_is_drawn_for_somebody(seed: bytes) -> None:
    value = SPEC.values["product"]
    drawn = {draw(SPEC, seed + bytes([each]))["product"] for each in range(64)}
    assert drawn == set(value.choices)


@given(st.lists(st.tuples(st.sampled_from(["A", "B", ""]), st.integers(0, 8)), max_size=5), seeds)
def test_on_a_cluster_of_ones_own_only_what_nodes_offer_is_drawn(
    offered: list[tuple[str, int]], seed: bytes
) -> None:
    nodes = [node(*each) for each in offered]
    models = {product for product, _ in offered if product}
    largest = {one: max(gpus for product, gpus in offered if product == one) for one in models}
    if not models or not all(largest.values()):
        return
    drawn = draw(SPEC, seed, nodes)
    assert drawn["product"] in models
    assert 1 <= int(drawn["gpus"]) <= min(3, largest[str(drawn["product"])])
    assert is_drawn_from(SPEC, drawn, nodes)


@pytest.mark.parametrize("nodes", [[], [node("", 0)], [node("H100", 0)]])
def test_a_cluster_that_offers_nothing_is_said(nodes: list[Node]) -> None:
    with pytest.raises(InputError, match="no node of this cluster offers"):
        draw(SPEC, b"", nodes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$a-$b", "x-3"), ("${a}Gi", "xGi"), ("costs $$5", "costs $5"), ("", "")],
)
def test_values_take_the_place_of_their_names(text: str, expected: str) -> None:
    assert render(text, {"a": "x", "b": 3}, "file") == expected


@pytest.mark.parametrize(
    ("text", "what"), [("$c", r"file: nothing draws \$c"), ("5 $", "file: Invalid placeholder")]
)
def test_a_template_that_cannot_be_filled_names_its_file(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        render(text, {"a": "x"}, "file")


@pytest.mark.parametrize(
    ("toml", "what"),
    [
        ("[values.a]", "a needs either choices or a range"),
        ("[values.a]\nchoices = [1]\nrange = [1, 2]", "a needs either choices or a range"),
        ("[values.a]\nrange = [2, 1]", "the range of a is empty"),
        ('[values.a]\nrange = [1, 2]\nnode_label = "x"', "only choices can have a node_label"),
        ("[values.A]\nchoices = [1]", "matching regex"),
        ("[values.a]\nchoices = [1]\ncolour = 1", "colour"),
    ],
)
def test_a_faulty_variant_is_refused(tmp_path: Path, toml: str, what: str) -> None:
    (tmp_path / "variant.toml").write_text(f'task = "t"\n{toml}\n')
    with pytest.raises(InputError, match=what):
        read_variant(tmp_path)


def test_an_exercise_without_a_variant_is_the_same_for_all() -> None:
    exercise = load_exercise(ROOT / "exercises" / "01-deploy-gpu-pod")
    assert (exercise.variant, exercise.task) == ({}, "")


@settings(deadline=None)
@given(seeds)
def test_every_file_of_exercise_2_can_be_made_for_everybody(seed: bytes) -> None:
    drawn = draw(SPEC, seed)
    exercise = load_exercise(EXERCISE, drawn)
    assert str(drawn["pod"]) == exercise.settings.logs[0].pod
    assert all(str(drawn[name]) in exercise.task for name in ("pod", "product", "gpus"))
    for file in EXERCISE.rglob("*.yaml"):
        for each in yaml.safe_load_all(render(file.read_text(), drawn, str(file))):
            assert each["metadata"]["name"] in (drawn["pod"], "gpu-access", "proof", "beside")


def test_the_prose_of_exercise_2_never_repeats_a_varied_value() -> None:
    cells = msgspec.json.decode((EXERCISE / "exercise.ipynb").read_bytes())["cells"]
    prose = "".join(line for cell in cells for line in cell["source"])
    named = [each for name in ("pod", "product") for each in options_of(SPEC.values[name])]
    assert not [each for each in named if str(each) in prose]


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPULAB_WORK", str(tmp_path))
    return tmp_path


def test_a_learners_values_stay(learner: Path) -> None:
    first = variant.exercise_of(EXERCISE)
    (learner / ".gpulab" / "secret").write_text("another")
    assert variant.exercise_of(EXERCISE).variant == first.variant
    assert variants.is_drawn_from(SPEC, first.variant)


def test_the_secret_is_random_and_only_its_owners(learner: Path) -> None:
    secret = variant.own_secret()
    file = learner / ".gpulab" / "secret"
    assert (len(secret), stat.S_IMODE(file.stat().st_mode)) == (64, 0o600)
    file.unlink()
    assert variant.own_secret() != secret


def test_values_that_a_class_gave_count(learner: Path) -> None:
    given_: dict[str, Any] = {
        "pod": "broken-bert",
        "memory_gib": 8,
        "product": "NVIDIA-L40S",
        "gpus": 3,
    }
    variant.keep(EXERCISE.name, given_)
    assert variant.exercise_of(EXERCISE).variant == given_


@pytest.mark.parametrize("kept", ["pod = 1", "=", 'pod = "x"\nmemory_gib = 4\ngpus = 1\n'])
def test_values_that_are_not_drawn_any_more_are_drawn_anew(learner: Path, kept: str) -> None:
    file = variant.file(EXERCISE.name)
    file.parent.mkdir(parents=True)
    file.write_text(kept)
    assert variants.is_drawn_from(SPEC, variant.exercise_of(EXERCISE).variant)


def test_values_follow_the_cluster(learner: Path) -> None:
    own = variant.exercise_of(EXERCISE, [node("NVIDIA-A10", 1)])
    assert (own.variant["product"], own.variant["gpus"]) == ("NVIDIA-A10", 1)
    assert variant.exercise_of(EXERCISE).variant["product"] in SPEC.values["product"].choices


def test_an_author_sees_task_key_and_solution(no_lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    shown = no_lab.gpulab("variant", "02", "--learner", "ada", "--secret-file", str(secret))
    drawn = draw(SPEC, seed_of(b"0123456789abcdef", "ada", EXERCISE.name))
    assert shown.returncode == 0, shown.stderr
    assert f"nvidia.com/gpu: {drawn['gpus']}\n" in shown.stdout
    assert f"product = {drawn['product']}" in shown.stdout
    assert "# Task" in shown.stdout


def test_a_learner_sees_the_same_task_each_time(no_lab: Lab) -> None:
    first = no_lab.gpulab("task", "02")
    assert first.returncode == 0, first.stderr
    assert no_lab.gpulab("task", "02").stdout == first.stdout
    assert "Fix a PyTorch Pod" in first.stdout


def test_a_secret_that_is_none_is_refused(no_lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("abc")
    for file, what in (("short", "3 bytes"), ("none", "cannot be read")):
        path = str(tmp_path / file)
        done = no_lab.gpulab("variant", "02", "--learner", "a", "--secret-file", path)
        assert what in said(done)[0]


def test_an_exercise_that_is_the_same_for_all_has_no_variant(no_lab: Lab) -> None:
    assert "same for all" in said(no_lab.gpulab("variant", "01", "--learner", "a"))[0]
