"""Makes certificates: the authority's own and those it signs. Pure, and decides nothing.

What they say follows RFC 5280 and what strict clients check (Go's crypto/x509, OpenSSL with
``X509_V_FLAG_X509_STRICT``): key usages, key identifiers, names in the SAN alone.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey

AUTHORITY_NAME = "dind webhook authority"
SERVING_NAME = "dind webhook"


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True)
class Chance:
    """Where what cannot be foretold comes from: keys and serial numbers."""

    new_key: Callable[[], PrivateKey]
    new_serial: Callable[[], int]


def system_chance() -> Chance:
    """Return keys on P-256, which every client takes and which are quick to sign with."""
    return Chance(lambda: ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number)


def issue_authority(begin: datetime, end: datetime, chance: Chance) -> Issued:
    """Return a new authority; its name is its own, so that two are never taken for one."""
    key, serial = chance.new_key(), chance.new_serial()
    name = _name(f"{AUTHORITY_NAME} {serial:016x}"[: len(AUTHORITY_NAME) + 9])
    certificate = (
        _builder(name, name, key, serial, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Issued(certificate, key)


def issue_serving(
    authority: Issued, names: tuple[str, ...], begin: datetime, end: datetime, chance: Chance
) -> Issued:
    """Return a server's certificate for these DNS names and IP addresses."""
    key, serial = chance.new_key(), chance.new_serial()
    issuer = authority.certificate
    certificate = (
        _builder(_name(SERVING_NAME), issuer.subject, key, serial, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_san, names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate, key)


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the DNS names and IP addresses that a server's certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    dns = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return frozenset((*dns, *map(str, addresses)))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    serial: int,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
