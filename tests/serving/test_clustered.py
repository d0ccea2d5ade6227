"""The webhook in a cluster: replicas, their one certificate, and an API server that misbehaves."""

import base64
import json
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from certs.authority import Credentials, Lifetimes
from certs.cluster import Keeper, Place
from certs.issue import system_chance
from certs.pem import CERTIFICATE, KEY, encode
from cluster.api import Cluster
from tests.cluster.apiserver import CONFIGURATIONS, ApiServer, drop, serving, status
from tests.serving.running import REVIEW, Process, process, running
from tests.waiting import PATIENCE_SECONDS, eventually

CONFIGURATION = f"{CONFIGURATIONS}/dind-webhook"
SECRET = "/api/v1/namespaces/dind/secrets/dind-webhook-tls"  # noqa: S105 - a path
SERVICE = "dind-webhook.dind.svc"
READY = "ok\n"


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """An API server into which the manifests have been applied."""
    with serving(ApiServer()) as server:
        server.put_configuration("dind-webhook", "pods.dind")
        yield server


@contextmanager
def replica(server: ApiServer, folder: Path) -> Iterator[Process]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
                "clusters": [{"name": "here", "cluster": {"server": server.url}}],
                "users": [{"name": "me", "user": {"token": "sesame"}}],
            }
        )
    )
    flags = ("--cert-secret", "dind-webhook-tls", "--watch-defaults", "--drain-seconds=0")
    with process(folder, "--kubeconfig", str(kubeconfig), *flags) as started:
        yield started


def port_of(started: Process) -> int:
    line = started.find("serving")
    assert line is not None
    return int(line["port"])


def bundle(server: ApiServer) -> bytes:
    """Return the CA bundle that an API server would go by now."""
    stored = server.get(CONFIGURATION)
    assert stored is not None
    return base64.b64decode(stored["webhooks"][0]["clientConfig"].get("caBundle", ""))


class ServiceConnection(HTTPSConnection):
    """A connection to one replica, under the name that an API server calls."""

    def __init__(self, port: int, authorities: bytes) -> None:
        self._tls = ssl.create_default_context(cadata=authorities.decode())
        super().__init__("127.0.0.1", port, timeout=PATIENCE_SECONDS, context=self._tls)

    def connect(self) -> None:
        """Connect, and verify the certificate for the Service."""
        plain = socket.create_connection((self.host, self.port), timeout=PATIENCE_SECONDS)
        self.sock = self._tls.wrap_socket(plain, server_hostname=SERVICE)


def admit(server: ApiServer, port: int) -> str:
    """Send a review as an API server would, and return the serial number of the certificate."""
    connection = ServiceConnection(port, bundle(server))
    try:
        connection.request("POST", "/mutate", REVIEW)
        response = json.loads(connection.getresponse().read())["response"]
        assert response["allowed"]
        assert "patch" in response
        return serial_of(connection.sock)
    finally:
        connection.close()


def serial_of(secure: ssl.SSLSocket) -> str:
    certificate = secure.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def probe(started: Process) -> str:
    """Ask for readiness as the kubelet does, which verifies nothing."""
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - as the kubelet
    connection = HTTPSConnection(
        "127.0.0.1", port_of(started), timeout=PATIENCE_SECONDS, context=context
    )
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def is_ready(started: Process) -> bool:
    return probe(started) == READY


