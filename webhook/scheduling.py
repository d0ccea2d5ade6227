"""Where a pod with a slab may run: on nodes whose driver is ready."""

from collections.abc import Iterator

from webhook import names
from webhook.patch import Operation, appended
from webhook.pod import Affinity, MatchExpression, NodeAffinity, NodeSelector, NodeSelectorTerm

_AFFINITY = "/spec/affinity"
_NODE_AFFINITY = f"{_AFFINITY}/nodeAffinity"
_REQUIRED = f"{_NODE_AFFINITY}/requiredDuringSchedulingIgnoredDuringExecution"

READY = MatchExpression(key=names.DRIVER_LABEL, operator="In", values=[names.DRIVER_READY])


def toward_ready_nodes(affinity: Affinity | None) -> Iterator[Operation]:
    """Yield the additions that require a node whose driver is ready.

    The terms of a selector are alternatives, so each of them gets the requirement; a term without
    any requirement matches no node and stays as it is (``NodeSelectorTerm`` in Kubernetes' API).
    """
    selector = NodeSelector(node_selector_terms=[NodeSelectorTerm(match_expressions=[READY])])
    node_affinity = None if affinity is None else affinity.node_affinity
    required = None if node_affinity is None else node_affinity.required
    if affinity is None:
        yield Operation(_AFFINITY, Affinity(node_affinity=NodeAffinity(required=selector)))
    elif node_affinity is None:
        yield Operation(_NODE_AFFINITY, NodeAffinity(required=selector))
    elif required is None:
        yield Operation(_REQUIRED, selector)
    else:
        for index, term in enumerate(required.node_selector_terms or ()):
            expressions = term.match_expressions
            if (expressions or term.match_fields) and READY not in (expressions or ()):
                path = f"{_REQUIRED}/nodeSelectorTerms/{index}/matchExpressions"
                yield from appended(path, expressions, [READY])
