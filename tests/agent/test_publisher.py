"""What the cluster knows of the node, while the API server misbehaves."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from cluster.api import Cluster, nodes
from cluster.client import Timeouts
from cluster.follow import Follower
from flexvol.agent.incidents import Incident, Pod
from flexvol.agent.publisher import Publisher
from flexvol.agent.telemetry import Telemetry
from flexvol.agent.wanted import NOT_READY, Wanted
from tests.agent.make import NOON
from tests.cluster.apiserver import ApiServer, Fault, drop, hang, status
from tests.waiting import eventually

NODE = "/api/v1/nodes/node-1"
WATCH = "WATCH /api/v1/nodes"
LABELS, CAPACITY = f"PATCH {NODE}", f"PATCH {NODE}/status"
READY = Wanted(ready=True, capacity_mib=10000, warm=frozenset({"dind.warm/abc"}))
REFUSED = Incident(Pod("ci", "build-1", "pod-uid"), "SlabRefused", "no room", "pod-uid no_room")
DAMAGED = Incident(None, "SlabDamaged", "slab-1 is gone", "slab-1")


class Running:
    """A publisher that runs, and what the API server knows because of it."""

    def __init__(self, server: ApiServer, timeouts: Timeouts) -> None:
        self.server = server
        self.telemetry = Telemetry(lambda: NOON)
        client = server.client(timeouts)
        self.publisher = Publisher(
            Cluster(client),
            "node-1",
            self.telemetry,
            lambda: NOON,
            Random(0),  # noqa: S311 - jitter
        )
        self.follower = Follower(client, nodes("node-1"), random=Random(0))  # noqa: S311 - jitter
        self.close = client.close

    def labels(self) -> dict[str, str]:
        """Return the node's labels but for its own zone."""
        node = self.server.get(NODE)
        assert node is not None
        return {name: v for name, v in node["metadata"]["labels"].items() if name != "zone"}

    def capacity(self) -> str | None:
        """Return the node's extended resource."""
        node = self.server.get(NODE)
        assert node is not None
        amount: str | None = node["status"]["capacity"].get("dind/slab-mib")
        return amount

    def shows(self, wanted: Wanted) -> bool:
        """Tell whether the node shows all of it."""
        labels = dict.fromkeys(wanted.warm, "true")
        if wanted.ready:
            labels["dind/driver"] = "ready"
        return self.labels() == labels and self.capacity() == str(wanted.capacity_mib)

    def errors(self, purpose: str) -> float:
        """Return how many failures of the API server were counted."""
        labels = {"purpose": purpose}
        value = self.telemetry.registry.get_sample_value("dind_node_cluster_errors_total", labels)
        return value or 0


