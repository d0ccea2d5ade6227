"""The Kubernetes objects we read and write, each with the fields we use and no others.

msgspec decodes them from the API server's JSON and leaves out what is not named here, so that a
newer API server's fields cost nothing. (The package's own models cost 20 MiB of memory and 0.4 s
of start-up for a single list.) Bytes are base64 in the API's JSON, and bytes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The part of ``metadata`` that we use; ``resource_version`` is opaque, to be compared only."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}


class ConfigMap(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A core/v1 ConfigMap."""

    metadata: ObjectMeta
    data: Mapping[str, str] | None = None


class Secret(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A core/v1 Secret. The API server never lets the type of one change."""

    metadata: ObjectMeta
    data: Mapping[str, bytes] | None = None
    type: str = ""


class ClientConfig(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How the API server reaches a webhook, and whose certificates it takes from it (PEM)."""

    ca_bundle: bytes = b""


class Webhook(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One webhook of a configuration."""

    name: str
    client_config: ClientConfig = ClientConfig()


class WebhookConfiguration(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An admissionregistration.k8s.io/v1 MutatingWebhookConfiguration."""

    metadata: ObjectMeta
    webhooks: tuple[Webhook, ...] = ()


class Namespace(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A core/v1 Namespace."""

    metadata: ObjectMeta


class NodeStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a node has; quantities, in whatever form the API server writes them."""

    capacity: Mapping[str, str] = {}


class Node(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A core/v1 Node."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """What a list says of itself: the version to watch from."""

    resource_version: str = ""


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The API server's own word on a failure."""

    message: str = ""
    reason: str = ""
    code: int = 0


@dataclass(frozen=True)
class Notice:
    """What is to be told to people about an object.

    Attributes:
        about: the object's metadata. Its namespace is where the Event goes, ``default`` for an
            object that lies in none: the API server wants it so.
        about_api_version: the object's.
        about_kind: the object's.
        name: the Event's own: who says the same thing uses the same name, and it is said once.
        reason: one CamelCase word.
        message: a sentence; cut at 1,024 bytes.
        component: who says it.
        at: when, in UTC.
    """

    about: ObjectMeta
    about_api_version: str
    about_kind: str
    name: str
    reason: str
    message: str
    component: str
    at: datetime
