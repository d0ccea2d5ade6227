"""A certificate that changes under load, on real TLS sockets."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from certs.authority import renew
from certs.errors import CertificateError
from certs.issue import system_chance
from certs.pem import encode
from certs.reload import CertificateFolder, ServingContext
from tests.waiting import PATIENCE_SECONDS

Texts = dict[str, bytes]
CLIENTS = 4
CHANGES = 100


@pytest.fixture(scope="module")
def pairs() -> tuple[Texts, Texts]:
    """Return certificates of two authorities."""
    now, chance = datetime.now(UTC), system_chance()
    first, second = (encode(renew(None, ("localhost",), now, chance)) for _ in range(2))
    return first, second


def trusting(*cas: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=b"".join(cas).decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def listening(serving: ServingContext, loop: asyncio.AbstractEventLoop) -> Iterator[int]:
    """Echo one line per connection on a port of its own."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    started, port = threading.Event(), 0

    async def run() -> None:
        nonlocal port
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving.context)
        port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert started.wait(5)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


def ask(port: int, context: ssl.SSLContext, name: str | None = "localhost") -> str:
    """Say hello, and return the name of the authority that answered for the server."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        secure.sendall(b"hello\n")
        assert secure.recv(100) == b"hello\n"
        certificate = secure.getpeercert()
        assert certificate is not None
        issuer = dict(part[0] for part in certificate["issuer"])  # type: ignore[misc] # typeshed
        return str(issuer["commonName"])


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_handshake_fails_while_the_certificate_changes(
    pairs: tuple[Texts, Texts], new_loop: type[asyncio.AbstractEventLoop]
) -> None:
    serving = ServingContext()
    serving.use(pairs[0]["tls.crt"], pairs[0]["tls.key"])
    both = trusting(pairs[0]["ca.crt"], pairs[1]["ca.crt"])
    seen: list[str] = []
    errors: list[Exception] = []
    done = threading.Event()

    def load(port: int) -> None:
        while not done.is_set():
            try:
                seen.append(ask(port, both))
            except Exception as error:  # noqa: BLE001, RUF100 - counted
                errors.append(error)

    with listening(serving, new_loop()) as port:
        clients = [threading.Thread(target=load, args=(port,)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for number in range(CHANGES):
            pair = pairs[number % 2]
            serving.use(pair["tls.crt"], pair["tls.key"])
            done.wait(0.01)
        done.set()
        for client in clients:
            client.join()
    assert errors == []
    assert len(set(seen)) == 2
    assert len(seen) > CHANGES


def test_a_client_that_names_no_server_gets_the_certificate_too(pairs: tuple[Texts, Texts]) -> None:
    serving = ServingContext()
    serving.use(pairs[0]["tls.crt"], pairs[0]["tls.key"])
    context = trusting(pairs[0]["ca.crt"])
    context.check_hostname = False
    with listening(serving, uvloop.new_event_loop()) as port:
        assert ask(port, context, name=None).startswith("dind webhook authority")


def test_a_pair_that_does_not_belong_together_changes_nothing(pairs: tuple[Texts, Texts]) -> None:
    serving = ServingContext()
    serving.use(pairs[0]["tls.crt"], pairs[0]["tls.key"])
    expires_at = serving.expires_at
    with listening(serving, uvloop.new_event_loop()) as port:
        for chain, key in [
            (pairs[1]["tls.crt"], pairs[0]["tls.key"]),
            (b"nonsense", pairs[0]["tls.key"]),
            (pairs[0]["tls.crt"], b""),
            (b"", b""),
        ]:
            with pytest.raises(CertificateError, match="no certificate and its key"):
                serving.use(chain, key)
            assert ask(port, trusting(pairs[0]["ca.crt"]))
    assert serving.expires_at == expires_at > datetime.now(UTC)


def write(folder: Path, texts: Texts) -> None:
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(texts[name])


def test_files_are_read_again_when_they_change(pairs: tuple[Texts, Texts], tmp_path: Path) -> None:
    serving = ServingContext()
    folder = CertificateFolder(tmp_path, serving)
    write(tmp_path, pairs[0])
    assert folder.check()
    assert not folder.check()
    with listening(serving, uvloop.new_event_loop()) as port:
        assert ask(port, trusting(pairs[0]["ca.crt"]))
        (tmp_path / "tls.crt").write_bytes(pairs[1]["tls.crt"])
        with pytest.raises(CertificateError):
            folder.check()  # the key is still the old one's
        assert ask(port, trusting(pairs[0]["ca.crt"]))
        (tmp_path / "tls.key").write_bytes(pairs[1]["tls.key"])
        assert folder.check()
        assert ask(port, trusting(pairs[1]["ca.crt"]))


def test_a_folder_swapped_by_a_symbolic_link_is_followed(
    pairs: tuple[Texts, Texts], tmp_path: Path
) -> None:
    """As the kubelet updates a Secret's volume: files -> ..data -> a folder with a time's name."""
    for number, texts in enumerate(pairs):
        (tmp_path / f"..{number}").mkdir()
        write(tmp_path / f"..{number}", texts)
    data = tmp_path / "..data"
    data.symlink_to("..0")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    serving = ServingContext()
    folder = CertificateFolder(tmp_path, serving)
    assert folder.check()
    with listening(serving, uvloop.new_event_loop()) as port:
        assert ask(port, trusting(pairs[0]["ca.crt"]))
        new = tmp_path / "..data_tmp"
        new.symlink_to("..1")
        new.replace(data)
        assert folder.check()
        assert ask(port, trusting(pairs[1]["ca.crt"]))


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"must hold tls\.crt and tls\.key"):
        CertificateFolder(tmp_path, ServingContext()).check()
