"""What was found in a cluster. A question that could not be answered says why instead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from cluster.inquiry import EndpointSlice, Pod, Version, Workload
from cluster.objects import ConfigMap, Namespace, Node, Secret

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """An answer."""

    value: T


@dataclass(frozen=True)
class Missing:
    """There is no such object."""


@dataclass(frozen=True)
class Unknown:
    """The question was not answered: who asks lacks the right to, or the API server failed."""

    why: str


Answer: TypeAlias = Found[T] | Missing | Unknown


@dataclass(frozen=True)
class Refused:
    """What the API server said instead of creating a pod."""

    message: str


class Right(NamedTuple):
    """One thing that a program asks of the API server.

    Attributes:
        account: the program's service account.
        group: of the API; empty for the core's.
        resource: with its sub-resource, as in ``nodes/status``.
        verb: what is done.
        name: of the one object; empty for any.
        home: it is asked in our own namespace, not in all.
    """

    account: str
    group: str
    resource: str
    verb: str
    name: str = ""
    home: bool = False


@dataclass(frozen=True)
class Names:
    """What an installation calls its objects.

    Attributes:
        namespace: our own.
        probe: the namespace in which the creation of a pod is tried.
    """

    namespace: str = "dind"
    webhook: str = "dind-webhook"
    secret: str = "dind-webhook-tls"  # noqa: S105 - a name
    node: str = "dind-node"
    probe: str = "default"


@dataclass(frozen=True)
class Facts:
    """All that was found, at ``now``."""

    names: Names
    now: datetime
    version: Answer[Version]
    deployment: Answer[Workload]
    endpoints: Answer[tuple[EndpointSlice, ...]]
    configuration: Answer[Mapping[str, Any]]
    secret: Answer[Secret]
    tried: Answer[Pod | Refused]
    defaults: Answer[tuple[ConfigMap, ...]]
    daemon_set: Answer[Workload]
    daemon_pods: Answer[tuple[Pod, ...]]
    nodes: Answer[tuple[Node, ...]]
    namespaces: Answer[tuple[Namespace, ...]]
    labelled: Answer[tuple[Pod, ...]]
    workloads: Mapping[str, Answer[tuple[Workload, ...]]]
    rights: Mapping[Right, Answer[bool]]
