"""Takes from a node all that an agent told of it, before the driver is removed.

Never on an agent's own end: another takes over from it, and a node that seemed gone in between
would send its next pods elsewhere.
"""

import structlog

from cluster.api import Cluster
from cluster.errors import NotFoundError
from flexvol.agent.changes import removals

log = structlog.get_logger()


def withdraw(cluster: Cluster, name: str) -> None:
    """Remove the labels and the resource of a node; one that is gone needs nothing.

    Raises:
        ClusterError: it could not be done; it can be done again.
    """
    try:
        labels, capacity = removals(cluster.read_node(name))
        if labels:
            cluster.patch_node_labels(name, labels)
        if capacity:
            cluster.patch_node_capacity(name, capacity)
    except NotFoundError:
        log.info("no such node", node=name)
        return
    log.info("withdrawn", node=name, labels=sorted(labels), resources=sorted(capacity))
