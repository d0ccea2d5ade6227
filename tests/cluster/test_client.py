"""Requests: what comes back, and what is said when nothing does."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.api import EVENT_MESSAGE_BYTES, Cluster, config_maps, nodes
from cluster.client import Timeouts
from cluster.connect import connect
from cluster.errors import (
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    NotInClusterError,
    RejectedError,
    StatusError,
    UnavailableError,
    UnreachableError,
)
from cluster.objects import ClientConfig, Notice, ObjectMeta, Secret, Webhook, WebhookConfiguration
from tests.cluster.apiserver import CONFIGURATIONS, ApiServer, drop, hang, status

SECRET = Secret(ObjectMeta(name="tls", namespace="dind"), {"key": b"\x00value"}, "Opaque")


def test_a_secret_is_made_read_and_patched(api_server: ApiServer) -> None:
    cluster = Cluster(api_server.client())
    made = cluster.create_secret(SECRET)
    assert cluster.read_secret("dind", "tls") == made
    assert made.data == {"key": b"\x00value"}
    assert cluster.patch_secret(made).metadata.resource_version > made.metadata.resource_version


def test_a_secret_that_exists_is_not_made_again(api_server: ApiServer) -> None:
    cluster = Cluster(api_server.client())
    cluster.create_secret(SECRET)
    with pytest.raises(ConflictError, match="already exists"):
        cluster.create_secret(SECRET)


def test_a_secret_that_changed_since_is_not_overwritten(api_server: ApiServer) -> None:
    cluster = Cluster(api_server.client())
    read = cluster.create_secret(SECRET)
    cluster.patch_secret(read)
    with pytest.raises(ConflictError, match="modified"):
        cluster.patch_secret(read)


def test_ca_bundles_are_written_and_nothing_else_is_touched(api_server: ApiServer) -> None:
    api_server.put_configuration("dind", "one.dind", "two.dind")
    cluster = Cluster(api_server.client())
    read = cluster.read_webhook_configuration("dind")
    assert [webhook.client_config.ca_bundle for webhook in read.webhooks] == [b"", b""]
    webhooks = tuple(Webhook(webhook.name, ClientConfig(b"PEM")) for webhook in read.webhooks)
    cluster.patch_ca_bundles(WebhookConfiguration(read.metadata, webhooks))
    stored = api_server.get(f"{CONFIGURATIONS}/dind")
    assert stored is not None
    bundle = base64.b64encode(b"PEM").decode()
    expected = {"service": {"name": "dind"}, "caBundle": bundle}
    assert [webhook["clientConfig"] for webhook in stored["webhooks"]] == [expected, expected]
    with pytest.raises(ConflictError):
        cluster.patch_ca_bundles(read)


def test_an_event_names_its_object_and_is_cut_to_what_the_api_takes(api_server: ApiServer) -> None:
    about = ObjectMeta(name="dind-defaults", namespace="ci", uid="u1", resource_version="7")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    notice = Notice(about, "v1", "ConfigMap", "dind-defaults.7", "Bad", "é" * 1000, "dind", at)
    cluster = Cluster(api_server.client())
    cluster.create_event(notice)
    (event,) = api_server.under("/namespaces/ci/events/")
    assert event["involvedObject"]["uid"] == "u1"
    assert event["type"] == "Warning"
    assert event["lastTimestamp"] == "2026-01-02T03:04:05Z"
    assert EVENT_MESSAGE_BYTES - 3 < len(event["message"].encode()) <= EVENT_MESSAGE_BYTES
    with pytest.raises(ConflictError):
        cluster.create_event(notice)


def test_labels_and_capacity_of_a_node_are_patched_and_nothing_else(api_server: ApiServer) -> None:
    api_server.put_node("node-1")
    cluster = Cluster(api_server.client())
    before = cluster.read_node("node-1")
    cluster.patch_node_labels("node-1", {"dind/driver": "ready", "absent": None})
    after = cluster.patch_node_capacity("node-1", {"dind/slab-mib": "1024"})
    assert after.metadata.labels == {**before.metadata.labels, "dind/driver": "ready"}
    assert after.status.capacity == {"cpu": "4", "dind/slab-mib": "1024"}
    cluster.patch_node_labels("node-1", {"dind/driver": None})
    cluster.patch_node_capacity("node-1", {"dind/slab-mib": None, "never/there": None})
    last = cluster.read_node("node-1")
    assert (last.metadata.labels, last.status) == (before.metadata.labels, before.status)


def test_only_the_node_of_a_name_is_in_its_collection(api_server: ApiServer) -> None:
    api_server.put_node("node-1")
    api_server.put_node("node-2")
    (found,) = api_server.client().list(nodes("node-2")).items
    assert found.metadata.name == "node-2"


def test_an_event_on_what_lies_in_no_namespace_goes_into_the_default_one(
    api_server: ApiServer,
) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    about = ObjectMeta(name="node-1", uid="u1")
    notice = Notice(about, "v1", "Node", "node-1.1", "SlabDamaged", "so", "dind-agent", at)
    Cluster(api_server.client()).create_event(notice)
    (event,) = api_server.under("/namespaces/default/events/")
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["namespace"] == ""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, RejectedError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, ExpiredError),
        (422, RejectedError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
def test_each_status_is_an_error_of_its_kind(
    api_server: ApiServer, code: int, error: type[StatusError]
) -> None:
    api_server.plan(status(code))
    with pytest.raises(error, match=f"answered {code} to GET /api.*told to answer") as raised:
        Cluster(api_server.client()).read_secret("dind", "tls")
    assert raised.value.status == code


def test_a_dropped_connection_is_unreachable(api_server: ApiServer) -> None:
    api_server.plan(drop)
    with pytest.raises(UnreachableError, match="GET /api/v1/configmaps got no answer"):
        api_server.client().list(config_maps("dind-defaults"))


def test_a_silent_api_server_is_unreachable_after_the_time_limit(api_server: ApiServer) -> None:
    api_server.plan(hang)
    with pytest.raises(UnreachableError, match="timed out"):
        api_server.client(Timeouts(read=0.2)).list(config_maps("dind-defaults"))


def test_nobody_listening_is_unreachable(api_server: ApiServer) -> None:
    api_server.url = "http://127.0.0.1:1"
    with pytest.raises(UnreachableError, match="refused"):
        api_server.client().list(config_maps("dind-defaults"))


def test_a_list_sees_its_name_in_every_namespace(api_server: ApiServer) -> None:
    api_server.put_config_map("ci", {"image": "a"})
    api_server.put_config_map("dind", None)
    api_server.put_config_map("ci", {"image": "b"}, name="other")
    found = api_server.client().list(config_maps("dind-defaults"))
    assert [(item.metadata.namespace, item.data) for item in found.items] == [
        ("ci", {"image": "a"}),
        ("dind", None),
    ]


def test_without_a_cluster_the_hint_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NotInClusterError, match="kubeconfig"):
        connect()
    with pytest.raises(NotInClusterError, match="kubeconfig"):
        connect(tmp_path / "absent")


def test_a_kubeconfig_signs_in(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.put_config_map("ci", {"image": "a"})
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(f"""
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{api_server.url}"}}}}]
users: [{{name: me, user: {{token: sesame}}}}]
""")
    client = connect(kubeconfig)
    assert len(client.list(config_maps("dind-defaults")).items) == 1
    client.close()
