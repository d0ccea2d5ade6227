"""What the cluster should know of this node, and what has to change until it does. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubernetes.utils.quantity import parse_quantity

from cluster.objects import Node
from flexvol.agent.report import FREE, Report, Slab
from flexvol.callout import read_scope
from flexvol.contract import (
    DRIVER_LABEL,
    DRIVER_READY,
    SLAB_RESOURCE,
    WARM,
    WARM_PREFIX,
    SlabOptions,
    warm_label,
)

MOST_WARM = 32
"""How many kinds of warm slabs a node shows: labels are read by everyone who watches nodes."""

Changes = dict[str, str | None]
"""Values by name; None for what is to be removed."""


@dataclass(frozen=True)
class Wanted:
    """What the cluster should know.

    Attributes:
        ready: whether pods with slabs may come.
        capacity_mib: of the extended resource; None to leave it as it is.
        warm: labels of what lies there free and warm.
    """

    ready: bool
    capacity_mib: int | None = None
    warm: frozenset[str] = frozenset()


NOT_READY = Wanted(ready=False)
"""The capacity stays: it is what running pods have of it, and no further ones come."""


def wanted(report: Report) -> Wanted:
    """Return what to tell of a node whose pool is in order."""
    if report.pool is None:
        return NOT_READY
    return Wanted(ready=True, capacity_mib=report.pool.capacity_mib, warm=_warm(report))


def _warm(report: Report) -> frozenset[str]:
    labels: dict[str, None] = {}
    for slab in sorted(report.slabs, key=lambda slab: slab.release, reverse=True):
        if slab.state == FREE and not slab.anonymous:
            labels.update(dict.fromkeys(_labels(slab)))
    return frozenset(list(labels)[:MOST_WARM])


def _labels(slab: Slab) -> Iterator[str]:
    """Yield the label of a slab; none where it is not one namespace's."""
    _, namespace, cache_key = read_scope(slab.scope)
    if namespace:
        options = SlabOptions(
            size_mib=slab.size_mib, cache_key=cache_key, graph_format=slab.graph_format
        )
        yield warm_label(namespace, options)


def label_changes(node: Node, wanted: Wanted) -> Changes:
    """Return the labels of ``node`` that have to change."""
    ours = dict.fromkeys(wanted.warm, WARM)
    if wanted.ready:
        ours[DRIVER_LABEL] = DRIVER_READY
    changes: Changes = {
        name: None for name in node.metadata.labels if _is_ours(name) and name not in ours
    }
    return changes | {
        name: value for name, value in ours.items() if node.metadata.labels.get(name) != value
    }


def capacity_changes(node: Node, wanted: Wanted) -> Changes:
    """Return the resources of ``node`` that have to change.

    The API server writes quantities as it likes: what was sent as 10000 comes back as 10k.
    """
    there = node.status.capacity.get(SLAB_RESOURCE)
    if wanted.capacity_mib is None:
        return {}
    if there is not None and parse_quantity(there) == wanted.capacity_mib:
        return {}
    return {SLAB_RESOURCE: str(wanted.capacity_mib)}


def removals(node: Node) -> tuple[Changes, Changes]:
    """Return the changes of labels and of resources that take away all that is ours."""
    labels: Changes = {name: None for name in node.metadata.labels if _is_ours(name)}
    capacity: Changes = {SLAB_RESOURCE: None} if SLAB_RESOURCE in node.status.capacity else {}
    return labels, capacity


def _is_ours(label: str) -> bool:
    return label == DRIVER_LABEL or label.startswith(WARM_PREFIX)
