"""The defaults that are in force now, kept from the ConfigMaps ``dind-defaults`` as they change.

``follow`` is pure: what is in force and a change in, what is in force then and the faults out.

- The last good ConfigMap of a namespace stays in force while a bad one stands in its place.
- Until a good cluster ConfigMap was seen, or it is certain that there is none, nothing is in force:
  an administrator's bounds never fail open.
- A ConfigMap that is gone is no longer in force.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from cluster.follow import Change, Listed, Lost, Put, Removed
from cluster.objects import ConfigMap, ObjectMeta
from webhook.errors import DefaultsUnknownError, SettingsError
from webhook.settings import (
    ClusterDefaults,
    NamespaceDefaults,
    Settings,
    parse_cluster,
    parse_namespace,
    resolve,
)

T = TypeVar("T")


class Fault(NamedTuple):
    """A ConfigMap that cannot be understood, and why."""

    about: ObjectMeta
    message: str


@dataclass(frozen=True)
class InForce:
    """The layers in force.

    Attributes:
        home: the webhook's own namespace, whose ConfigMap is the cluster's.
        cluster: the cluster's layer; None while it is unknown.
        namespaces: the layer of each other namespace that has one.
        faulty: resource versions of the ConfigMaps that were not understood, by namespace.
        generation: counts the changes that were taken up.
    """

    home: str
    cluster: ClusterDefaults | None = None
    namespaces: Mapping[str, NamespaceDefaults] = field(default_factory=dict)
    faulty: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0


def follow(now: InForce, change: Change[ConfigMap]) -> tuple[InForce, tuple[Fault, ...]]:
    """Return what is in force after a change, and the faults that are new with it."""
    match change:
        case Listed(items):
            there = {item.metadata.namespace for item in items}
            gone = {now.home, *now.namespaces, *now.faulty} - there
            after = _without(now, gone)
        case Put(item):
            items, after = (item,), now
        case Removed(item):
            items, after = (), _without(now, {item.metadata.namespace})
        case Lost():
            return now, ()
    faults = []
    for item in items:
        after, fault = _with(after, item)
        if fault is not None:
            faults.append(fault)
    if (after.cluster, after.namespaces) != (now.cluster, now.namespaces):
        after = replace(after, generation=now.generation + 1)
    return after, tuple(faults)


def _with(now: InForce, item: ConfigMap) -> tuple[InForce, Fault | None]:
    """Return what is in force with one ConfigMap as it stands, and its fault where it is new."""
    meta, data = item.metadata, item.data or {}
    namespace, version = meta.namespace, meta.resource_version
    try:
        if namespace == now.home:
            after = replace(now, cluster=parse_cluster(data))
        else:
            layer = parse_namespace(data)
            after = replace(now, namespaces={**now.namespaces, namespace: layer})
    except SettingsError as error:
        known = now.faulty.get(namespace) == version
        after = replace(now, faulty={**now.faulty, namespace: version})
        return after, None if known else Fault(meta, error.message)
    return replace(after, faulty=_except(now.faulty, {namespace})), None


def _without(now: InForce, gone: Iterable[str]) -> InForce:
    gone = set(gone)
    return replace(
        now,
        cluster=ClusterDefaults() if now.home in gone else now.cluster,
        namespaces=_except(now.namespaces, gone),
        faulty=_except(now.faulty, gone),
    )


def _except(mapping: Mapping[str, T], keys: Iterable[str]) -> Mapping[str, T]:
    return {key: value for key, value in mapping.items() if key not in set(keys)}


class Defaults:
    """Holds what is in force, resolved, for every request to read; changed by one thread."""

    def __init__(self, home: str) -> None:
        self.in_force = InForce(home)
        self._resolved: tuple[Settings, Mapping[str, Settings]] | None = None

    def take(self, change: Change[ConfigMap]) -> tuple[Fault, ...]:
        """Take up a change, and return the new faults."""
        before = self.in_force
        after, faults = follow(before, change)
        if after.cluster is not None and after.generation != before.generation:
            cluster = after.cluster
            by_namespace = {
                namespace: resolve(cluster, layer) for namespace, layer in after.namespaces.items()
            }
            self._resolved = (resolve(cluster), by_namespace)
        self.in_force = after
        return faults

    def settings_for(self, namespace: str) -> Settings:
        """Return what holds for the pods of a namespace.

        Raises:
            DefaultsUnknownError: nothing is in force yet.
        """
        if self._resolved is None:
            raise DefaultsUnknownError(
                "the cluster's defaults are not known yet",
                hint=f"Look for an Event on ConfigMap dind-defaults in {self.in_force.home}.",
            )
        everywhere, by_namespace = self._resolved
        return by_namespace.get(namespace, everywhere)

    def unready(self) -> list[str]:
        """Return why no request can be answered, or nothing."""
        return [] if self._resolved is not None else ["defaults: the cluster's are not known yet"]