@contextmanager
def running(server: ApiServer, timeouts: Timeouts | None = None) -> Iterator[Running]:
    one = Running(server, timeouts or Timeouts(read=1, watch=60))
    threads = [
        threading.Thread(target=one.publisher.run),
        threading.Thread(target=one.publisher.follow, args=(one.follower,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield one
    finally:
        one.follower.stop()
        one.publisher.stop()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), "a stopped publisher does not end"
        one.close()


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    """An API server that knows one node."""
    api_server.put_node("node-1")
    return api_server


def test_what_is_wanted_is_published(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        grown = Wanted(ready=True, capacity_mib=20000)
        one.publisher.want(grown)
        eventually(lambda: one.shows(grown))
        one.publisher.want(NOT_READY)
        eventually(lambda: one.labels() == {})
        assert one.capacity() == "20000"


def test_only_what_changes_is_sent(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        time.sleep(0.3)  # until the watch has brought it back
        sent = (server.count(LABELS), server.count(CAPACITY))
        for _ in range(5):
            one.publisher.want(READY)
            time.sleep(0.05)
        assert (server.count(LABELS), server.count(CAPACITY)) == sent


def test_nothing_is_sent_before_it_is_known_what_is_wanted(server: ApiServer) -> None:
    server.put(NODE, {"metadata": {"name": "node-1", "labels": {"dind/driver": "ready"}}})
    with running(server) as one:
        eventually(lambda: server.count(WATCH) == 1)
        time.sleep(0.2)
        assert one.labels() == {"dind/driver": "ready"}
        assert server.count(LABELS) == 0


def test_what_a_kubelet_sets_to_nothing_is_published_again(server: ApiServer) -> None:
    """A kubelet that registers anew zeroes every extended resource."""
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        server.put_node("node-1", **{"dind/slab-mib": "0"})
        eventually(lambda: one.shows(READY))


def test_a_node_that_is_removed_and_comes_back_is_published_again(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        server.remove(NODE)
        time.sleep(0.2)
        server.put_node("node-1")
        eventually(lambda: one.shows(READY))


@pytest.mark.parametrize(
    "fault",
    [status(409), status(500), status(503), drop, hang],
    ids=["409", "500", "503", "drop", "hang"],
)
def test_a_patch_that_fails_is_sent_again(server: ApiServer, fault: Fault) -> None:
    server.plan(fault, method="PATCH", path="/nodes/", times=3)
    with running(server, Timeouts(read=0.3, watch=60)) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        assert one.errors("publish") == 3


def test_a_watch_that_breaks_or_expires_loses_no_change_of_the_node(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
        with server.lock:
            server.drop_watches()
            server.put_node("node-1")
            server.forget()  # 410 to whoever resumes
        eventually(lambda: one.shows(READY))
        assert one.errors("watch") == 2


def test_the_newest_wish_waits_for_an_api_server_that_is_away(server: ApiServer) -> None:
    server.plan(drop, times=4)
    server.plan(drop, method="PATCH", times=2)
    with running(server) as one:
        for capacity in (1000, 2000, 3000):
            one.publisher.want(Wanted(ready=True, capacity_mib=capacity))
        eventually(lambda: one.shows(Wanted(ready=True, capacity_mib=3000)))


def test_incidents_become_events(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.tell(DAMAGED)
        one.publisher.tell(REFUSED)
        one.publisher.tell(REFUSED)
        eventually(lambda: len(server.under("/events/")) == 2)
    (on_node,) = server.under("/namespaces/default/events/")
    (on_pod,) = server.under("/namespaces/ci/events/")
    assert on_node["involvedObject"]["kind"] == "Node"
    assert on_node["involvedObject"]["uid"].startswith("uid-node-1")
    assert (on_pod["involvedObject"]["name"], on_pod["reason"]) == ("build-1", "SlabRefused")
    assert on_pod["source"] == {"component": "dind-agent"}


@pytest.mark.parametrize("fault", [status(500), drop, hang], ids=["500", "drop", "hang"])
def test_an_event_that_fails_is_made_later(server: ApiServer, fault: Fault) -> None:
    server.plan(fault, method="POST", path="/events", times=2)
    with running(server, Timeouts(read=0.3, watch=60)) as one:
        one.publisher.tell(DAMAGED)
        eventually(lambda: len(server.under("/events/")) == 1)


@pytest.mark.parametrize("code", [403, 404, 422])
def test_an_event_that_can_never_be_made_stops_no_other(server: ApiServer, code: int) -> None:
    server.plan(status(code), method="POST", path="/namespaces/ci/events")
    with running(server) as one:
        one.publisher.tell(REFUSED)
        one.publisher.tell(DAMAGED)
        one.publisher.want(READY)
        eventually(lambda: len(server.under("/events/")) == 1)
        eventually(lambda: one.shows(READY))
        assert one.errors("event") == 1


def test_what_another_agent_has_told_is_not_told_again(server: ApiServer) -> None:
    for _ in range(2):
        with running(server) as one:
            posts = server.count("POST /api/v1/namespaces/default/events")
            one.publisher.tell(DAMAGED)
            eventually(
                lambda before=posts: server.count("POST /api/v1/namespaces/default/events") > before  # type: ignore[misc] # mypy takes no default here
            )
    assert len(server.under("/events/")) == 1


def test_a_stop_leaves_everything_as_it_is(server: ApiServer) -> None:
    with running(server) as one:
        one.publisher.want(READY)
        eventually(lambda: one.shows(READY))
    assert one.shows(READY)
