"""The agent's HTTP face: ``/metrics``, ``/healthz``, ``/readyz``. It tells; it does nothing."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

REQUEST_SECONDS = 10


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: the client went away."""


class Face:
    """Serves from a thread of its own.

    Args:
        port: 0 for any; ``port`` then tells which.
        registry: the metrics.
        fault: says why the node can take no pods with slabs; empty where it can.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self, port: int, registry: CollectorRegistry, fault: Callable[[], str]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._fault = fault
        self._server = _Server(("", port), _Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = _listen(port)
        self._server.server_name, self._server.server_port = "", port
        self._server.setup_environ()
        self._server.set_app(self._answer)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                body: Iterable[bytes] = self._metrics(environ, start)
                return body
            case "/healthz":
                return _text(start, "200 OK", "ok")
            case "/readyz":
                fault = self._fault()
                if fault:
                    return _text(start, "503 Service Unavailable", fault)
                return _text(start, "200 OK", "ok")
        return _text(start, "404 Not Found", "here are /metrics, /healthz and /readyz")


def _text(start: "StartResponse", status: str, text: str) -> list[bytes]:
    body = f"{text}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start(status, headers)
    return [body]


def _listen(port: int) -> socket.socket:
    """Return a listening socket of every address, of IPv6 too where there is such."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:  # the kernel knows IPv6, but the node has none
            pass
    return socket.create_server(("", port))
