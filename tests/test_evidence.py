"""Evidence survives a file, and its digest says whether it is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from autograders.evidence import digest, from_json, load, save, to_json
from autograders.model import Evidence, Phase, Problem

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def evidence(*objects: dict[str, Any]) -> Evidence:
    phase = Phase("final", ("pods",), objects, logs={"a/b/c": "ü"}, problems=(Problem("x", "y"),))
    return Evidence("01", "d", "embedded", {"kubernetes": "1.36.3"}, None, 1.0, "now", (phase,))


@given(st.dictionaries(st.text(), json_values))
def test_json_and_back_is_the_same(thing: dict[str, Any]) -> None:
    assert from_json(to_json(evidence(thing))) == evidence(thing)


def test_the_order_of_keys_does_not_change_the_digest() -> None:
    assert digest(evidence({"a": 1, "b": 2})) == digest(evidence({"b": 2, "a": 1}))


def test_a_changed_value_changes_the_digest() -> None:
    assert digest(evidence({"a": 1})) != digest(evidence({"a": 2}))
    assert digest(evidence()) != digest(replace(evidence(), seed="s"))


def test_a_saved_file_loads(tmp_path: Path) -> None:
    save(evidence({"a": 1}), tmp_path / "e.json")
    assert load(tmp_path / "e.json") == evidence({"a": 1})
    assert [each.name for each in tmp_path.iterdir()] == ["e.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"exercise": 1}', b"[" * 100_000])
def test_another_file_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "e.json").write_bytes(data)
    with pytest.raises(InputError, match=r"e\.json is not an Evidence"):
        load(tmp_path / "e.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.json")
