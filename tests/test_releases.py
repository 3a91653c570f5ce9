"""Where programs are published, under which names, and how their SHA-256 is read."""

from __future__ import annotations

import re

import pytest

from gpulab.binaries.releases import assets, published
from gpulab.versions import versions
from tests.releases import digests, sums

GROUPS = versions().groups | versions().extras
SUM, OTHER = "a" * 64, "b" * 64
PLATFORMS = [(name, on) for name, g in GROUPS.items() if g.release for on in g.release.files]


def urls(name: str, on: str) -> list[str]:
    return [each.url for each in assets(name, GROUPS[name], on)]


def test_kubernetes_publishes_each_program_by_itself_and_its_sum_beside_it() -> None:
    found = assets("kubernetes", GROUPS["kubernetes"], "linux-arm64")
    version = GROUPS["kubernetes"].version
    base = f"https://dl.k8s.io/release/v{version}/bin/linux/arm64"
    assert [each.url for each in found] == [
        f"{base}/{program}" for program in GROUPS["kubernetes"].programs
    ]
    assert found[0].checksums == f"{base}/kube-apiserver.sha256"
    assert found[0].programs == ("kube-apiserver",)


def test_kubernetes_servers_are_published_for_linux_only() -> None:
    assert urls("kubernetes", "darwin-arm64") == []


def test_etcd_publishes_one_archive_whose_kind_depends_on_the_system() -> None:
    version = GROUPS["etcd"].version
    base = f"https://github.com/etcd-io/etcd/releases/download/v{version}/etcd-v{version}"
    assert urls("etcd", "linux-amd64") == [f"{base}-linux-amd64.tar.gz"]
    assert urls("etcd", "darwin-arm64") == [f"{base}-darwin-arm64.zip"]
    assert assets("etcd", GROUPS["etcd"], "linux-amd64")[0].programs == GROUPS["etcd"].programs


def test_kwok_names_its_files_for_program_and_platform() -> None:
    version = GROUPS["kwok"].version
    base = f"https://github.com/kubernetes-sigs/kwok/releases/download/v{version}"
    expected = [f"{base}/kwok-darwin-arm64", f"{base}/kwokctl-darwin-arm64"]
    assert urls("kwok", "darwin-arm64") == expected


@pytest.mark.parametrize("name", GROUPS)
def test_a_platform_that_nobody_publishes_for_has_no_files(name: str) -> None:
    assert urls(name, "linux-riscv64") == []


@pytest.mark.parametrize(("name", "on"), PLATFORMS)
def test_every_program_lies_in_exactly_one_published_file_of_its_version(
    name: str, on: str
) -> None:
    found = assets(name, GROUPS[name], on)
    assert sorted(p for each in found for p in each.programs) == sorted(GROUPS[name].programs)
    for each in found:
        assert each.url.startswith("https://")
        assert each.checksums.startswith("https://")
        assert f"v{GROUPS[name].version}/" in each.url
        assert "{" not in each.url + each.checksums


@pytest.mark.parametrize("name", GROUPS)
def test_every_pinned_sum_is_one_of_a_file_that_is_asked_for(name: str) -> None:
    """A pin of another version would be passed over in silence."""
    release = GROUPS[name].release
    assert release is not None
    files = {f"{on}/{each.file}" for on in release.files for each in assets(name, GROUPS[name], on)}
    assert release.sha256.keys() <= files
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in release.sha256.values())
    assert len(set(release.sha256.values())) == len(release.sha256)


@pytest.mark.parametrize(
    "text",
    [
        SUM,
        f"{SUM.upper()}\n",
        f"{OTHER}  g.zip\n{SUM}  f.zip\n",
        f"{SUM} *f.zip\n",
        f'{{"assets": [{{"name": "f.zip", "digest": "sha256:{SUM}"}}]}}',
    ],
)
def test_a_sum_is_read_in_each_form_that_the_projects_use(text: str) -> None:
    assert published(text, "f.zip") == SUM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        SUM[:-1],
        f"{SUM}  other-f.zip\n",
        f"{SUM}  f.zip.sig\n{OTHER}  g.zip",
        "{",
        "{}",
        '{"assets": 1}',
        '{"assets": [1, {"name": "f.zip", "digest": null}]}',
        f'{{"assets": [{{"name": "f.zip", "digest": "sha512:{SUM}"}}]}}',
    ],
)
def test_what_names_no_sum_of_the_file_gives_none(text: str) -> None:
    assert published(text, "f.zip") is None


def test_the_servers_of_the_tests_name_sums_in_the_same_forms() -> None:
    files = {"f.zip": b"x", "g.zip": b"y"}
    assert published(sums(files).decode(), "g.zip") == published(digests(files).decode(), "g.zip")
