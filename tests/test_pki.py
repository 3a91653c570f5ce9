"""Certificates: who signs whom, for which use, and that only their owner can read them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpulab import pki
from gpulab.pairs import APISERVER_CLIENT, GRADER, LEARNER, LEARNERS, EtcdPki, KubeletPki, Pair
from gpulab.pki import METRICS, make_cluster_pki, make_kubelet_pki
from gpulab.private import write_private


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


def groups(pair: Pair) -> list[object]:
    names = certificate(pair).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [each.value for each in names]


def test_the_learner_is_in_a_group_that_rules_can_bind(tmp_path: Path) -> None:
    """No rule and no admission policy binds `system:masters`."""
    _, admin, _ = cluster_pairs(tmp_path)
    assert groups(admin) == ["system:masters"]
    learner = Pair(tmp_path / f"{LEARNER}.crt", tmp_path / f"{LEARNER}.key")
    assert (common_name(learner), groups(learner)) == (LEARNER, [LEARNERS])


def test_a_certificate_that_is_whole_has_no_defect(tmp_path: Path) -> None:
    everything(tmp_path)
    for family in pki.families(tmp_path, tmp_path):
        assert [pki.defect(pair, family.authority) for pair in family.pairs] == [None] * len(
            family.pairs
        )


def everything(folder: Path) -> None:
    for family in pki.families(folder, folder):
        family.make()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda pair, other: pair.crt.unlink(), "etcd.crt, which was missing"),
        (lambda pair, other: pair.key.unlink(), "etcd.key, which was missing"),
        (lambda pair, other: pair.crt.write_bytes(b""), "etcd.crt, which was damaged"),
        (lambda pair, other: pair.crt.write_bytes(pair.crt.read_bytes()[:300]), "was damaged"),
        (lambda pair, other: pair.key.write_text("x"), "was damaged"),
        (lambda pair, other: pair.key.write_bytes(other.key.read_bytes()), "belong to its key"),
        (
            lambda pair, other: [
                getattr(pair, kind).write_bytes(getattr(other, kind).read_bytes())
                for kind in ("crt", "key")
            ],
            "was damaged",  # signed by another authority
        ),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    tmp_path: Path, spoil: Callable[[Pair, Pair], object], words: str
) -> None:
    everything(tmp_path)
    etcd, kubelet = EtcdPki(tmp_path), KubeletPki(tmp_path)
    spoil(etcd.server, kubelet.server)
    assert words in (pki.defect(etcd.server, etcd.ca) or "")


def test_tokens_of_service_accounts_outlive_the_certificates(tmp_path: Path) -> None:
    """Their key is the administrator's, and is kept when it can be read."""
    cluster_pairs(tmp_path)
    before = (tmp_path / "admin.key").read_bytes()
    (tmp_path / "ca.key").unlink()
    cluster_pairs(tmp_path)
    assert (tmp_path / "admin.key").read_bytes() == before
    (tmp_path / "admin.key").write_text("damaged")
    cluster_pairs(tmp_path)
    assert (tmp_path / "admin.key").read_bytes() != before


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
