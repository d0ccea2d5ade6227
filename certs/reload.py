"""A TLS context whose certificate changes while it serves, and the folder it may come from.

Each handshake asks which certificate holds now, by way of the SNI callback, which OpenSSL calls
whether the client names a server or not. So a new certificate is checked as a whole, set aside
from what is in use, then counts from the next handshake on, at once and undivided; connections
that are open keep theirs. Nothing restarts and no request fails.
"""

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

from certs.errors import CertificateError
from certs.pem import CERTIFICATE, KEY, read_certificates


class ServingContext:
    """What the server listens with. ``use`` may be called from any thread."""

    def __init__(self) -> None:
        self.context = _server_context()
        self.context.sni_callback = self._choose
        self._current = self.context
        self._expires_at = datetime.fromtimestamp(0, UTC)

    @property
    def expires_at(self) -> datetime:
        """When the certificate in use expires; 1970 where none is."""
        return self._expires_at

    def use(self, chain_pem: bytes, key_pem: bytes) -> None:
        """Serve this certificate from the next handshake on.

        Raises:
            CertificateError: the two are no certificate and its key; the one in use stays.
        """
        context = _server_context()
        _load(context, chain_pem, key_pem)
        self._expires_at = read_certificates(chain_pem)[0].not_valid_after_utc
        self._current = context

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._current


class CertificateFolder:
    """Follows ``tls.crt`` and ``tls.key`` in a folder, which another program renews.

    It reads the texts themselves: the kubelet swaps a whole folder by a symbolic link, others
    rename files or write over them, and a time of change has too coarse a grain to tell.
    """

    def __init__(self, folder: Path, serving: ServingContext) -> None:
        self._folder = folder
        self._serving = serving
        self._in_use: tuple[bytes, bytes] | None = None

    def check(self) -> bool:
        """Use what the folder holds, where it has changed; return whether it had.

        Raises:
            CertificateError: the files cannot be read, or do not belong together, perhaps because
                only one of them has been written yet. The certificate in use stays.
        """
        try:
            pair = ((self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes())
        except OSError as error:
            raise CertificateError(
                f"cannot read the certificate: {error}",
                hint=f"{self._folder} must hold {CERTIFICATE} and {KEY}.",
            ) from error
        if pair == self._in_use:
            return False
        self._serving.use(*pair)
        self._in_use = pair
        return True


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # A resumed session would go on under the certificate of the first one.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def _load(context: ssl.SSLContext, chain_pem: bytes, key_pem: bytes) -> None:
    # Python loads certificates from files only, and a key should never be in one.
    descriptor = os.memfd_create("tls")
    try:
        os.write(descriptor, chain_pem + b"\n" + key_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        read_certificates(chain_pem)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise CertificateError(
            f"{CERTIFICATE} and {KEY} are no certificate and its key: {error}"
        ) from error
    finally:
        os.close(descriptor)
