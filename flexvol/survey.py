"""What the node has, for people and for its agent: each slab with its state, and the pool.

Changes nothing. A slab is claimed for the moment it is looked at, under the decision lock, where no
call could meet the claim.
"""

from flexvol import filesystem
from flexvol.contract import EXTENT_MIB, MIN_STORAGE_MIB
from flexvol.generations import (
    charge_extents,
    limit_extents,
    newest_of_each,
    promised_extents,
)
from flexvol.model import BUSY, FREE, GENERATION, HELD, Inventory, Slab, VolumeGroup, is_removable
from flexvol.node import Node
from flexvol.record import Record
from flexvol.settings import LINEAR, THIN

IN_USE = "in use"
CLAIMED = "claimed"
HALF_MADE = "half-made"
RESERVED = "reserved"
UNCLEAN = "unclean"
STATES = (
    IN_USE, CLAIMED, HALF_MADE, "doomed", "busy", RESERVED, UNCLEAN, "free", "generation", "spare",
)  # fmt: skip
"""Every state of a slab. Those without a name of their own are phases."""


class Survey(Record):
    """What was found.

    Attributes:
        inventory: what is recorded.
        states: of its slabs, in their order.
        used_percents: how full they are: those in use now, others when they were released. None
            where that is not known.
        provisioning: what the settings say.
        data_percent: of the thin pool that is written to; None without one.
    """

    inventory: Inventory
    states: tuple[str, ...]
    used_percents: "tuple[int | None, ...]"
    provisioning: str = LINEAR
    data_percent: "float | None" = None


def survey(node: Node) -> Survey:
    """Look at everything.

    Raises:
        SlabError: the volume group cannot be read.
    """
    with node.decision() as lvm:
        inventory = node.observe(lvm.inventory())
        states = tuple(_look(node, slab) for slab in inventory.slabs)
    used_percents = tuple(map(node.used_percent, inventory.slabs))
    status = node.pool_status() if inventory.pool is not None else None
    data_percent = status.data_percent if status is not None else None
    return Survey(inventory, states, used_percents, node.settings.provisioning, data_percent)


def _look(node: Node, slab: Slab) -> str:
    claim = node.locks.claim(slab.name)
    if claim is None:
        return CLAIMED
    with claim:
        return state_of(slab, node.look(slab))


def state_of(slab: Slab, device: str) -> str:
    """Return the state of a slab that no call works on.

    Args:
        slab: as it is recorded.
        device: what ``filesystem.look`` says of its device.
    """
    if device == filesystem.OPEN and slab.phase != GENERATION:
        return BUSY if slab.phase == BUSY else IN_USE
    if device == filesystem.HALF_MADE:
        return HALF_MADE
    if slab.phase == HELD:
        return UNCLEAN if slab.orphaned else RESERVED
    if slab.phase in (FREE, GENERATION) and slab.unchecked:
        return UNCLEAN
    return slab.phase


def usable_extents(inventory: Inventory, *, thin: bool) -> int:
    """Return how many extents pods may come to have, all of them together.

    Of a thin pool, the newest generation of a pod's own lineage is not among what makes way for it.
    """
    slabs = [slab for slab in inventory.slabs if slab.thin == thin]
    if not thin:
        open_elsewhere = sum(slab.extents for slab in slabs if slab.phase == BUSY)
        return inventory.group.free_extents + sum(s.extents for s in slabs) - open_elsewhere
    kept = max((charge_extents(slab, inventory) for slab in newest_of_each(slabs)), default=0)
    open_elsewhere = sum(charge_extents(s, inventory) for s in slabs if s.phase == BUSY)
    return max(0, limit_extents(inventory) - open_elsewhere - kept)


def capacity_mib(inventory: Inventory, *, thin: bool = False) -> int:
    """Return how much may be asked for in slabs, in MiB, so that whoever asks is served.

    What a slab takes is rounded up to whole extents. Where those are larger than the multiples that
    sizes come in, less can be asked for than is there: as much less as the worst of sizes makes it.
    Slabs that are released but still open somewhere give no room to anyone.
    """
    group = inventory.group
    extents = usable_extents(inventory, thin=thin)
    total_bytes = extents * group.extent_bytes
    # Extents are a power of two or multiples of 128 KiB: after so many sizes the rest repeats.
    number = max(1, group.extent_bytes // (128 << 10))
    sizes_mib = range(MIN_STORAGE_MIB, MIN_STORAGE_MIB + number * EXTENT_MIB, EXTENT_MIB)
    worst = min(total_bytes * size_mib // _taken_bytes(group, size_mib) for size_mib in sizes_mib)
    return worst // EXTENT_MIB * EXTENT_MIB


def _taken_bytes(group: VolumeGroup, size_mib: int) -> int:
    return group.extents_for(size_mib) * group.extent_bytes


def document(found: Survey) -> "dict[str, object]":
    """Return the survey as ``slab status --json`` prints it."""
    group, slabs = found.inventory.group, found.inventory.slabs
    return {
        "pool": _thin_pool(found) if found.provisioning == THIN else _linear_pool(found),
        "slabs": [
            {
                "name": slab.name,
                "state": state,
                "size_mib": slab.size_mib,
                "size_bytes": _charge(slab, found.inventory) * group.extent_bytes,
                "thin": slab.thin,
                "file_system": slab.file_system,
                "scope": slab.scope,
                "graph_format": slab.graph_format,
                "anonymous": slab.anonymous,
                "holder": slab.holder,
                "release": slab.release,
                "released_at": slab.released_at,
                "used_percent": used,
                "uses": slab.uses,
            }
            for slab, state, used in zip(slabs, found.states, found.used_percents, strict=True)
        ],
    }


def _charge(slab: Slab, inventory: Inventory) -> int:
    return charge_extents(slab, inventory) if slab.thin else slab.extents


def _linear_pool(found: Survey) -> "dict[str, object]":
    group = found.inventory.group
    slabs = [slab for slab in found.inventory.slabs if not slab.thin]
    ours = sum(slab.extents for slab in slabs)
    reclaimable = sum(slab.extents for slab in slabs if is_removable(slab))
    return {
        "volume_group": group.name,
        "provisioning": found.provisioning,
        "size_bytes": (group.free_extents + ours) * group.extent_bytes,
        "free_bytes": group.free_extents * group.extent_bytes,
        "reclaimable_bytes": reclaimable * group.extent_bytes,
        "capacity_mib": capacity_mib(found.inventory),
    }


def _thin_pool(found: Survey) -> "dict[str, object]":
    """Return the pool as what may be promised of it: ``overcommit`` times its size."""
    inventory, pool = found.inventory, found.inventory.pool
    extent_bytes = inventory.group.extent_bytes
    limit = limit_extents(inventory)
    reclaimable = sum(
        charge_extents(slab, inventory)
        for slab in inventory.slabs
        if slab.thin and is_removable(slab)
    )
    return {
        "volume_group": inventory.group.name,
        "provisioning": found.provisioning,
        "size_bytes": limit * extent_bytes,
        "free_bytes": max(0, limit - promised_extents(inventory)) * extent_bytes,
        "reclaimable_bytes": reclaimable * extent_bytes,
        "capacity_mib": capacity_mib(inventory, thin=True),
        "data_percent": found.data_percent,
        "metadata_percent": pool.metadata_percent if pool is not None else None,
    }
