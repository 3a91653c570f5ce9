"""Certificates: who signs whom, for which use, and that only their owner can read them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpulab.pki import (
    APISERVER_CLIENT,
    GRADER,
    METRICS,
    Pair,
    make_cluster_pki,
    make_kubelet_pki,
    write_private,
)


def certificate(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.crt.read_bytes())


def common_name(pair: Pair) -> str:
    return str(certificate(pair).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def uses(pair: Pair) -> list[x509.ObjectIdentifier]:
    return list(certificate(pair).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_the_kubelets_authority_signs_server_and_client(tmp_path: Path) -> None:
    made = make_kubelet_pki(tmp_path / "pki")
    authority = certificate(made.ca)
    for pair in (made.server, made.client):
        certificate(pair).verify_directly_issued_by(authority)
    assert uses(made.server) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert uses(made.client) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert common_name(made.client) == APISERVER_CLIENT


def test_the_kubelets_certificate_is_good_for_loopback_and_the_metrics_service_only(
    tmp_path: Path,
) -> None:
    server = certificate(make_kubelet_pki(tmp_path).server)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", METRICS]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_keys_belong_to_their_certificates_and_to_their_owner(tmp_path: Path) -> None:
    made = make_kubelet_pki(tmp_path / "pki")
    for pair in (made.ca, made.server, made.client):
        ssl.create_default_context().load_cert_chain(pair.crt, pair.key)  # raises if they differ
    files = list((tmp_path / "pki").iterdir())
    assert len(files) == 6
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700


def test_two_labs_do_not_trust_each_others_kubelets(tmp_path: Path) -> None:
    one, two = (make_kubelet_pki(tmp_path / name) for name in ("one", "two"))
    with pytest.raises(InvalidSignature):
        certificate(one.client).verify_directly_issued_by(certificate(two.ca))


def cluster_pairs(folder: Path) -> tuple[Pair, Pair, Pair]:
    make_cluster_pki(folder, folder)
    return tuple(Pair(folder / f"{n}.crt", folder / f"{n}.key") for n in ("ca", "admin", GRADER))


def test_the_cluster_signs_its_administrator_and_the_grader(tmp_path: Path) -> None:
    ca, admin, grader = cluster_pairs(tmp_path)
    for pair in (admin, grader):
        certificate(pair).verify_directly_issued_by(certificate(ca))
    assert common_name(grader) == GRADER
    assert uses(grader) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    groups = certificate(grader).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert groups == []  # in `system:masters` it could do everything


def test_cluster_and_kubelets_do_not_trust_each_other(tmp_path: Path) -> None:
    ca, admin, _ = cluster_pairs(tmp_path / "cluster")
    kubelets = make_kubelet_pki(tmp_path / "kubelets")
    for pair, authority in ((admin, kubelets.ca), (kubelets.client, ca)):
        with pytest.raises((ValueError, InvalidSignature)):
            certificate(pair).verify_directly_issued_by(certificate(authority))


def test_every_certificate_says_a_serial_number_that_is_allowed(tmp_path: Path) -> None:
    """RFC 5280 wants a positive one; cryptography warns when it parses another."""
    serials = [certificate(pair).serial_number for pair in cluster_pairs(tmp_path)]
    assert all(serial > 0 for serial in serials)
    assert len(set(serials)) == len(serials)


def test_a_private_file_is_whole_private_and_replaces_an_open_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
