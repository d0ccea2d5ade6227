"""Where a pod with a slab may run, on nodes with a driver; and where better: where one is warm."""

from collections.abc import Iterator

from flexvol.contract import DRIVER_LABEL, DRIVER_READY
from webhook.patch import Operation, appended
from webhook.pod import (
    Affinity,
    MatchExpression,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    PreferredTerm,
)

_AFFINITY = "/spec/affinity"
_NODE_AFFINITY = f"{_AFFINITY}/nodeAffinity"
_REQUIRED = f"{_NODE_AFFINITY}/requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = f"{_NODE_AFFINITY}/preferredDuringSchedulingIgnoredDuringExecution"

READY = MatchExpression(key=DRIVER_LABEL, operator="In", values=[DRIVER_READY])

WEIGHT = 10
"""Of 1 to 100. Where the pod prefers nothing else, any weight decides as much (the scheduler scales
the best node to 100); where it does, its own wishes are likely to weigh more."""


def toward_slabs(affinity: Affinity | None, warm: str) -> Iterator[Operation]:
    """Yield the additions that require a node whose driver is ready and prefer a warm one.

    The terms of a selector are alternatives, so each of them gets the requirement; a term without
    any requirement matches no node and stays as it is (``NodeSelectorTerm`` in Kubernetes' API).

    Args:
        affinity: the pod's.
        warm: the label of nodes that have a warm slab for the pod; empty where that is not known.
    """
    selector = NodeSelector(node_selector_terms=[NodeSelectorTerm(match_expressions=[READY])])
    preferred = _preferred(warm)
    ours = NodeAffinity(required=selector, preferred=preferred or None)
    node_affinity = None if affinity is None else affinity.node_affinity
    if affinity is None:
        yield Operation(_AFFINITY, Affinity(node_affinity=ours))
    elif node_affinity is None:
        yield Operation(_NODE_AFFINITY, ours)
    else:
        yield from _required(node_affinity.required, selector)
        yield from appended(_PREFERRED, node_affinity.preferred, preferred)


def _preferred(warm: str) -> list[PreferredTerm]:
    if not warm:
        return []
    there = NodeSelectorTerm(match_expressions=[MatchExpression(key=warm, operator="Exists")])
    return [PreferredTerm(WEIGHT, there)]


def _required(required: NodeSelector | None, ours: NodeSelector) -> Iterator[Operation]:
    if required is None:
        yield Operation(_REQUIRED, ours)
        return
    for index, term in enumerate(required.node_selector_terms or ()):
        expressions = term.match_expressions
        if (expressions or term.match_fields) and READY not in (expressions or ()):
            path = f"{_REQUIRED}/nodeSelectorTerms/{index}/matchExpressions"
            yield from appended(path, expressions, [READY])
