"""Keeps what the cluster knows of this node true: its labels, its capacity, its Events.

Level-triggered: what is wanted is compared with the node as it was last seen, whoever changed it (a
kubelet that registers anew sets every extended resource to nothing), and only what differs is sent.
While the API server cannot be reached, the newest wish waits; nothing on the node waits for it.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from random import Random

import structlog

from cluster.api import Cluster
from cluster.errors import ClusterError, ConflictError, StatusError, UnavailableError
from cluster.follow import Follower, Listed, Lost, Put, Removed, retry_seconds
from cluster.objects import Node
from flexvol.agent.changes import capacity_changes, label_changes
from flexvol.agent.incidents import Incident
from flexvol.agent.outbox import Outbox
from flexvol.agent.telemetry import Telemetry
from flexvol.agent.wanted import Wanted

log = structlog.get_logger()


class Publisher:
    """Publishes one node. ``want``, ``tell`` and ``stop`` may be called from any thread.

    Args:
        cluster: the API server.
        name: the node's.
        telemetry: counts what becomes of it.
        clock: the time.
        random: spreads the agents of many nodes when they knock again.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._node: Node | None = None
        self._wanted: Wanted | None = None
        self._outbox = Outbox()
        self._outbox_lock = threading.Lock()

    def want(self, wanted: Wanted) -> None:
        """Have the node published so."""
        self._wanted = wanted
        self._wake.set()

    def tell(self, incident: Incident) -> None:
        """Have an Event made of an incident."""
        with self._outbox_lock:
            taken = self._outbox.put(incident, self._clock())
        if not taken:
            self._telemetry.events.labels("dropped").inc()
            log.warning("event dropped", reason=incident.reason, message=incident.message)
        self._wake.set()

    def stop(self) -> None:
        """End ``run`` soon. What is published stays: whoever takes over goes on from it."""
        self._stopped.set()
        self._wake.set()

    def follow(self, follower: Follower[Node]) -> None:
        """See every change of the node, until the follower is stopped."""
        for change in follower.changes():
            match change:
                case Listed(items):
                    self._see(items[0] if items else None)
                    if not items:
                        log.warning("no such node", node=self._name)
                case Put(item):
                    self._see(item)
                case Removed():
                    self._see(None)
                case Lost(error, seconds):
                    self._lost("watch", error, seconds)

    def run(self) -> None:
        """Publish until stopped."""
        failures = 0
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self.publish()
                failures = 0
            except ClusterError as error:
                failures += 1
                seconds = retry_seconds(failures, self._random.random())
                self._lost("publish", error, seconds)
                self._stopped.wait(seconds)
                self._wake.set()

    def publish(self) -> None:
        """Send what differs, and the Events that wait; nothing as long as the node is not known.

        Raises:
            ClusterError: it could not be done; it is to be done again.
        """
        node, wanted = self._node, self._wanted
        if node is None:
            return
        if wanted is not None:
            if labels := label_changes(node, wanted):
                node = self._cluster.patch_node_labels(self._name, labels)
                log.info("labelled", node=self._name, labels=labels)
            if capacity := capacity_changes(node, wanted):
                self._cluster.patch_node_capacity(self._name, capacity)
                log.info("capacity published", node=self._name, capacity=capacity)
        # What came back is not kept: the watch brings it too, and never out of order.
        while self._tell_next(node):
            pass

    def _tell_next(self, node: Node) -> bool:
        """Make one Event; tell whether there may be more."""
        with self._outbox_lock:
            notice = self._outbox.next(node.metadata, self._clock())
        if notice is None:
            return False
        fate = "made"
        try:
            self._cluster.create_event(notice)
        except UnavailableError:
            raise
        except ConflictError:
            fate = "told before"
        except StatusError as error:  # its namespace is gone, or we may not: another try is vain
            fate = "dropped"
            self._telemetry.cluster_errors.labels("event").inc()
            log.warning("event not made", reason=notice.reason, error=error.message)
        if fate != "told before":
            self._telemetry.events.labels(fate).inc()
        with self._outbox_lock:
            self._outbox.done()
        return True

    def _see(self, node: Node | None) -> None:
        self._node = node
        self._wake.set()

    def _lost(self, purpose: str, error: ClusterError, seconds: float) -> None:
        self._telemetry.cluster_errors.labels(purpose).inc()
        log.warning("cluster lost", purpose=purpose, error=error.message, retry_seconds=seconds)
