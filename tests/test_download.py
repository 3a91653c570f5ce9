"""Release downloads, from a server of the tests: whole and verified, or not there at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpulab.binaries import download, transfer
from gpulab.binaries.cache import Cache
from gpulab.binaries.releases import here
from gpulab.versions import Group, Release
from tests.releases import Releases, serving, sha256, sums, tar_gz, zip_

ONE = b"#!/bin/sh\necho one\n".ljust(400_000, b"1")
TWO = b"#!/bin/sh\necho two\n".ljust(300_000, b"2")
HOST = "dl.example.com/v1.2.3"


def group(pins: dict[str, str] | None = None, file: str = "{program}") -> Group:
    """Two programs, published on this platform."""
    release = Release(
        folder=f"https://{HOST.replace('1.2.3', '{version}')}",
        checksums="{folder}/{file}.sha256",
        files={here(): file},
        sha256={f"{here()}/{name}": each for name, each in (pins or {}).items()},
    )
    return Group(version="1.2.3", programs=("one", "two"), module="m", release=release)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    with serving(tmp_path / "pki") as found:
        for name, value in found.env.items():
            monkeypatch.setenv(name, value)
        for name, content in (("one", ONE), ("two", TWO)):
            found.files[f"{HOST}/{name}"] = content
            found.files[f"{HOST}/{name}.sha256"] = sha256(content).encode()
        yield found


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "bin").mkdir()
    return Cache(tmp_path / "bin")


def refusal(cache: Cache, of: Group) -> str:
    """Why it is not downloaded; the cache then holds no part of it."""
    refused = download.fill(cache, {"g": of})
    assert not cache.has("g", of)
    assert not cache.folder("g", of).exists()
    assert list(refused) == ["g 1.2.3"]
    return refused["g 1.2.3"]


def assert_whole(cache: Cache, of: Group) -> None:
    assert cache.has("g", of)
    folder = cache.folder("g", of)
    assert (folder / "one").read_bytes() == ONE
    assert (folder / "two").read_bytes() == TWO
    assert [path.name for path in cache.root.iterdir()] == [folder.name]  # and nothing else
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.iterdir()))


def test_what_is_published_is_put_into_the_cache(server: Releases, cache: Cache) -> None:
    assert download.fill(cache, {"g": group()}) == {}
    assert_whole(cache, group())


@pytest.mark.parametrize(("suffix", "pack"), [("tar.gz", tar_gz), ("zip", zip_)])
def test_an_archive_gives_its_programs_and_nothing_else(
    server: Releases, cache: Cache, suffix: str, pack: object
) -> None:
    inside = {"x-v1/one": ONE, "x-v1/two": TWO, "x-v1/README.md": b"no", "../../evil": b"no"}
    content = pack(inside)  # type: ignore[operator]
    packed = group(file=f"x-v{{version}}.{suffix}")
    server.files[f"{HOST}/x-v1.2.3.{suffix}"] = content
    server.files[f"{HOST}/x-v1.2.3.{suffix}.sha256"] = sums({f"x-v1.2.3.{suffix}": content})
    assert download.fill(cache, {"g": packed}) == {}
    assert_whole(cache, packed)
    assert len(server.ranges(f"{HOST}/x-v1.2.3.{suffix}")) == 1


def test_an_archive_without_a_program_is_refused(server: Releases, cache: Cache) -> None:
    content = tar_gz({"x/one": ONE})
    server.files[f"{HOST}/x.tar.gz"] = content
    server.files[f"{HOST}/x.tar.gz.sha256"] = sha256(content).encode()
    assert "x.tar.gz holds no two" in refusal(cache, group(file="x.tar.gz"))


def test_a_file_with_another_sum_than_the_published_one_is_refused_and_thrown_away(
    server: Releases, cache: Cache
) -> None:
    server.files[f"{HOST}/two.sha256"] = b"0" * 64
    why = refusal(cache, group())
    assert sha256(TWO) in why
    assert "0" * 64 in why
    assert not list(cache.root.glob("*/*two*"))


def test_a_known_sum_goes_before_the_published_one(server: Releases, cache: Cache) -> None:
    """Whoever has taken the server over publishes the sum of his own file, too."""
    pinned = group({"two": sha256(b"the true one")})
    assert sha256(b"the true one") in refusal(cache, pinned)
    assert server.ranges(f"{HOST}/two.sha256") == []
    assert download.fill(cache, {"g": group({"two": sha256(TWO)})}) == {}
    assert_whole(cache, group())


@pytest.mark.parametrize("text", [b"<html>not found</html>", b"", b"\xff\xfe"])
def test_a_page_in_place_of_a_sum_is_refused(server: Releases, cache: Cache, text: bytes) -> None:
    server.files[f"{HOST}/one.sha256"] = text
    assert "no SHA-256 of one" in refusal(cache, group())
    assert server.ranges(f"{HOST}/one") == []  # nothing is fetched that cannot be verified


@pytest.mark.parametrize("lost", ["one", "one.sha256"])
def test_a_file_that_is_not_there_is_named_with_its_host(
    server: Releases, cache: Cache, lost: str
) -> None:
    del server.files[f"{HOST}/{lost}"]
    why = refusal(cache, group())
    assert "404" in why
    assert "127.0.0.1" in why


def test_a_transfer_that_breaks_goes_on_where_it_broke(server: Releases, cache: Cache) -> None:
    server.faults[f"{HOST}/one"] = "truncated"  # each answer ends half way through
    failed = download.fill(cache, {"g": group()})
    asked = server.ranges(f"{HOST}/one")
    assert asked[:3] == [None, f"bytes={len(ONE) // 2}-", f"bytes={len(ONE) - len(ONE) // 4}-"]
    assert len(asked) == 3  # the third brought next to nothing
    assert failed
    del server.faults[f"{HOST}/one"]
    assert download.fill(cache, {"g": group()}) == {}  # the next start of gpulab
    start = int((server.ranges(f"{HOST}/one")[-1] or "").removeprefix("bytes=").rstrip("-"))
    assert start > len(ONE) * 0.8
    assert_whole(cache, group())


def test_a_transfer_that_brings_nothing_new_is_given_up(server: Releases, cache: Cache) -> None:
    server.faults[f"{HOST}/one"] = "ignores ranges"
    refusal(cache, group())
    assert len(server.ranges(f"{HOST}/one")) <= 2


def test_a_server_that_sends_less_than_the_file_is_found_out(
    server: Releases, cache: Cache
) -> None:
    server.faults[f"{HOST}/one"] = "short"
    assert sha256(ONE[:-1]) in refusal(cache, group())


@pytest.mark.parametrize("left", [ONE[:1000], b"x" * 1000, b"x" * 2 * len(ONE), ONE, b""])
def test_whatever_an_earlier_try_left_the_file_becomes_right(
    server: Releases, cache: Cache, left: bytes
) -> None:
    parts = cache.root / download.PARTS
    parts.mkdir()
    (parts / "g-1.2.3-one").write_bytes(left)
    assert download.fill(cache, {"g": group()}) == {}
    assert_whole(cache, group())
    if left == ONE:
        assert server.ranges(f"{HOST}/one") == []


@pytest.mark.parametrize(
    ("fault", "words", "within"),
    [
        ("silent", "no answer in time", transfer.SILENT_SECONDS + 3),
        ("slow", "bytes in", transfer.SLOW_SECONDS + 3),
        ("loop", "redirects", 3),
        ("plain", "over http", 3),
    ],
)
def test_a_bad_source_is_given_up_in_seconds(
    server: Releases, cache: Cache, fault: str, words: str, within: float
) -> None:
    server.faults[f"{HOST}/one"] = fault
    began = time.monotonic()
    assert words in refusal(cache, group())
    assert time.monotonic() - began < within


def test_a_server_whose_certificate_nobody_vouches_for_is_not_believed(
    server: Releases, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in refusal(cache, group()).lower()
    assert server.asked == []


def test_a_group_is_whole_even_if_another_one_fails(server: Releases, cache: Cache) -> None:
    other = Group(version="9", programs=("x",), module="m", release=group().release)
    refused = download.fill(cache, {"g": group(), "h": other})
    assert list(refused) == ["h 9"]
    assert_whole(cache, group())
