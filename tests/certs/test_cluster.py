"""Keeping the certificate in a cluster: replicas at once, lost Secrets, an API that fails."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from cryptography import x509

from certs.authority import Credentials, Lifetimes, service_names
from certs.cluster import Keeper, Place, trust_bundle
from certs.errors import CertificateError
from certs.issue import system_chance
from certs.pem import decode, encode, read_certificates
from cluster.api import Cluster
from cluster.client import Timeouts
from cluster.errors import ForbiddenError, NotFoundError, UnavailableError, UnreachableError
from tests.cluster.apiserver import (
    CONFIGURATIONS,
    ApiServer,
    Fault,
    drop,
    encoded,
    hang,
    serving,
    status,
)
from tests.waiting import eventually

SECRETS = "/api/v1/namespaces/dind/secrets"
SECRET = f"{SECRETS}/dind-webhook-tls"
CONFIGURATION = f"{CONFIGURATIONS}/dind-webhook"
PLACE = Place("dind", "dind-webhook-tls", "dind-webhook", service_names("dind-webhook", "dind"))
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """An API server into which the manifests have been applied."""
    with serving(ApiServer()) as server:
        server.put_configuration("dind-webhook", "pods.dind")
        yield server


class Replica:
    """One replica: what it serves, and what the API servers trusted when it began to."""

    def __init__(self, server: ApiServer, skew: timedelta = timedelta(0)) -> None:
        self.server = server
        self.now = START
        self.used: list[Credentials] = []
        self.keeper = Keeper(
            Cluster(server.client(Timeouts(read=3))),
            PLACE,
            self.use,
            clock=lambda: self.now + skew,
            chance=system_chance(),
        )

    def use(self, credentials: Credentials) -> None:
        """Serve a certificate, which the API servers must trust by now."""
        assert is_trusted(self.server, credentials)
        self.used.append(credentials)

    @property
    def serves(self) -> dict[str, bytes]:
        """The four texts of what is in use."""
        return encode(self.used[-1])


def trusted(server: ApiServer) -> tuple[x509.Certificate, ...]:
    stored = server.get(CONFIGURATION)
    assert stored is not None
    (webhook,) = stored["webhooks"]
    bundle = base64.b64decode(webhook["clientConfig"].get("caBundle", ""))
    return read_certificates(bundle) if bundle else ()


def is_trusted(server: ApiServer, credentials: Credentials) -> bool:
    issuer = credentials.serving.certificate.issuer
    return issuer in [one.subject for one in trusted(server)]


def stored(server: ApiServer) -> dict[str, bytes]:
    secret = server.get(SECRET)
    assert secret is not None
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def test_the_first_replica_makes_the_secret_and_is_trusted_before_it_serves(
    api_server: ApiServer,
) -> None:
    replica = Replica(api_server)
    assert not replica.keeper.published
    due = replica.keeper.reconcile()
    assert replica.keeper.published
    assert due == START + 60 * DAY
    assert replica.serves == stored(api_server)
    secret = api_server.get(SECRET)
    assert secret is not None
    assert secret["type"] == "kubernetes.io/tls"


def test_where_nothing_is_due_nothing_is_written(api_server: ApiServer) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    before = len(api_server.requests)
    replica.keeper.reconcile()
    assert api_server.requests[before:] == [f"GET {SECRET}", f"GET {CONFIGURATION}"]
    assert len(replica.used) == 1


@pytest.mark.parametrize("count", [2, 5])
def test_replicas_that_start_at_once_agree(api_server: ApiServer, count: int) -> None:
    for _ in range(10):
        api_server.put_configuration("dind-webhook", "pods.dind")
        replicas = [Replica(api_server) for _ in range(count)]
        at_once([replica.keeper.reconcile for replica in replicas])
        assert all(replica.serves == stored(api_server) for replica in replicas)
        assert len(trusted(api_server)) == 1
        api_server.remove(SECRET)


def test_replicas_that_renew_at_once_agree(api_server: ApiServer) -> None:
    replicas = [Replica(api_server) for _ in range(3)]
    for day in (0, 61, 122, 183, 244, 305, 366):
        for replica in replicas:
            replica.now = START + day * DAY
        at_once([replica.keeper.reconcile for replica in replicas])
        assert all(replica.serves == stored(api_server) for replica in replicas)
    assert api_server.count(f"POST {SECRETS}") <= 3
    assert len({one.serving.certificate.issuer for one in replicas[0].used}) == 2


def test_authorities_overlap(api_server: ApiServer) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    (old,) = trusted(api_server)
    replica.now = START + 244 * DAY
    replica.keeper.reconcile()
    new, kept = trusted(api_server)
    assert kept == old
    assert replica.used[-1].serving.certificate.issuer == old.subject
    replica.now = START + 305 * DAY
    replica.keeper.reconcile()
    assert replica.used[-1].serving.certificate.issuer == new.subject
    replica.now = START + 366 * DAY
    replica.keeper.reconcile()
    assert trusted(api_server) == (new,)


def test_a_secret_deleted_by_hand_is_made_again_as_it_was(api_server: ApiServer) -> None:
    replica, other = Replica(api_server), Replica(api_server)
    replica.keeper.reconcile()
    other.keeper.reconcile()
    before = stored(api_server)
    api_server.remove(SECRET)
    at_once([replica.keeper.reconcile, other.keeper.reconcile])
    assert stored(api_server) == before
    assert len(replica.used) == len(other.used) == 1


def test_a_secret_broken_by_hand_is_mended(api_server: ApiServer) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    before = stored(api_server)
    secret = api_server.get(SECRET)
    assert secret is not None
    secret["data"]["ca.key"] = ""
    api_server.put(SECRET, secret)
    replica.keeper.reconcile()
    assert stored(api_server) == before


def test_a_replica_that_starts_after_the_secret_was_lost_leaves_the_others_trusted(
    api_server: ApiServer,
) -> None:
    serves_still = Replica(api_server)
    serves_still.keeper.reconcile()
    api_server.remove(SECRET)
    Replica(api_server).keeper.reconcile()
    assert is_trusted(api_server, serves_still.used[-1])
    serves_still.keeper.reconcile()
    assert serves_still.serves == stored(api_server)


def test_a_secret_made_empty_by_the_manifests_is_filled_and_keeps_its_labels(
    api_server: ApiServer,
) -> None:
    meta = {
        "name": PLACE.secret,
        "namespace": "dind",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }
    api_server.put(SECRET, {"metadata": meta, "type": "Opaque"})
    replica = Replica(api_server)
    replica.keeper.reconcile()
    secret = api_server.get(SECRET)
    assert secret is not None
    assert secret["metadata"]["labels"]["a"] == "b"
    assert secret["metadata"]["annotations"] == {"c": "d"}
    assert replica.serves == stored(api_server)


def test_a_secret_of_someone_else_is_left_alone(api_server: ApiServer) -> None:
    meta = {"name": PLACE.secret, "namespace": "dind"}
    theirs = {"metadata": meta, "data": encoded({"tls.crt": b"theirs", "tls.key": b"theirs"})}
    api_server.put(SECRET, theirs)
    with pytest.raises(CertificateError, match=r"did not write.*\n.*--cert-dir"):
        Replica(api_server).keeper.reconcile()
    assert stored(api_server)["tls.crt"] == b"theirs"


def test_a_ca_bundle_wiped_by_hand_is_written_again(api_server: ApiServer) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    api_server.put_configuration("dind-webhook", "pods.dind")
    replica.keeper.reconcile()
    assert is_trusted(api_server, replica.used[-1])


def test_without_a_webhook_configuration_nothing_is_served(api_server: ApiServer) -> None:
    api_server.remove(CONFIGURATION)
    replica = Replica(api_server)
    with pytest.raises(NotFoundError):
        replica.keeper.reconcile()
    assert not replica.used
    assert not replica.keeper.published
    api_server.put_configuration("dind-webhook", "pods.dind")
    replica.keeper.reconcile()
    assert replica.keeper.published


@pytest.mark.parametrize(
    ("method", "path", "fault", "error"),
    [
        ("GET", SECRET, status(500), UnavailableError),
        ("GET", SECRET, hang, UnreachableError),
        ("PATCH", SECRET, status(403), ForbiddenError),
        ("PATCH", SECRET, drop, UnreachableError),
        ("GET", CONFIGURATION, drop, UnreachableError),
        ("PATCH", CONFIGURATION, status(403), ForbiddenError),
        ("PATCH", CONFIGURATION, status(500), UnavailableError),
        ("PATCH", CONFIGURATION, hang, UnreachableError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_renewal_that_fails_half_way_leaves_the_old_certificate_in_use(
    api_server: ApiServer, method: str, path: str, fault: Fault, error: type[Exception]
) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    replica.now = START + 244 * DAY
    api_server.plan(fault, method=method, path=path)
    with pytest.raises(error):
        replica.keeper.reconcile()
    assert len(replica.used) == 1
    replica.keeper.reconcile()
    assert len(replica.used) == 2
    assert replica.serves == stored(api_server)


@pytest.mark.parametrize("path", [SECRET, CONFIGURATION])
def test_a_conflict_is_looked_at_again(api_server: ApiServer, path: str) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    replica.now = START + 244 * DAY
    api_server.plan(status(409), method="PATCH", path=path, times=3)
    replica.keeper.reconcile()
    assert replica.serves == stored(api_server)


def test_replicas_whose_clocks_are_apart_do_not_renew_after_each_other(
    api_server: ApiServer,
) -> None:
    slow = Replica(api_server, skew=timedelta(hours=-20))
    fast = Replica(api_server, skew=timedelta(hours=3))
    for day in range(0, 400, 3):
        slow.now = fast.now = START + day * DAY
        fast.keeper.reconcile()
        before = stored(api_server)
        slow.keeper.reconcile()
        fast.keeper.reconcile()
        assert stored(api_server) == before
    serving = slow.used[-1].serving.certificate
    assert serving.not_valid_before_utc <= slow.now - timedelta(hours=20)


def test_a_bundle_forgets_what_expired_and_what_is_not_ours(api_server: ApiServer) -> None:
    replica = Replica(api_server)
    replica.keeper.reconcile()
    ours = replica.used[-1]
    leaf = encode(ours)["tls.crt"]
    other = Replica(api_server)
    api_server.remove(SECRET)
    other.keeper.reconcile()
    theirs = encode(other.used[-1])["ca.crt"]
    bundle = trust_bundle(leaf + theirs, ours, START)
    assert bundle == encode(ours)["ca.crt"] + theirs
    assert trust_bundle(bundle, ours, START) == bundle
    assert trust_bundle(bundle, ours, START + 366 * DAY) == encode(ours)["ca.crt"]
    assert trust_bundle(b"no certificate", ours, START) == encode(ours)["ca.crt"]


def test_it_keeps_going_by_itself(api_server: ApiServer) -> None:
    """Woken by changes, waiting out failures, renewing short lives on the real clock."""
    used: list[Credentials] = []
    lifetimes = Lifetimes(
        authority=timedelta(seconds=9),
        serving=timedelta(seconds=3),
        settle=timedelta(seconds=1),
        backdate=timedelta(seconds=30),
    )
    keeper = Keeper(
        Cluster(api_server.client()),
        PLACE,
        used.append,
        clock=lambda: datetime.now(UTC),
        chance=system_chance(),
        lifetimes=lifetimes,
    )
    api_server.plan(status(500), path=SECRET, times=2)
    with running(keeper) as wake:
        eventually(lambda: len(used) == 1)
        api_server.remove(SECRET)
        wake.set()
        eventually(lambda: api_server.get(SECRET) is not None)
        eventually(lambda: len(used) >= 3)
    assert decode(stored(api_server)).serving.certificate == used[-1].serving.certificate


@contextmanager
def running(keeper: Keeper) -> Iterator[threading.Event]:
    wake, stopped = threading.Event(), threading.Event()
    thread = threading.Thread(target=keeper.run, args=(wake, stopped, Random(0)))  # noqa: S311
    thread.start()
    try:
        yield wake
    finally:
        stopped.set()
        wake.set()
        thread.join(5)
        assert not thread.is_alive()


def at_once(calls: list[Callable[[], object]]) -> None:
    """Make calls in threads that start together; the first error of any is raised."""
    barrier = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001, RUF100 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
