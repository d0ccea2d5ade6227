"""uvicorn, made safe for an admission path: time limits, and a stop that loses no request.

uvicorn puts no limit on how long a client may take to send a request, nor on its headers; and it
closes idle connections after five seconds, in the face of an API server that keeps them for ninety
and may be sending on one just then. Here a request has a deadline, and an idle connection outlives
the client's own patience.

The stop, on SIGTERM: readiness fails and every answer asks its client to close the connection,
while all is still served, until the cluster has taken this replica out of its endpoints; then the
listener closes, and what is under way is finished.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from webhook.app import Health
from webhook.telemetry import Telemetry

log = structlog.get_logger()

IDLE_SECONDS = 180
"""The API server's client closes a connection after 90 s without use (client-go, IdleConnTimeout).
To close first would be to fail the request that is on its way."""
MAX_HEADER_BYTES = 64 * 1024
SWEEP_SECONDS = 0.5
LINGER_SECONDS = 1.0
"""For a client that was refused to read why, and for one that has just connected to ask. TLS by
itself would wait for a client's farewell for 30 s."""


@dataclass(frozen=True)
class Limits:
    """How much patience there is.

    Attributes:
        read_seconds: for one request to arrive, from its first byte to its last.
        drain_seconds: how long to serve on after SIGTERM.
        finish_seconds: how long requests under way may take after that.
    """

    read_seconds: float = 10
    drain_seconds: float = 5
    finish_seconds: int = 10


class PatientProtocol(HttpToolsProtocol):
    """HTTP on one connection, with a bound on headers and a note of when a request began."""

    arriving_since: float | None = None
    _header_bytes = 0
    _in_headers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own
        """Begin; a connection that is never used counts as idle."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the headers grow without an end."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.refuse(431, b"the headers are too large\n")

    def on_message_begin(self) -> None:
        """Note that a request has begun to arrive."""
        self.arriving_since = self.loop.time()
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the headers are whole."""
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self.arriving_since = None
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close, where no request is under way, whether the client says farewell or not."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def refuse(self, status: int, text: bytes) -> None:
        """Answer in place of the application, and close, whether the client agrees or not."""
        self.arriving_since = None
        if self.transport.is_closing():
            return
        if self._in_headers or not self.cycle.response_started:
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n" % len(text)
                + text
            )
        self.transport.close()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


class WebhookServer(uvicorn.Server):
    """Serves one application on one socket until told to stop."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401 - an ASGI application, which uvicorn types so
        context: ssl.SSLContext,
        health: Health,
        telemetry: Telemetry,
        limits: Limits,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=limits.finish_seconds,
                ssl_context_factory=lambda _config, _default: context,
            )
        )
        self._health = health
        self._telemetry = telemetry
        self._limits = limits
        self._hurried = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever says when to stop."""
        yield

    async def serve_until(self, stop: asyncio.Event, listener: socket.socket) -> None:
        """Serve until told to stop, and stop without losing a request."""
        sweeping = asyncio.create_task(self._sweep())
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                log.info("stopping", drain_seconds=self._limits.drain_seconds)
                self._health.draining = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurried.wait(), self._limits.drain_seconds)
                self.should_exit = True
            await serving
        finally:
            sweeping.cancel()
            stopping.cancel()

    def hurry(self) -> None:
        """Cut a stop short: no waiting for the cluster; the second time, nor for requests."""
        if self._hurried.is_set():
            self.force_exit = True
        self._hurried.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let those who have just connected ask and be answered, then stop."""
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        latest = loop.time() + LINGER_SECONDS
        while self.server_state.connections and loop.time() < latest and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    async def _sweep(self) -> None:
        """Turn away requests that do not come to an end.

        One look at all connections twice a second costs less than a timer for every request.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            latest = loop.time() - self._limits.read_seconds
            for connection in list(self.server_state.connections):
                if not isinstance(connection, PatientProtocol):
                    continue
                since = connection.arriving_since
                if since is not None and since < latest:
                    self._telemetry.turned_away.labels("too_slow").inc()
                    connection.refuse(408, b"the request did not arrive in time\n")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Args:
        host: an address, or empty for every address of IPv4 and, where there is one, of IPv6.
        port: 0 for any that is free.

    Raises:
        OSError: the address is not ours, or the port is taken.
    """
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            address = ("::", port)
            return socket.create_server(
                address, family=socket.AF_INET6, backlog=2048, dualstack_ipv6=True
            )
    return socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104 - as the docstring says
