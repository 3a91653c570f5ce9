"""Which provider a new lab gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograders.errors import InputError
from gpulab.choice import choose, remember


@pytest.fixture(autouse=True)
def nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own home, and a Docker that does not answer."""
    monkeypatch.setenv("GPULAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none.sock'}")
    monkeypatch.delenv("GPULAB_PROVIDER", raising=False)


def test_without_a_word_no_docker_is_needed() -> None:
    assert choose(None) == ("embedded", None)


def test_an_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPULAB_PROVIDER", "kind")
    assert choose(None) == ("kind", None)
    assert choose("embedded") == ("embedded", None)


def test_a_choice_of_another_day_gives_way_where_docker_does_not_answer() -> None:
    remember("kind")
    provider, why = choose(None)
    assert provider == "embedded"
    assert why is not None
    assert why.endswith("so this lab is made without it.")
    remember("embedded")
    assert choose(None) == ("embedded", None)


@pytest.mark.kind
def test_a_choice_of_another_day_counts_where_docker_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.conftest import need_kind

    monkeypatch.delenv("DOCKER_HOST")
    need_kind()
    remember("kind")
    assert choose(None) == ("kind", None)


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPULAB_PROVIDER", "minikube")
    with pytest.raises(InputError, match="there is no provider 'minikube'"):
        choose(None)
