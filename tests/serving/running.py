"""The webhook running, in this process or in one of its own, and clients for it."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvloop

from certs.authority import renew
from certs.issue import system_chance
from certs.pem import CA_CERTIFICATE, CERTIFICATE, KEY, encode
from certs.reload import ServingContext
from tests.waiting import PATIENCE_SECONDS, eventually
from webhook.app import Admission, Health, create_app
from webhook.server import Limits, WebhookServer, listen
from webhook.settings import Settings, resolve
from webhook.telemetry import Telemetry

RECORDED = Path(__file__).parent.parent / "admission"
REVIEW = (RECORDED / "gitlab-runner.create.json").read_bytes()
UID = json.loads(REVIEW)["request"]["uid"]
PROMPT = Limits(drain_seconds=0)
JSON = {"content-type": "application/json"}


@dataclass
class Webhook:
    """A running webhook, as its clients and its operators see it."""

    port: int
    authority: bytes
    lines: list[bytes] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    serving: ServingContext = field(default_factory=ServingContext)
    stop: Callable[[], None] = lambda: None

    @property
    def tls(self) -> ssl.SSLContext:
        """Trust in the webhook's authority, and in no other."""
        return ssl.create_default_context(cadata=self.authority.decode())

    def client(self) -> httpx.Client:
        """Return a client that verifies the certificate."""
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=self.tls, timeout=PATIENCE_SECONDS
        )

    def get(self, path: str) -> httpx.Response:
        """Ask for a path, on a connection of its own."""
        with self.client() as client:
            return client.get(path)

    def connect(self) -> ssl.SSLSocket:
        """Return a bare TLS connection."""
        # Wrapped before it is connected: wrap_socket leaks a connection that was reset meanwhile.
        plain = socket.socket()
        plain.settimeout(PATIENCE_SECONDS)
        secure = self.tls.wrap_socket(plain, server_hostname="localhost")
        try:
            secure.connect(("127.0.0.1", self.port))
        except BaseException:
            secure.close()
            raise
        return secure

    def metric(self, line: str) -> float:
        """Return the value of one line of the metrics."""
        text = self.get("/metrics").text
        found = [row.rpartition(" ")[2] for row in text.splitlines() if row.startswith(f"{line} ")]
        assert len(found) == 1, f"{line} is {len(found)} times in the metrics"
        return float(found[0])

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines logged so far."""
        return [json.loads(line) for line in self.lines]


def built_in(_: str) -> Settings:
    """Return the built-in defaults, for every namespace."""
    return resolve()


@contextlib.contextmanager
def running(
    settings_for: Callable[[str], Settings] = built_in,
    limits: Limits = PROMPT,
    max_body_bytes: int = 1024 * 1024,
    health: Health | None = None,
) -> Iterator[Webhook]:
    """Run a webhook in this process, on a port and in a thread of its own."""
    texts = encode(renew(None, ("localhost",), datetime.now(UTC), system_chance()))
    health = health or Health()
    listener = listen("127.0.0.1", 0)
    webhook = Webhook(listener.getsockname()[1], texts[CA_CERTIFICATE], health=health)
    webhook.serving.use(texts[CERTIFICATE], texts[KEY])
    telemetry = Telemetry(webhook.lines.append)
    app = create_app(Admission(settings_for, telemetry, health, max_body_bytes), health, telemetry)
    loop = uvloop.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = WebhookServer(app, webhook.serving.context, health, telemetry, limits)
        await server.serve_until(stop, listener)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()

    def tell() -> None:
        loop.call_soon_threadsafe(stop.set)

    webhook.stop = tell
    try:
        yield webhook
    finally:
        webhook.stop()
        thread.join(20)
        loop.close()
        assert not thread.is_alive(), "a stopped webhook does not end"


@dataclass
class Process:
    """``python -m webhook serve`` as a process."""

    popen: subprocess.Popen[bytes]
    log: Path

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines logged so far, but for one that is still being written."""
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def find(self, event: str) -> dict[str, Any] | None:
        """Return the last line of an event."""
        return next((line for line in reversed(self.logged()) if line["event"] == event), None)


@contextlib.contextmanager
def process(
    folder: Path, *flags: str, environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run a webhook as a process; it has said that it serves when the block begins."""
    log = folder / f"log.{time.monotonic_ns()}"
    command = [sys.executable, "-m", "webhook", "serve", "--host", "127.0.0.1", *flags]
    if not any(flag.startswith("--port") for flag in flags):
        command.append("--port=0")
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )
    started = Process(popen, log)
    try:
        eventually(
            lambda: popen.poll() is not None or b'"serving"' in log.read_bytes(),
        )
        assert popen.poll() is None, log.read_text()
        yield started
    finally:
        popen.terminate()
        try:
            popen.wait(20)
        except subprocess.TimeoutExpired:
            popen.kill()
            raise


def served(started: Process, authority: Path) -> Webhook:
    """Return what clients see of a process that put its authority into a file."""
    line = started.find("serving")
    assert line is not None
    return Webhook(line["port"], authority.read_bytes())
