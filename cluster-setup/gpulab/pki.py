"""The lab's certificates: the cluster's, the kubelets', the grader's.

kwokctl uses a `pki` folder that it finds; we make it, because the authority that kwokctl makes has
serial number 0, which RFC 5280 forbids and libraries begin to refuse. etcd and the kubelets have
authorities of their own: a client certificate of the cluster's opens neither, only the API
server's does.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpulab.pairs import (
    APISERVER_CLIENT,
    ETCD_CLIENT,
    GRADER,
    LEARNER,
    LEARNERS,
    EtcdPki,
    KubeletPki,
    Pair,
    pair_of,
)
from gpulab.ports import LOOPBACK
from gpulab.private import write_private

METRICS = "metrics-server.kube-system.svc"  # as the API server calls who serves metrics
LIFETIME = dt.timedelta(days=3650)
SPARE = dt.timedelta(days=1)  # one that expires so soon would do so while the lab runs
LOCAL_NAMES: list[x509.GeneralName] = [
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address(LOOPBACK)),
]
APISERVER_NAMES = [
    *LOCAL_NAMES,
    *(
        x509.DNSName(f"kubernetes{suffix}")
        for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")
    ),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),  # the Service `kubernetes`
]


def make_kubelet_pki(folder: Path) -> KubeletPki:
    """Write the kubelets' CA, their serving certificate and the API server's client one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = KubeletPki(folder)
    authority = _make_authority(pki.ca, "gpulab-kubelet-ca")
    _sign(pki.client, authority, _name(APISERVER_CLIENT), [ExtendedKeyUsageOID.CLIENT_AUTH], [])
    make_kubelet_server(pki.ca, pki.server, [*LOCAL_NAMES, x509.DNSName(METRICS)])
    return pki


def make_kubelet_server(ca: Pair, pair: Pair, names: list[x509.GeneralName]) -> None:
    """Write a certificate for whom the API server shall believe to be a kubelet."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    _sign(pair, _authority(ca), _name("gpulab-kubelets"), usages, names)


def make_etcd_pki(folder: Path) -> EtcdPki:
    """Write etcd's CA, its own certificate and the API server's client one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = EtcdPki(folder)
    authority = _make_authority(pki.ca, "gpulab-etcd-ca")
    client = [ExtendedKeyUsageOID.CLIENT_AUTH]
    both = [ExtendedKeyUsageOID.SERVER_AUTH, *client]
    _sign(pki.server, authority, _name("gpulab-etcd"), both, LOCAL_NAMES)
    _sign(pki.client, authority, _name(ETCD_CLIENT), client, [])
    return pki


def make_cluster_pki(folder: Path, own: Path) -> None:
    """Write ca and admin as kwokctl names them, and the clients' certificates into `own`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _make_authority(pair_of(folder, "ca"), "gpulab-ca")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    admin, key = pair_of(folder, "admin"), _signing_key(folder / "admin.key")
    name = _name("gpulab-admin", "system:masters")
    _sign(admin, authority, name, usages, APISERVER_NAMES, key)
    for client, group in CLIENTS.items():
        make_client(folder, own, client, group)


def _signing_key(file: Path) -> rsa.RSAPrivateKey:
    """The key that signs service account tokens, too: the one there is, so that they stay valid.

    The API server reads no other kind than RSA.
    """
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if isinstance(found, rsa.RSAPrivateKey):
            return found
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_client(authority: Path, folder: Path, name: str, group: str | None = None) -> Pair:
    """Write a client certificate of the cluster's authority."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = pair_of(folder, name)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    _sign(pair, _authority(pair_of(authority, "ca")), _name(name, group), usages, [])
    return pair


def make_admin(authority: Path) -> None:
    """Write an administrator's client certificate beside an authority that is not ours."""
    admin = _name("gpulab-admin", "system:masters")
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    _sign(pair_of(authority, "admin"), _authority(pair_of(authority, "ca")), admin, usages, [])


CLIENTS: dict[str, str | None] = {GRADER: None, LEARNER: LEARNERS}
"""User of the cluster -> group."""


@dataclass(frozen=True)
class Family:
    """Certificates that are made together."""

    authority: Pair
    pairs: tuple[Pair, ...]
    """The authority's own among them."""
    make: Callable[[], object]


def families(cluster: Path, own: Path) -> list[Family]:
    """All certificates of a lab; `own` is the folder of those that kwokctl does not know."""
    ca, kubelet, etcd = pair_of(cluster, "ca"), KubeletPki(own), EtcdPki(own)
    clients = (pair_of(own, name) for name in CLIENTS)
    return [
        Family(
            ca,
            (ca, pair_of(cluster, "admin"), *clients),
            lambda: make_cluster_pki(cluster, own),
        ),
        Family(
            kubelet.ca,
            (kubelet.ca, kubelet.server, kubelet.client),
            lambda: make_kubelet_pki(own),
        ),
        Family(etcd.ca, (etcd.ca, etcd.server, etcd.client), lambda: make_etcd_pki(own)),
    ]


def mend_clients(cluster: Path, own: Path) -> None:
    """Sign anew what only its owner uses; no program must be started anew for that."""
    ca = pair_of(cluster, "ca")
    if defect(ca, ca) is None:
        for name, group in CLIENTS.items():
            if defect(pair_of(own, name), ca):
                make_client(cluster, own, name, group)


def defect(pair: Pair, authority: Pair) -> str | None:
    """What is wrong with a certificate, its key, or what the authority says of it, in words."""
    try:
        found, issuer = (
            x509.load_pem_x509_certificate(each.crt.read_bytes()) for each in (pair, authority)
        )
        key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
        if found.public_key() != key.public_key():
            return f"{pair.crt.name}, which does not belong to its key"
        found.verify_directly_issued_by(issuer)
    except FileNotFoundError as error:
        return f"{Path(error.filename).name}, which was missing"
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return f"{pair.crt.name}, which was damaged"
    now = dt.datetime.now(dt.UTC)
    if not found.not_valid_before_utc <= now < found.not_valid_after_utc - SPARE:
        return f"{pair.crt.name}, which was valid until {found.not_valid_after_utc:%Y-%m-%d}"
    return None


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Authority = tuple[x509.Certificate, Key]


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _authority(files: Pair) -> Authority:
    certificate = x509.load_pem_x509_certificate(files.crt.read_bytes())
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return certificate, key


def _make_authority(pair: Pair, common_name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(common_name), _name(common_name), key.public_key())
    certificate = builder.add_extension(x509.BasicConstraints(True, 0), critical=True).sign(
        key, hashes.SHA256()
    )
    _write(pair, certificate, key)
    return certificate, key


def _sign(
    pair: Pair,
    authority: Authority,
    subject: x509.Name,
    usages: list[x509.ObjectIdentifier],
    names: list[x509.GeneralName],
    key: Key | None = None,
) -> None:
    issuer, issuer_key = authority
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, issuer.subject, key.public_key())
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(pair, builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))  # clocks that differ a little
        .not_valid_after(now + LIFETIME)
    )


def _write(pair: Pair, certificate: x509.Certificate, key: Key) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,  # what Kubernetes' own tools write
        serialization.NoEncryption(),
    )
    write_private(pair.key, pem)
    write_private(pair.crt, certificate.public_bytes(serialization.Encoding.PEM))