def test_replicas_that_start_at_once_serve_one_certificate(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        replicas = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            replicas.append(stack.enter_context(replica(api_server, folder)))
        eventually(lambda: all(map(is_ready, replicas)))
        assert len({admit(api_server, port_of(started)) for started in replicas}) == 1


def test_it_is_ready_once_it_is_trusted_and_knows_the_defaults(
    api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.remove(CONFIGURATION)
    api_server.put_config_map("dind", {"storage-size": "huge"})
    with replica(api_server, tmp_path) as started:
        eventually(lambda: started.find("certificate not kept") is not None)
        assert "defaults: the cluster's are not known yet" in probe(started)
        assert "MutatingWebhookConfiguration dind-webhook" in probe(started)
        api_server.put_configuration("dind-webhook", "pods.dind")
        eventually(lambda: "certificate" not in probe(started))
        assert not is_ready(started)
        eventually(lambda: len(api_server.under("/namespaces/dind/events/")) == 1)
        with pytest.raises(json.JSONDecodeError):  # 503 in plain text
            admit(api_server, port_of(started))
        api_server.put_config_map("dind", {"storage-size": "20Gi"})
        eventually(lambda: is_ready(started), seconds=1)
        admit(api_server, port_of(started))


def test_what_is_deleted_by_hand_comes_back(api_server: ApiServer, tmp_path: Path) -> None:
    with replica(api_server, tmp_path) as started:
        eventually(lambda: is_ready(started))
        serial = admit(api_server, port_of(started))
        before = api_server.get(SECRET)
        assert before is not None
        api_server.remove(SECRET)
        eventually(lambda: api_server.get(SECRET) is not None)
        after = api_server.get(SECRET)
        assert after is not None
        assert after["data"] == before["data"]
        api_server.put_configuration("dind-webhook", "pods.dind")
        eventually(lambda: bundle(api_server) != b"")
        assert admit(api_server, port_of(started)) == serial


def test_it_serves_on_while_the_api_server_is_away(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.put_config_map("default", {"storage-size": "20Gi"})
    with replica(api_server, tmp_path) as started:
        eventually(lambda: is_ready(started))
        for watch in (True, False):
            api_server.plan(drop, watch=watch, times=1000)
        api_server.drop_watches()
        eventually(lambda: started.find("cluster lost") is not None)
        assert is_ready(started)
        admit(api_server, port_of(started))


def test_it_stops_at_once_though_its_watches_are_silent(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with replica(api_server, tmp_path) as started:
        eventually(lambda: is_ready(started))
        began = time.monotonic()
        started.popen.send_signal(signal.SIGTERM)
        assert started.popen.wait(10) == 0
        assert time.monotonic() - began < 5


def test_a_missing_right_is_said_in_the_log_and_by_readiness(
    api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.plan(status(403), method="POST", path="/secrets", times=1000)
    with replica(api_server, tmp_path) as started:
        eventually(lambda: started.find("certificate not kept") is not None)
        line = started.find("certificate not kept")
        assert line is not None
        assert "403 to POST /api/v1/namespaces/dind/secrets" in line["error"]
        assert not is_ready(started)


class Callers:
    """Clients that call without a pause, and what became of it."""

    def __init__(self, server: ApiServer, port: int) -> None:
        self._server, self._port = server, port
        self.serials: set[str] = set()
        self.errors: list[Exception] = []
        self.calls: Counter[str] = Counter()
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(f"anew {number}", self._call_anew))
            for number in range(2)
        ]
        self._kept = ServiceConnection(port, bundle(server))
        self._threads.append(threading.Thread(target=self._run, args=("again", self._call_again)))
        for thread in self._threads:
            thread.start()

    def have_called_since(self, before: Counter[str]) -> bool:
        """Whether each has begun and ended a call since there were so many."""
        return all(self.calls[name] >= before[name] + 2 for name in ("anew 0", "anew 1", "again"))

    def stop(self) -> None:
        """Let them end."""
        self._done.set()
        for thread in self._threads:
            thread.join(20)
        self._kept.close()

    def _call_anew(self) -> None:
        """Connect for one request, trusting what the API server trusts just then."""
        self.serials.add(admit(self._server, self._port))

    def _call_again(self) -> None:
        """Ask on the connection that was made at the start."""
        self._kept.request("POST", "/mutate", REVIEW)
        assert json.loads(self._kept.getresponse().read())["response"]["allowed"]

    def _run(self, name: str, call: Callable[[], None]) -> None:
        while not self._done.is_set():
            try:
                call()
            except Exception as error:  # noqa: BLE001, RUF100 - counted
                self.errors.append(error)
            self.calls[name] += 1


def test_renewal_under_load_fails_no_request(api_server: ApiServer) -> None:
    """Two years in eighty steps: the keeper's clock runs ahead, the clients' stands still.

    Certificates are dated back so far that they are valid on both.
    """
    now, issuers = datetime.now(UTC), set()
    place = Place("dind", "dind-webhook-tls", "dind-webhook", (SERVICE,))
    with running() as webhook:

        def use(credentials: Credentials) -> None:
            texts = encode(credentials)
            issuers.add(credentials.serving.certificate.issuer)
            webhook.serving.use(texts[CERTIFICATE], texts[KEY])

        keeper = Keeper(
            Cluster(api_server.client()),
            place,
            use,
            clock=lambda: now,
            chance=system_chance(),
            lifetimes=Lifetimes(backdate=timedelta(days=1000)),
        )
        keeper.reconcile()
        callers = Callers(api_server, webhook.port)
        for _ in range(80):
            now += timedelta(days=10)
            keeper.reconcile()
            before = callers.calls.copy()
            eventually(partial(callers.have_called_since, before))
        callers.stop()
    assert callers.errors == []
    assert len(callers.serials) >= 10
    assert len(issuers) >= 3
