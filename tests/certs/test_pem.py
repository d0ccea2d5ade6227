"""Credentials as texts, and texts that are none."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from certs.authority import Credentials, renew
from certs.errors import CertificateError
from certs.issue import system_chance
from certs.pem import CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY, decode, encode

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    """Two authorities and a certificate."""
    chance = system_chance()
    made = renew(None, ("localhost",), NOW, chance)
    made = renew(made, ("localhost",), NOW + timedelta(days=250), chance)
    assert len(made.authorities) == 2
    return made


def test_what_is_written_is_read(credentials: Credentials) -> None:
    assert encode(decode(encode(credentials))) == encode(credentials)


@pytest.mark.parametrize("name", [CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY])
@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_broken_text_is_named(credentials: Credentials, name: str, text: bytes) -> None:
    with pytest.raises(CertificateError, match=name.replace(".", r"\.")):
        decode({**encode(credentials), name: text})


def test_a_key_of_another_certificate_is_told(credentials: Credentials) -> None:
    texts = encode(credentials)
    other = encode(renew(None, ("localhost",), NOW, system_chance()))
    with pytest.raises(CertificateError, match=r"tls\.key is not the key of tls\.crt"):
        decode({**texts, KEY: other[KEY]})
    with pytest.raises(CertificateError, match=r"ca\.crt and ca\.key are not of the same number"):
        decode({**texts, CA_KEY: other[CA_KEY]})


def test_another_kind_of_key_is_told(credentials: Credentials) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(CertificateError, match="another kind of key"):
        decode({**encode(credentials), KEY: key})
