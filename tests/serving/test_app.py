"""The routes, and whatever a client may send them."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import BadStatusLine, HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.serving.running import JSON, RECORDED, REVIEW, UID, Webhook, running
from tests.waiting import PATIENCE_SECONDS, eventually
from webhook.app import Health
from webhook.errors import DefaultsUnknownError
from webhook.server import MAX_HEADER_BYTES, Limits
from webhook.settings import Settings

LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """A webhook with little patience."""
    limits = Limits(drain_seconds=0, read_seconds=0.5)
    with running(limits=limits, max_body_bytes=LIMIT) as webhook:
        yield webhook


@pytest.fixture
def client(webhook: Webhook) -> Iterator[httpx.Client]:
    """A client of it."""
    with webhook.client() as client:
        yield client


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_request_is_answered(client: httpx.Client, path: Path) -> None:
    body = path.read_bytes()
    reply = client.post("/mutate", content=body, headers=JSON)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    review = reply.json()
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert review["response"]["uid"] == json.loads(body)["request"]["uid"]


def test_a_decision_is_one_line_in_the_log_and_one_count(
    webhook: Webhook, client: httpx.Client
) -> None:
    count = 'dind_webhook_decisions_total{code="injected",outcome="inject"}'
    before, lines = webhook.metric(count), len(webhook.lines)
    client.post("/mutate", content=REVIEW, headers=JSON)
    assert webhook.metric(count) == before + 1
    (line,) = webhook.logged()[lines:]
    assert line.pop("timestamp")
    assert 0 < line.pop("duration_ms") < 1000
    assert line == {
        "level": "info",
        "event": "decision",
        "outcome": "inject",
        "code": "injected",
        "namespace": "default",
        "pod": "runner-t3zx1kzs-project-278964-concurrent-0-",
        "uid": UID,
        "dry_run": False,
        "warnings": [],
        "sentence": "the pod gets a Docker daemon",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\x00" * 100,
        b"{}",
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{}}',
        REVIEW.replace(b"AdmissionReview", b"SubjectAccessReview"),
        REVIEW.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"),
        REVIEW[: len(REVIEW) // 2],
        b"[" * 50_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"kind":' + b"9" * 40_000 + b"}",
    ],
    ids=range(17),
)
def test_what_is_no_review_is_a_bad_request(client: httpx.Client, body: bytes) -> None:
    reply = client.post("/mutate", content=body, headers=JSON)
    assert reply.status_code == 400
    assert reply.json()["response"]["allowed"] is False
    assert reply.json()["response"]["status"]["message"]


def test_a_pod_that_is_none_is_refused_under_its_uid(client: httpx.Client) -> None:
    review = json.loads(REVIEW)
    review["request"]["object"] = {"spec": {"containers": "none"}}
    reply = client.post("/mutate", json=review)
    assert reply.status_code == 200
    assert reply.json()["response"]["uid"] == UID
    assert reply.json()["response"]["allowed"] is False


def test_a_body_over_the_limit_is_too_large(webhook: Webhook, client: httpx.Client) -> None:
    for content in (b" " * (LIMIT + 1), b" " * (LIMIT * 40)):
        reply = client.post("/mutate", content=content)
        assert reply.status_code == 413
        assert str(LIMIT) in reply.text
    chunked = client.post("/mutate", content=iter([b" " * 1000] * 100))
    assert chunked.status_code == 413
    assert webhook.metric('dind_webhook_turned_away_total{reason="too_large"}') == 3
    assert client.post("/mutate", content=REVIEW).status_code == 200


def test_a_body_in_pieces_is_put_together(client: httpx.Client) -> None:
    pieces = (REVIEW[at : at + 100] for at in range(0, len(REVIEW), 100))
    assert client.post("/mutate", content=pieces).json()["response"]["allowed"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/mutate", 405),
        ("PUT", "/mutate", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/", 404),
        ("POST", "/mutate/", 404),
        ("POST", "/mutate/../metrics", 404),
        ("GET", "/%00", 404),
        ("OPTIONS", "*", 404),
    ],
)
def test_other_paths_and_methods(webhook: Webhook, method: str, path: str, status: int) -> None:
    with webhook.connect() as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        assert status_of(connection) == status


def status_of(connection: ssl.SSLSocket) -> int | None:
    """Read a whole answer; return its status, or None where the connection ended without one."""
    response = HTTPResponse(connection)
    try:
        response.begin()
        response.read()
    except (ConnectionError, ssl.SSLError, BadStatusLine):
        return None
    return response.status


def read(connection: ssl.SSLSocket) -> bytes:
    try:
        return connection.recv(65536)
    except (ConnectionError, ssl.SSLError):
        return b""


def can_send(connection: ssl.SSLSocket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def ended(connection: ssl.SSLSocket) -> bool:
    return read(connection) == b""


HEAD = b"POST /mutate HTTP/1.1\r\nhost: localhost\r\n"


UNFINISHED = (
    b"P",
    HEAD,
    HEAD + b"content-length: 100\r\n\r\n",
    HEAD + b"content-length: 100\r\n\r\n{",
    HEAD + b"transfer-encoding: chunked\r\n\r\n",
    HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
)


@pytest.mark.parametrize("used_before", [False, True])
def test_requests_that_do_not_arrive_are_timed_out(webhook: Webhook, *, used_before: bool) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(webhook.connect()) for _ in UNFINISHED]
        for connection in connections if used_before else ():
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert status_of(connection) == 200
        began = time.monotonic()
        for connection, sent in zip(connections, UNFINISHED, strict=True):
            connection.sendall(sent)
        assert [status_of(connection) for connection in connections] == [408] * len(UNFINISHED)
        assert all(map(ended, connections))
        assert 0.5 <= time.monotonic() - began < 5


def test_a_request_that_drips_is_timed_out(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        connection.sendall(HEAD + b"content-length: 1000\r\n\r\n")
        eventually(lambda: not can_send(connection, b" "))
    assert webhook.metric('dind_webhook_turned_away_total{reason="too_slow"}') >= 1


def test_an_idle_connection_is_kept(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        time.sleep(1.2)  # twice the patience for a request
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert status_of(connection) == 200
        time.sleep(1.2)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert status_of(connection) == 200


def test_headers_without_an_end_are_refused(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        connection.sendall(HEAD)
        connection.sendall((b"a: " + b"b" * 1000 + b"\r\n") * (MAX_HEADER_BYTES // 1000 + 20))
        assert status_of(connection) == 431
        assert ended(connection)


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 9],
)
def test_what_is_no_http_is_turned_away(webhook: Webhook, garbage: bytes) -> None:
    with webhook.connect() as connection:
        connection.sendall(garbage)
        connection.settimeout(1)
        with_status = None
        try:
            with_status = status_of(connection)
        except TimeoutError:
            assert garbage.strip() == b""  # empty lines before a request are to be ignored
        assert with_status in {400, 408, None}


def test_half_a_request_and_a_closed_connection_harm_nobody(
    webhook: Webhook, client: httpx.Client
) -> None:
    for _ in range(20):
        connection = webhook.connect()
        connection.sendall(HEAD + b"content-length: 5000\r\n\r\n" + REVIEW[:100])
        connection.close()
    assert client.post("/mutate", content=REVIEW).status_code == 200


def test_http_without_tls_and_tls_without_an_end_harm_nobody(
    webhook: Webhook, client: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", webhook.port), timeout=PATIENCE_SECONDS) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
    half = socket.create_connection(("127.0.0.1", webhook.port))
    half.sendall(b"\x16\x03\x01\x02\x00")
    assert client.get("/healthz").status_code == 200
    half.close()


def test_an_expectation_is_met(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        length = b"content-length: %d\r\n" % len(REVIEW)
        connection.sendall(HEAD + b"expect: 100-continue\r\n" + length + b"\r\n")
        assert read(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(REVIEW)
        assert status_of(connection) == 200


def test_requests_sent_ahead_are_answered_in_order(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        connection.sendall(ask * 3)
        received = b""
        while received.count(b"\nok\n") < 3:
            received += read(connection)


def test_probes(client: httpx.Client) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ok\n"
    assert client.head("/readyz").status_code == 200


def test_readiness_says_what_it_waits_for_and_liveness_what_died() -> None:
    dead: list[str] = []
    health = Health(lambda: ["defaults: unknown"], lambda: dead)
    with running(health=health) as webhook, webhook.client() as client:
        unready = client.get("/readyz")
        assert (unready.status_code, unready.text) == (503, "defaults: unknown\n")
        assert client.get("/healthz").status_code == 200
        dead.append("thread defaults died")
        ill = client.get("/healthz")
        assert (ill.status_code, ill.text) == (503, "thread defaults died\n")


def test_before_the_defaults_are_known_nothing_is_decided() -> None:
    def unknown(_: str) -> Settings:
        raise DefaultsUnknownError("the cluster's defaults are not known yet")

    with running(settings_for=unknown) as webhook, webhook.client() as client:
        reply = client.post("/mutate", content=REVIEW)
        assert (reply.status_code, reply.text) == (503, "the cluster's defaults are not known yet")
        assert webhook.lines == []
        assert webhook.metric('dind_webhook_turned_away_total{reason="not_ready"}') == 1


def test_while_draining_each_answer_asks_to_close_the_connection() -> None:
    with running(limits=Limits(drain_seconds=1)) as webhook, webhook.client() as client:
        assert "connection" not in client.post("/mutate", content=REVIEW).headers
        webhook.stop()
        eventually(lambda: webhook.health.draining)
        reply = client.post("/mutate", content=REVIEW)
        assert reply.status_code == 200
        assert reply.headers["connection"] == "close"
        assert client.get("/readyz").text == "stopping\n"


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE dind_webhook_request_seconds histogram" in reply.text
