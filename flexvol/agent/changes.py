"""What has to change of a node until the cluster knows of it what it should. Pure."""

from kubernetes.utils.quantity import parse_quantity

from cluster.objects import Node
from flexvol.agent.wanted import Wanted
from flexvol.contract import DRIVER_LABEL, DRIVER_READY, SLAB_RESOURCE, WARM, WARM_PREFIX

Changes = dict[str, str | None]
"""Values by name; None for what is to be removed."""


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
