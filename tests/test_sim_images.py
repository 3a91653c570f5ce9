"""Images: known repositories are strict about tags, unknown ones are taken for granted aloud."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograders.errors import InputError
from gpulab.paths import DATA
from gpulab.sim.image_messages import reference
from gpulab.sim.images import Images, repository

IMAGES = Images.load(DATA / "images")


@pytest.mark.parametrize(
    "image",
    [
        "nvidia/cuda:12.4.1-base-ubuntu22.04",
        "docker.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
        "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
    ],
)
def test_a_listed_tag_arrives_and_takes_its_time(image: str) -> None:
    pull = IMAGES.pull(image)
    assert pull.failure is None
    assert pull.verified
    assert pull.seconds > 0
    assert pull.size > 0


@pytest.mark.parametrize(
    "image", ["nvidia/cuda:12.1-devel-ubuntu22.04", "nvidia/cuda", "nvidia/cuda:latest"]
)
def test_a_tag_that_does_not_exist_fails_in_containerds_words(image: str) -> None:
    pull = IMAGES.pull(image)
    assert pull.failure == (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{reference(image)}": '
        f"failed to resolve image: {reference(image)}: not found"
    )


def test_a_digest_names_an_image_that_exists() -> None:
    assert IMAGES.pull("nvidia/cuda@sha256:" + "0" * 64).failure is None


@pytest.mark.parametrize("image", ["busybox", "example.com/nvidia/cuda:1", "nvidia/cuda2:1"])
def test_any_other_repository_is_taken_for_granted_and_not_called_verified(image: str) -> None:
    pull = IMAGES.pull(image)
    assert pull.failure is None
    assert not pull.verified


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("busybox:1.37", "docker.io/library/busybox"),
        ("nvidia/cuda:12", "docker.io/nvidia/cuda"),
        ("docker.io/busybox", "docker.io/library/busybox"),
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause"),
        ("localhost:5000/a/b", "localhost:5000/a/b"),
        ("localhost:5000/a/b:c@sha256:0", "localhost:5000/a/b"),
        ("localhost/a", "localhost/a"),
        ("a.b/c", "a.b/c"),
    ],
)
def test_the_repository_is_the_name_without_tag_and_digest(image: str, wanted: str) -> None:
    assert repository(image) == wanted


part = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)
tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,10}", fullmatch=True)


@given(st.lists(part, min_size=1, max_size=3).map("/".join), tag)
def test_a_tag_does_not_change_the_repository(name: str, tag: str) -> None:
    assert repository(f"{name}:{tag}") == repository(name)
    assert reference(f"{name}:{tag}") == f"{repository(name)}:{tag}"
    assert reference(reference(name)) == reference(name)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("repository: a\ntags: [b]\nsources: []\ncolour: red\n", "colour"),
        ("repository: a\ntags: [b]\n", "sources"),
        ("repository: a\ntags: b\nsources: []\n", "tags"),
        ("[", ""),
        ("\udcff", ""),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_key(
    tmp_path: Path, content: str, key: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as refused:
        Images.load(tmp_path)
    assert str(file) in refused.value.what
    assert key in refused.value.what
