"""Turns a volume group of linear slabs into one with a thin pool, and back.

What is in use is never touched: slabs of the other kind stay until their pods have ended, and
only then is their room taken over. So this is carried on by every ``setup``, and by ``reconcile``
except for the one thing that only ``setup`` does: making the pool. A mount call does none of it:
the pool takes all of the volume group that is free, which is for the admin to decide.
"""

from contextlib import ExitStack

from flexvol import filesystem
from flexvol.errors import CommandError, PoolError
from flexvol.model import DOOMED, FREE, GENERATION, SPARE, Inventory, Slab, VolumeGroup
from flexvol.record import Record
from flexvol.settings import THIN
from flexvol.settle import destroy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexvol.log import Log
    from flexvol.lvm import Lvm
    from flexvol.node import Node

_MIB = 1 << 20
_DATA_PER_METADATA = 1024
"""How much data a byte of the pool's metadata describes, at least. Each 64 KiB chunk that any
volume maps costs 16 bytes in a tree whose nodes are half full at worst, and as much again for
counting who shares it: 64 bytes. What is promised bounds how many are mapped, by clones and
generations alike, so that the number of volumes does not matter."""
_LEAST_METADATA_MIB, _MOST_METADATA_MIB = 4, 16176
"""lvmthin(7): 2 MiB to 16 GiB. A pool's fixed part alone fills an eighth of the least."""


class PoolSize(Record):
    """What a thin pool takes of a volume group, in extents.

    Attributes:
        data: for what volumes hold.
        metadata: for where it lies. LVM keeps as much again in reserve, to repair it with.
    """

    data: int
    metadata: int


def metadata_extents(group: VolumeGroup, overcommit: float) -> int:
    """Return how large the metadata of a pool is that may come to take the whole volume group."""
    group_mib = group.extents * group.extent_bytes / _MIB
    wanted_mib = int(group_mib * max(1.0, overcommit)) // _DATA_PER_METADATA + 1
    return group.extents_for(min(max(wanted_mib, _LEAST_METADATA_MIB), _MOST_METADATA_MIB))


def pool_size(group: VolumeGroup, overcommit: float) -> PoolSize:
    """Return how large a pool can be made of what is free.

    Raises:
        PoolError: too little is.
    """
    metadata = metadata_extents(group, overcommit)
    data = group.free_extents - 2 * metadata
    if data < metadata:
        free_mib = group.free_extents * group.extent_bytes // _MIB
        raise PoolError(
            f"volume group {group.name} has {free_mib} MiB free, too little for a thin pool",
            "slabs in use keep the rest: let their pods end, or add a disk; then run slab setup",
        )
    return PoolSize(data, metadata)


def convert(node: "Node", log: "Log", *, make: bool) -> "Iterator[str]":
    """Bring the volume group as near to what the settings say as slabs in use allow.

    Args:
        node: where.
        log: where events go.
        make: whether to make a pool where there is none.

    Yields:
        What was done.

    Raises:
        SlabError: it could not be done; what was done so far is fit for use.
    """
    thin = node.settings.provisioning == THIN
    with node.decision() as lvm:
        inventory = lvm.inventory()
    if thin and inventory.pool is None and not make:
        return
    for slab in inventory.slabs:
        if _is_in_the_way(slab, thin=thin) and _remove(node, slab, log):
            yield f"{slab.name}: removed: provisioning is {node.settings.provisioning} now"
    with node.decision() as lvm:
        done = _fit_pool(node, lvm) if thin else _drop_pool(lvm)
    if done:
        yield done


def _is_in_the_way(slab: Slab, *, thin: bool) -> bool:
    return slab.thin != thin and slab.phase in (DOOMED, FREE, GENERATION, SPARE)


def _remove(node: "Node", seen: Slab, log: "Log") -> bool:
    with ExitStack() as claimed:
        with node.decision() as lvm:
            claim = node.locks.claim(seen.name)
            if claim is None:
                return False
            claimed.enter_context(claim)
            slab = lvm.inventory().slab(seen.name)
            if slab is None or not _is_in_the_way(slab, thin=not seen.thin):
                return False
            if node.look(slab) == filesystem.OPEN:
                return False
        destroy(node, slab, log)
    return True


def _fit_pool(node: "Node", lvm: "Lvm") -> str:
    inventory = lvm.inventory()
    group, pool = inventory.group, inventory.pool
    mib = group.extent_bytes / _MIB
    if pool is not None:
        lacking = metadata_extents(group, node.settings.overcommit) - pool.metadata_extents
        if 0 < lacking < group.free_extents:
            lvm.extend_pool_metadata(lacking)
        free_extents = lvm.inventory().group.free_extents
        if free_extents == 0:
            return ""
        lvm.extend_pool(free_extents)
        return f"the thin pool is extended by {free_extents * mib:.0f} MiB"
    lvm.remove_unfinished_pool()
    size = pool_size(lvm.inventory().group, node.settings.overcommit)
    try:
        lvm.make_pool(size.data, size.metadata)
    except CommandError as error:
        raise PoolError(
            f"no thin pool can be made: {error}", "LVM needs thin-provisioning-tools for it"
        ) from error
    return f"a thin pool is made: {size.data * mib:.0f} MiB"


def _drop_pool(lvm: "Lvm") -> str:
    inventory = lvm.inventory()
    if inventory.pool is None or not _is_empty(inventory):
        return ""
    lvm.remove_pool()
    return "the thin pool is removed: provisioning is linear now"


def _is_empty(inventory: Inventory) -> bool:
    pool = inventory.pool
    foreign = pool is not None and pool.foreign_extents > 0
    return not foreign and not any(slab.thin for slab in inventory.slabs)
