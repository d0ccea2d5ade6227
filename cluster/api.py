"""What we ask of the Kubernetes API: every verb that any of our programs uses, and no other.

Each function names the right it needs; together they are the RBAC rules of ``manifests/``.
"""

from collections.abc import Mapping

import msgspec

from cluster.client import Client, Collection
from cluster.objects import ConfigMap, Namespace, Node, Notice, Secret, WebhookConfiguration

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
_NODES = "/api/v1/nodes"
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

EVENT_MESSAGE_BYTES = 1024
"""The API server refuses a longer message of an Event."""


def config_maps(name: str) -> Collection[ConfigMap]:
    """Return the ConfigMaps of this name in all namespaces.

    Needs list and watch on configmaps in the whole cluster, for this ``resourceNames`` alone.
    """
    return Collection("/api/v1/configmaps", ConfigMap, f"metadata.name={name}")


def secrets(namespace: str, name: str) -> Collection[Secret]:
    """Return the collection of one Secret. Needs list and watch on it."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return Collection(path, Secret, f"metadata.name={name}")


def webhook_configurations(name: str) -> Collection[WebhookConfiguration]:
    """Return the collection of one MutatingWebhookConfiguration. Needs list and watch on it."""
    return Collection(_CONFIGURATIONS, WebhookConfiguration, f"metadata.name={name}")


def nodes(name: str) -> Collection[Node]:
    """Return the collection of one node. Needs list and watch on nodes: no rule can narrow them.

    (RBAC allows a list by ``resourceNames``, but the name of a node is not known beforehand.)
    """
    return Collection(_NODES, Node, f"metadata.name={name}")


def namespaces() -> Collection[Namespace]:
    """Return all namespaces. Needs list and watch on them."""
    return Collection("/api/v1/namespaces", Namespace, "")


class Cluster:
    """The single requests; each raises a ``ClusterError``, as ``Client.request`` does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read_secret(self, namespace: str, name: str) -> Secret:
        """Return a Secret. Needs get on it."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        return msgspec.json.decode(self._client.request("GET", path), type=Secret)

    def create_secret(self, secret: Secret) -> Secret:
        """Make a Secret and return it as stored. Needs create on secrets in its namespace.

        Raises:
            ConflictError: another one made it first.
        """
        path = f"/api/v1/namespaces/{secret.metadata.namespace}/secrets"
        body = {"apiVersion": "v1", "kind": "Secret", **msgspec.to_builtins(secret)}
        answer = self._client.request("POST", path, body=body)
        return msgspec.json.decode(answer, type=Secret)

    def patch_secret(self, secret: Secret) -> Secret:
        """Write a Secret's data and labels over the version that was read. Needs patch.

        Raises:
            ConflictError: another one wrote it since.
        """
        meta = secret.metadata
        patch = {
            "metadata": {"resourceVersion": meta.resource_version, "labels": meta.labels},
            "data": msgspec.to_builtins(secret.data),
        }
        path = f"/api/v1/namespaces/{meta.namespace}/secrets/{meta.name}"
        answer = self._client.request("PATCH", path, body=patch, content_type=MERGE)
        return msgspec.json.decode(answer, type=Secret)

    def read_webhook_configuration(self, name: str) -> WebhookConfiguration:
        """Return a MutatingWebhookConfiguration. Needs get on it."""
        answer = self._client.request("GET", f"{_CONFIGURATIONS}/{name}")
        return msgspec.json.decode(answer, type=WebhookConfiguration)

    def patch_ca_bundles(self, configuration: WebhookConfiguration) -> WebhookConfiguration:
        """Write the CA bundle of each webhook, touching nothing else. Needs patch.

        Raises:
            ConflictError: the configuration changed since it was read.
        """
        name, version = configuration.metadata.name, configuration.metadata.resource_version
        patch = {
            "metadata": {"resourceVersion": version},
            "webhooks": [msgspec.to_builtins(webhook) for webhook in configuration.webhooks],
        }
        path = f"{_CONFIGURATIONS}/{name}"
        answer = self._client.request("PATCH", path, body=patch, content_type=STRATEGIC_MERGE)
        return msgspec.json.decode(answer, type=WebhookConfiguration)

    def read_node(self, name: str) -> Node:
        """Return a node. Needs get on it."""
        return msgspec.json.decode(self._client.request("GET", f"{_NODES}/{name}"), type=Node)

    def patch_node_labels(self, name: str, labels: Mapping[str, str | None]) -> Node:
        """Set these labels of a node, remove those that are None, and touch no others.

        Needs patch on nodes.
        """
        patch = {"metadata": {"labels": labels}}
        answer = self._client.request("PATCH", f"{_NODES}/{name}", body=patch, content_type=MERGE)
        return msgspec.json.decode(answer, type=Node)

    def patch_node_capacity(self, name: str, capacity: Mapping[str, str | None]) -> Node:
        """Set these resources of a node, remove those that are None, and touch no others.

        Needs patch on nodes/status. What may be allocated of them the kubelet works out.
        https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
        """
        patch = {"status": {"capacity": capacity}}
        path = f"{_NODES}/{name}/status"
        answer = self._client.request("PATCH", path, body=patch, content_type=MERGE)
        return msgspec.json.decode(answer, type=Node)

    def create_event(self, notice: Notice) -> None:
        """Show a notice on its object, as a Warning in ``kubectl describe``.

        Needs create on events in the object's namespace, in ``default`` for one that lies in none.

        Raises:
            ConflictError: it has been said already.
        """
        about = notice.about
        namespace = about.namespace or "default"
        involved = {
            "apiVersion": notice.about_api_version,
            "kind": notice.about_kind,
            "name": about.name,
            "namespace": about.namespace,
            "uid": about.uid,
            "resourceVersion": about.resource_version,
        }
        stamp = notice.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": notice.name, "namespace": namespace},
            "involvedObject": involved,
            "type": "Warning",
            "reason": notice.reason,
            "message": _cut(notice.message, EVENT_MESSAGE_BYTES),
            "source": {"component": notice.component},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        self._client.request("POST", f"/api/v1/namespaces/{namespace}/events", body=event)


def _cut(text: str, size_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= size_bytes:
        return text
    return encoded[: size_bytes - 3].decode(errors="ignore") + "…"
