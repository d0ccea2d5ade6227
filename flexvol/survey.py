"""What the node has, for people and for its agent: each slab with its state, and the pool.

Changes nothing. A slab is claimed for the moment it is looked at, under the decision lock, where no
call could meet the claim.
"""

from flexvol import filesystem
from flexvol.allocator import is_removable
from flexvol.contract import EXTENT_MIB, MIN_STORAGE_MIB
from flexvol.model import BUSY, FREE, HELD, Inventory, Slab, VolumeGroup
from flexvol.node import Node
from flexvol.record import Record

IN_USE = "in use"
CLAIMED = "claimed"
HALF_MADE = "half-made"
RESERVED = "reserved"
UNCLEAN = "unclean"
STATES = (IN_USE, CLAIMED, HALF_MADE, "doomed", "busy", RESERVED, UNCLEAN, "free", "spare")
"""Every state of a slab. Those without a name of their own are phases."""


class Survey(Record):
    """What was found.

    Attributes:
        inventory: what is recorded.
        states: of its slabs, in their order.
        used_percents: how full they are: those in use now, others when they were released. None
            where that is not known.
    """

    inventory: Inventory
    states: tuple[str, ...]
    used_percents: "tuple[int | None, ...]"


def survey(node: Node) -> Survey:
    """Look at everything.

    Raises:
        SlabError: the volume group cannot be read.
    """
    with node.decision() as lvm:
        inventory = node.observe(lvm.inventory())
        states = tuple(_look(node, slab) for slab in inventory.slabs)
    return Survey(inventory, states, tuple(map(node.used_percent, inventory.slabs)))


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
    if device == filesystem.OPEN:
        return BUSY if slab.phase == BUSY else IN_USE
    if device == filesystem.HALF_MADE:
        return HALF_MADE
    if slab.phase == HELD:
        return UNCLEAN if slab.orphaned else RESERVED
    if slab.phase == FREE and slab.unchecked:
        return UNCLEAN
    return slab.phase


def capacity_mib(inventory: Inventory) -> int:
    """Return how much may be asked for in slabs, in MiB, so that whoever asks is served.

    What a slab takes is rounded up to whole extents. Where those are larger than the multiples that
    sizes come in, less can be asked for than is there: as much less as the worst of sizes makes it.
    Slabs that are released but still open somewhere give no room to anyone.
    """
    group = inventory.group
    extents = group.free_extents + sum(
        slab.extents for slab in inventory.slabs if slab.phase != BUSY
    )
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
    ours = sum(slab.extents for slab in slabs)
    reclaimable = sum(slab.extents for slab in slabs if is_removable(slab))
    return {
        "pool": {
            "volume_group": group.name,
            "size_bytes": (group.free_extents + ours) * group.extent_bytes,
            "free_bytes": group.free_extents * group.extent_bytes,
            "reclaimable_bytes": reclaimable * group.extent_bytes,
            "capacity_mib": capacity_mib(found.inventory),
        },
        "slabs": [
            {
                "name": slab.name,
                "state": state,
                "size_mib": slab.size_mib,
                "size_bytes": slab.extents * group.extent_bytes,
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
