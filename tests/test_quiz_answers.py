"""One answer is saved, all others and the learner's own lines stay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from autograders.errors import InputError
from autograders.model import Answer
from autograders.quiz import read_answers, save_answer

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
single = st.one_of(texts, st.integers(-(2**60), 2**60), st.booleans(), st.floats(allow_nan=False))
answers = st.one_of(single, st.lists(texts, max_size=4).map(tuple))
names = st.sampled_from(["a", "ab", "b", "long_name"])


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(names, answers),
    st.lists(st.tuples(names, st.none() | answers), max_size=6),
    st.booleans(),
)
def test_the_file_always_holds_what_was_saved_last(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, Answer],
    saved: list[tuple[str, Answer | None]],
    multiline: bool,
) -> None:
    path = tmp_path_factory.mktemp("answers") / "answers.toml"
    path.write_bytes(tomli_w.dumps(before, multiline_strings=multiline).encode())
    expected = dict(read_answers(path))
    for name, answer in saved:
        save_answer(path, name, answer)
        expected.pop(name, None)
        if answer is not None:
            expected[name] = answer
    assert read_answers(path) == expected


FILE = """# Mine.

# What?
# a = ""

# And this?
b = \"\"\"
a = 1
\"\"\"  # keep
"""


def test_the_offered_line_is_filled_in_and_every_other_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(FILE)
    save_answer(path, "a", "x")
    assert path.read_text() == FILE.replace('# a = ""', 'a = "x"')
    save_answer(path, "a", None)
    assert path.read_text() == FILE


def test_a_text_of_several_lines_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(FILE)
    save_answer(path, "b", "one\ntwo\n")
    assert read_answers(path) == {"b": "one\ntwo\n"}
    assert path.read_text().startswith(FILE[: FILE.index("b =")])
    assert '"""\none\ntwo\n"""' in path.read_text()


def test_an_answer_without_a_place_goes_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.toml"
    save_answer(path, "a", ("x", "y"))
    save_answer(path, "b", 2)
    assert tomllib.loads(path.read_text()) == {"a": ["x", "y"], "b": 2}
    assert [each.name for each in path.parent.iterdir()] == ["answers.toml"]


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(b"# mine\r\na = 1\r\nc = 3\r\n")
    save_answer(path, "a", 2)
    assert path.read_bytes() == b"# mine\r\na = 2\nc = 3\r\n"


@pytest.mark.parametrize("data", [b"a = ", b"a = '\xff'", b"[t]\nb = 1\n"])
def test_a_file_that_cannot_be_read_is_never_overwritten(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"answers\.toml"):
        save_answer(path, "b", 1)
    assert path.read_bytes() == data


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_answer(tmp_path / "file" / "answers.toml", "a", 1)


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    save_answer(path, "a", "x\udcff")
    assert read_answers(path) == {"a": "x?"}
