"""Credentials as four PEM texts, by the names that a Secret and a folder give them."""

from collections.abc import Iterable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs.authority import Credentials
from certs.errors import CertificateError
from certs.issue import Issued, PrivateKey

CA_CERTIFICATE = "ca.crt"
"""The trusted authorities, the newest first."""
CA_KEY = "ca.key"
"""Their keys, in the same order."""
CERTIFICATE = "tls.crt"
KEY = "tls.key"

NAMES = (CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY)
_KEY_BEGIN = b"-----BEGIN"


def encode(credentials: Credentials) -> dict[str, bytes]:
    """Return the four texts."""
    authorities, serving = credentials.authorities, credentials.serving
    return {
        CA_CERTIFICATE: certificates_pem(one.certificate for one in authorities),
        CA_KEY: b"".join(_key_pem(one.key) for one in authorities),
        CERTIFICATE: certificates_pem([serving.certificate]),
        KEY: _key_pem(serving.key),
    }


def decode(data: Mapping[str, bytes]) -> Credentials:
    """Return the credentials that four texts hold.

    Raises:
        CertificateError: one is missing, is no PEM of its kind, or belongs to another.
    """
    missing = [name for name in NAMES if not data.get(name)]
    if missing:
        raise CertificateError(f"{', '.join(missing)} is missing")
    authorities = _paired(data, CA_CERTIFICATE, CA_KEY)
    serving = _paired(data, CERTIFICATE, KEY)
    return Credentials(authorities, serving[0])


def certificates_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as one PEM text."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a PEM text.

    Raises:
        ValueError: there is none, or one is broken.
    """
    return tuple(x509.load_pem_x509_certificates(pem))


def _paired(
    data: Mapping[str, bytes], certificates_name: str, keys_name: str
) -> tuple[Issued, ...]:
    try:
        certificates = read_certificates(data[certificates_name])
    except ValueError as error:
        raise CertificateError(f"{certificates_name} holds no certificate: {error}") from error
    keys = [_read_key(text, keys_name) for text in _split(data[keys_name])]
    if len(keys) != len(certificates):
        raise CertificateError(f"{certificates_name} and {keys_name} are not of the same number")
    for certificate, key in zip(certificates, keys, strict=True):
        if certificate.public_key() != key.public_key():
            raise CertificateError(f"{keys_name} is not the key of {certificates_name}")
    return tuple(map(Issued, certificates, keys))


def _split(pem: bytes) -> list[bytes]:
    head, *rest = pem.split(_KEY_BEGIN)
    return [_KEY_BEGIN + text for text in rest] or [head]


def _read_key(pem: bytes, name: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{name} holds no key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{name} holds another kind of key than this webhook makes")
    return key


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
