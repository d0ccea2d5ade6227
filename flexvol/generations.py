"""Generations: graphs as pods left them, of which the next pods get clones. Pure.

Those of one scope, size, file system and graph format are a lineage. A clone shares with its
generation what neither has written since; the pool must hold what both may come to.
"""

from flexvol.errors import PoolError
from flexvol.model import GENERATION, SPARE, Inventory, Slab
from flexvol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

METADATA_FULL_PERCENT = 80.0
"""A thin pool whose metadata is full needs a repair by hand: nothing is added beyond this."""


class Lineage(Record):
    """What a pod must ask for to be given a clone of a generation, and a generation be of."""

    scope: str
    size_mib: int
    file_system: str
    graph_format: str


def lineage_of(slab: Slab) -> Lineage:
    """Return the lineage that a slab is of."""
    return Lineage(slab.scope, slab.size_mib, slab.file_system, slab.graph_format)


def generations_of(slabs: "Iterable[Slab]", lineage: Lineage) -> "list[Slab]":
    """Return the generations of a lineage, the newest first."""
    found = [slab for slab in slabs if slab.phase == GENERATION and lineage_of(slab) == lineage]
    return sorted(found, key=lambda slab: slab.release, reverse=True)


def newest(slabs: "Iterable[Slab]", lineage: Lineage) -> "Slab | None":
    """Return the newest generation of a lineage of which nothing bad is known."""
    return next((slab for slab in generations_of(slabs, lineage) if not slab.unchecked), None)


def newest_of_each(slabs: "Iterable[Slab]") -> "list[Slab]":
    """Return the newest generation of every lineage, the most recently released first."""
    slabs = tuple(slabs)
    lineages = {lineage_of(slab) for slab in slabs if slab.phase == GENERATION}
    found = (newest(slabs, lineage) for lineage in lineages)
    heads = [slab for slab in found if slab is not None]
    return sorted(heads, key=lambda slab: slab.release, reverse=True)


def surplus(slabs: "Iterable[Slab]", keep: int) -> "list[Slab]":
    """Return the generations that nobody will be given a clone of.

    Args:
        slabs: all of the node.
        keep: how many of a lineage are kept. Older ones are there for the case that the newest
            turns out to be damaged; one that is suspected is not worth keeping behind a sound one.
    """
    slabs = tuple(slabs)
    found = []
    for lineage in {lineage_of(slab) for slab in slabs if slab.phase == GENERATION}:
        sound = 0
        for slab in generations_of(slabs, lineage):
            if slab.unchecked:
                if sound:
                    found.append(slab)
                continue
            sound += 1
            if sound > keep:
                found.append(slab)
    return sorted(found, key=lambda slab: slab.release)


def is_ready_clone(slab: Slab) -> bool:
    """Tell whether a slab is a clone made beforehand, for whoever comes next."""
    return slab.phase == SPARE and slab.base != 0


def is_clone_of(slab: Slab, generation: Slab) -> bool:
    """Tell whether a slab is a clone of a generation that is there."""
    return slab.base == generation.release and lineage_of(slab) == lineage_of(generation)


def charge_extents(slab: Slab, inventory: Inventory) -> int:
    """Return how many extents of the pool are set aside for a thin volume.

    All that it could come to, as long as it may be written to: what it shares does not count, for
    it can be overwritten. A generation stays as it is.
    """
    if slab.mapped_mib:
        return min(slab.extents, inventory.group.extents_for(slab.mapped_mib))
    return slab.extents


def limit_extents(inventory: Inventory) -> int:
    """Return how many extents of the pool may be promised to our volumes; 0 without a pool."""
    pool = inventory.pool
    return 0 if pool is None else int(pool.extents * pool.overcommit) - pool.foreign_extents


def promised_extents(inventory: Inventory) -> int:
    """Return how many extents of the pool are promised to our volumes."""
    return sum(charge_extents(slab, inventory) for slab in inventory.slabs if slab.thin)


def is_crowded(inventory: Inventory) -> bool:
    """Tell whether there is no room for the description of another volume, LVM's or the pool's."""
    pool = inventory.pool
    percent = pool.metadata_percent if pool is not None else None
    full = percent is not None and percent >= METADATA_FULL_PERCENT
    return full or not inventory.group.can_describe_another


def has_room(inventory: Inventory, size_mib: int) -> bool:
    """Tell whether the pool has room for a volume without anything being removed."""
    left = limit_extents(inventory) - promised_extents(inventory)
    return left >= inventory.group.extents_for(size_mib) and not is_crowded(inventory)


def refuse_faulty_pool(inventory: Inventory) -> None:
    """Raise unless there is a thin pool that can be written to.

    Raises:
        PoolError: there is none, or the kernel has closed it to writers.
    """
    pool, group = inventory.pool, inventory.group.name
    if pool is None:
        raise PoolError(
            f"volume group {group} has no thin pool, which provisioning: thin needs",
            "run slab setup on the node: it makes one",
        )
    if pool.fault:
        raise PoolError(
            f"the thin pool of volume group {group} cannot be written to: {pool.fault}",
            "see dmesg, and lvmthin(7) on repairing a thin pool",
        )
