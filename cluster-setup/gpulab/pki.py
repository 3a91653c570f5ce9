"""The lab's certificates: the cluster's, the kubelets', the grader's.

kwokctl uses a `pki` folder that it finds; we make it, because the authority that kwokctl makes has
serial number 0, which RFC 5280 forbids and libraries begin to refuse. etcd and the kubelets have
authorities of their own: a client certificate of the cluster's opens neither, only the API
server's does.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpulab.ports import LOOPBACK

APISERVER_CLIENT = "kube-apiserver-kubelet-client"  # the name that kubeadm gives it, too
ETCD_CLIENT = "kube-apiserver-etcd-client"
GRADER = "gpulab-grader"
METRICS = "metrics-server.kube-system.svc"  # as the API server calls who serves metrics
LIFETIME = dt.timedelta(days=3650)
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


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key as PEM files."""

    crt: Path
    key: Path


@dataclass(frozen=True)
class KubeletPki:
    """What the kubelet server and the API server need to trust each other."""

    folder: Path

    @property
    def ca(self) -> Pair:
        return _pair(self.folder, "kubelet-ca")

    @property
    def server(self) -> Pair:
        return _pair(self.folder, "kubelet")

    @property
    def client(self) -> Pair:
        return _pair(self.folder, APISERVER_CLIENT)


@dataclass(frozen=True)
class EtcdPki:
    """What etcd and the API server need; no other certificate opens etcd."""

    folder: Path

    @property
    def ca(self) -> Pair:
        return _pair(self.folder, "etcd-ca")

    @property
    def server(self) -> Pair:
        """Of etcd, for its clients and its peers."""
        return _pair(self.folder, "etcd")

    @property
    def client(self) -> Pair:
        return _pair(self.folder, ETCD_CLIENT)


def _pair(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")


def make_kubelet_pki(folder: Path) -> KubeletPki:
    """Write the kubelets' CA, their serving certificate and the API server's client one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = KubeletPki(folder)
    authority = _make_authority(pki.ca, "gpulab-kubelet-ca")
    server, client = [ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [*LOCAL_NAMES, x509.DNSName(METRICS)]
    _sign(pki.server, authority, _name("gpulab-kubelets"), server, names)
    _sign(pki.client, authority, _name(APISERVER_CLIENT), client, [])
    return pki


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


def make_cluster_pki(folder: Path, grader: Path) -> None:
    """Write ca and admin as kwokctl names them, and the grader's client certificate."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _make_authority(_pair(folder, "ca"), "gpulab-ca")
    # RSA: this key also signs service account tokens, and the API server reads no other kind of it
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    admin = _name("gpulab-admin", "system:masters")
    _sign(_pair(folder, "admin"), authority, admin, usages, APISERVER_NAMES, key)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    _sign(_pair(grader, GRADER), authority, _name(GRADER), usages, [])


def make_client(authority: Path, folder: Path, name: str) -> Pair:
    """Write a client certificate of the cluster's authority: a user without any group."""
    files = _pair(authority, "ca")
    certificate = x509.load_pem_x509_certificate(files.crt.read_bytes())
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    pair = _pair(folder, name)
    _sign(pair, (certificate, key), _name(name), [ExtendedKeyUsageOID.CLIENT_AUTH], [])
    return pair


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Authority = tuple[x509.Certificate, Key]


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


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


def private(path: str, flags: int) -> int:
    """Open as open() does, but a new file is its owner's only."""
    return os.open(path, flags, 0o600)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
