"""Certificates that kwokctl does not make: the kubelet server's, its client's, the grader's.

The kubelets have a certificate authority of their own. A client certificate of the cluster's
therefore opens no log and no exec on them; only the API server's does.
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
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpulab.ports import LOOPBACK

APISERVER_CLIENT = "kube-apiserver-kubelet-client"  # the name that kubeadm gives it, too
GRADER = "gpulab-grader"
LIFETIME = dt.timedelta(days=3650)


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


def _pair(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")


def make_kubelet_pki(folder: Path) -> KubeletPki:
    """Write the kubelets' CA, their serving certificate and the API server's client one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = KubeletPki(folder)
    authority = _make_authority(pki.ca, "gpulab-kubelet-ca")
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    _sign(pki.server, authority, _name("gpulab-kubelets"), ExtendedKeyUsageOID.SERVER_AUTH, names)
    _sign(pki.client, authority, _name(APISERVER_CLIENT), ExtendedKeyUsageOID.CLIENT_AUTH, [])
    return pki


def make_grader_certificate(cluster_pki: Path, folder: Path) -> Pair:
    """A client certificate for user `gpulab-grader`, signed by the cluster's CA."""
    pair = _pair(folder, GRADER)
    key = serialization.load_pem_private_key((cluster_pki / "ca.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((cluster_pki / "ca.crt").read_bytes())
    assert isinstance(key, rsa.RSAPrivateKey)  # kwokctl makes RSA keys
    _sign(pair, (certificate, key), _name(GRADER), ExtendedKeyUsageOID.CLIENT_AUTH, [])
    return pair


Authority = tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


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
    usage: x509.ObjectIdentifier,
    names: list[x509.GeneralName],
) -> None:
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, issuer.subject, key.public_key())
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(pair, builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
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


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(pair.key, pem)
    write_private(pair.crt, certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
