"""What the cluster should know of this node, made of the driver's report. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from flexvol.agent.report import FREE, GENERATION, Report, Slab
from flexvol.callout import read_scope
from flexvol.contract import SlabOptions, warm_label

MOST_WARM = 32
"""How many kinds of warm slabs a node shows: labels are read by everyone who watches nodes."""


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
        if slab.state in (FREE, GENERATION) and not slab.anonymous:
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
