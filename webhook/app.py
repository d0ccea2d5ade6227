"""The HTTP face: ``/mutate`` for the API server; ``/healthz``, ``/readyz``, ``/metrics`` beside it.

All on the one TLS port: a probe then asks for what the API server needs, the listener, the
certificate and the event loop at once, and there is no second port to close. (The kubelet does not
verify the certificate of an HTTPS probe; Prometheus is given the CA, or told not to.)

Routes are Starlette's, on its bare ``Router``; ``/mutate`` is plain ASGI, because each layer around
it would cost every pod of the cluster. Whatever a client sends, it gets an answer below 500.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from webhook.errors import DefaultsUnknownError
from webhook.review import answer
from webhook.settings import Settings
from webhook.telemetry import Telemetry

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE = (b"connection", b"close")


class Health:
    """What the probes say. ``draining`` is set once the server is to stop."""

    def __init__(
        self,
        unready: Callable[[], list[str]] = list,
        dead: Callable[[], list[str]] = list,
    ) -> None:
        self._unready = unready
        self._dead = dead
        self.draining = False

    def unready(self) -> list[str]:
        """Return why no request should come here, or nothing."""
        return [*(["stopping"] if self.draining else []), *self._unready()]

    def dead(self) -> list[str]:
        """Return why only a restart can help, or nothing."""
        return self._dead()


class Admission:
    """``POST /mutate``: an AdmissionReview in, an AdmissionReview out."""

    def __init__(
        self,
        settings_for: Callable[[str], Settings],
        telemetry: Telemetry,
        health: Health,
        max_body_bytes: int,
    ) -> None:
        self._settings_for = settings_for
        self._telemetry = telemetry
        self._health = health
        self._max_body_bytes = max_body_bytes

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        began = time.perf_counter()
        body = await _read(receive, self._max_body_bytes)
        if body.disconnected:
            return
        if body.is_too_large:
            self._telemetry.turned_away.labels("too_large").inc()
            await self._send(
                send, 413, _TEXT, b"a request has at most %d bytes\n" % self._max_body_bytes
            )
            return
        try:
            reply = answer(body.content, self._settings_for)
        except DefaultsUnknownError as error:
            self._telemetry.turned_away.labels("not_ready").inc()
            await self._send(send, 503, _TEXT, str(error).encode())
            return
        await self._send(send, reply.status, _JSON, reply.body)
        self._telemetry.decided(reply, time.perf_counter() - began)

    async def _send(
        self, send: Send, status: int, content_type: tuple[bytes, bytes], body: bytes
    ) -> None:
        headers = [content_type, (b"content-length", b"%d" % len(body))]
        if self._health.draining:
            headers.append(_CLOSE)  # the client's next request goes to another replica
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Body(NamedTuple):
    content: bytes
    is_too_large: bool = False
    disconnected: bool = False


async def _read(receive: Receive, limit_bytes: int) -> _Body:
    """Read a body to its end. What is over the limit is dropped, but read: or no answer is seen."""
    pieces: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return _Body(b"", disconnected=True)
        piece = message.get("body", b"")
        size_bytes += len(piece)
        if size_bytes <= limit_bytes:
            pieces.append(piece)
        if not message.get("more_body", False):
            return _Body(b"".join(pieces), is_too_large=size_bytes > limit_bytes)


def create_app(admission: Admission, health: Health, telemetry: Telemetry) -> Router:
    """Return the routes."""

    async def healthz(_: Request) -> Response:
        return _probe(health.dead())

    async def readyz(_: Request) -> Response:
        return _probe(health.unready())

    async def metrics(_: Request) -> Response:
        return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)

    return Router(
        [
            Route("/mutate", admission, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        redirect_slashes=False,
    )


def _probe(faults: list[str]) -> Response:
    if not faults:
        return PlainTextResponse("ok\n")
    return PlainTextResponse("".join(f"{fault}\n" for fault in faults), status_code=503)
