"""The part of the webhook that needs a cluster: the Secret, the CA bundle, the watched defaults."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import SystemRandom
from typing import TypeVar

import structlog

from certs.authority import Credentials, service_names
from certs.cluster import Keeper, Place
from certs.issue import system_chance
from certs.pem import CERTIFICATE, KEY, encode
from certs.reload import ServingContext
from cluster import api
from cluster.api import Cluster, config_maps, secrets, webhook_configurations
from cluster.client import Client, Collection
from cluster.connect import connect
from cluster.follow import Follower, Lost
from webhook.background import Background
from webhook.defaults import Defaults, Fault
from webhook.flags import Flags
from webhook.names import DEFAULTS_CONFIGMAP
from webhook.namespaces import Namespaces
from webhook.sources import Report, follow_cluster, post_event
from webhook.telemetry import Telemetry

log = structlog.get_logger()

T = TypeVar("T")
Unready = Callable[[], list[str]]


def start(
    flags: Flags,
    serving: ServingContext,
    defaults: Defaults,
    report: Report,
    telemetry: Telemetry,
    background: Background,
) -> list[Unready]:
    """Start what the flags ask of the cluster; return what readiness has to wait for.

    Raises:
        ClusterError: there is no cluster to talk to.
    """
    client = connect(flags.kubeconfig)
    if flags.watch_defaults:
        _watch_defaults(client, defaults, report, telemetry, background)
    if flags.cert_secret:
        return [_keep_certificate(flags, flags.cert_secret, client, serving, telemetry, background)]
    return []


def _watch_defaults(
    client: Client,
    defaults: Defaults,
    report: Report,
    telemetry: Telemetry,
    background: Background,
) -> None:
    cluster = Cluster(client)

    def tell(fault: Fault) -> None:
        report(fault)
        # Aside: an API server that is slow to take an Event must not hold up the next change.
        background.start("event", partial(post_event, cluster, fault))

    follower = Follower(client, config_maps(DEFAULTS_CONFIGMAP), random=SystemRandom())
    lost = partial(_tell_lost, "defaults", telemetry)
    run = partial(follow_cluster, follower, defaults, tell, lost)
    background.start("defaults", run, follower.stop)


def watch_namespaces(
    flags: Flags, namespaces: Namespaces, telemetry: Telemetry, background: Background
) -> None:
    """Follow the namespaces; nothing waits for it.

    Raises:
        ClusterError: there is no cluster to talk to.
    """
    follower = Follower(connect(flags.kubeconfig), api.namespaces(), random=SystemRandom())

    def run() -> None:
        for change in follower.changes():
            if isinstance(change, Lost):
                _tell_lost("namespaces", telemetry, change)
            namespaces.take(change)

    background.start("namespaces", run, follower.stop)


def _keep_certificate(
    flags: Flags,
    secret: str,
    client: Client,
    serving: ServingContext,
    telemetry: Telemetry,
    background: Background,
) -> Unready:
    place = Place(
        namespace=flags.namespace,
        secret=secret,
        configuration=flags.webhook_config,
        names=service_names(flags.service, flags.namespace),
    )

    def use(credentials: Credentials) -> None:
        texts = encode(credentials)
        serving.use(texts[CERTIFICATE], texts[KEY])

    def unready() -> list[str]:
        if keeper.published:
            return []
        return [f"certificate: not in MutatingWebhookConfiguration {place.configuration} yet"]

    keeper = Keeper(
        Cluster(client), place, use, clock=lambda: datetime.now(UTC), chance=system_chance()
    )
    wake = threading.Event()
    keep = partial(keeper.run, wake, background.stopped, SystemRandom())
    background.start("certificate", keep, wake.set)
    _wake_on_change(client, secrets(place.namespace, secret), wake, telemetry, background)
    configurations = webhook_configurations(place.configuration)
    _wake_on_change(client, configurations, wake, telemetry, background)
    return unready


def _wake_on_change(
    client: Client,
    collection: Collection[T],
    wake: threading.Event,
    telemetry: Telemetry,
    background: Background,
) -> None:
    follower = Follower(client, collection, random=SystemRandom())

    def run() -> None:
        for change in follower.changes():
            if isinstance(change, Lost):
                _tell_lost("certificate", telemetry, change)
            else:
                wake.set()

    background.start(f"watch of {collection.path}", run, follower.stop)


def _tell_lost(purpose: str, telemetry: Telemetry, lost: Lost) -> None:
    telemetry.cluster_errors.labels(purpose).inc()
    log.warning(
        "cluster lost", purpose=purpose, error=lost.error.message, retry_seconds=lost.retry_seconds
    )
