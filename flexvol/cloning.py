"""Which slab a mount gets of a thin pool: a pure function, as the allocator's for linear slabs.

Any number of pods may hold clones of one generation. What bounds them is the pool: it must never
run full under daemons that write.
"""

from flexvol.callout import Request
from flexvol.generations import (
    Lineage,
    charge_extents,
    generations_of,
    is_clone_of,
    is_crowded,
    is_ready_clone,
    limit_extents,
    newest,
    newest_of_each,
    promised_extents,
)
from flexvol.model import DOOMED, GENERATION, SPARE, Inventory, Slab, is_removable
from flexvol.plan import FROM_SPARE, WARM, Create, Plan, Refuse, Settle, Take, Wait

_MIB = 1 << 20


def decide_thin(request: Request, inventory: Inventory) -> Plan:
    """Return what to do for a request whose own slab is not there.

    1. a ready clone of the newest generation of this scope, size, file system and graph format,
    2. a clone of it, made now, else
    3. where there is a generation, but a suspected one: check it first, else
    4. a blank formatted spare of this size, else
    5. a blank volume.

    For 2 and 5 there must be room, or such as is made by removing spares, then old generations,
    then the newest of others, least recently released first: only as many as it takes. Else wait,
    else refuse.
    """
    origin = None
    if _starts_warm(request):
        lineage = _lineage(request)
        origin = newest(inventory.slabs, lineage)
        if origin is not None:
            for slab in inventory.slabs:
                if is_ready_clone(slab) and is_clone_of(slab, origin):
                    return Take(slab, WARM)
        else:
            for suspect in generations_of(inventory.slabs, lineage):
                return Settle(suspect)
    if origin is None:
        for slab in inventory.slabs:
            if _is_blank_spare(slab, request):
                return Take(slab, FROM_SPARE)
    return _make_room(request, inventory, origin)


def _starts_warm(request: Request) -> bool:
    """Tell whether a request is for a clone: a cache that is only read is warm, and not kept."""
    return not request.anonymous or request.cache_read_only


def _lineage(request: Request) -> Lineage:
    return Lineage(request.scope, request.size_mib, request.file_system, request.graph_format)


def _is_blank_spare(slab: Slab, request: Request) -> bool:
    blank = slab.thin and slab.phase == SPARE and not is_ready_clone(slab)
    make = (slab.size_mib, slab.file_system)
    return blank and make == (request.size_mib, request.file_system)


def _make_room(request: Request, inventory: Inventory, origin: "Slab | None") -> Plan:
    needed = inventory.group.extents_for(request.size_mib)
    limit = limit_extents(inventory)
    missing = needed - (limit - promised_extents(inventory))
    crowded = is_crowded(inventory)
    if missing <= 0 and not crowded:
        return Create((), origin)
    removals = _removals(missing, inventory, origin, at_least=1 if crowded else 0)
    if removals:
        return Create(removals, origin)
    if origin is not None and needed + charge_extents(origin, inventory) > limit:
        # Both can never be there at once: an empty cache is better than none for ever.
        return _make_room(request, inventory, None)
    if needed > limit:
        return Refuse(f"{_sizes(request, inventory)}; it can never have that much")
    return Wait(_sizes(request, inventory))


def _removals(
    missing: int, inventory: Inventory, origin: "Slab | None", at_least: int
) -> tuple[Slab, ...]:
    """Return what to remove to gain ``missing`` extents; nothing where it could not suffice."""
    heads = {slab.name for slab in newest_of_each(inventory.slabs)}
    chosen: list[Slab] = []
    gained = 0
    for slab in sorted(inventory.slabs, key=lambda slab: _worth(slab, slab.name in heads)):
        if gained >= missing and len(chosen) >= at_least:
            break
        if slab.thin and is_removable(slab) and slab != origin:
            chosen.append(slab)
            gained += charge_extents(slab, inventory)
    if gained < missing or len(chosen) < at_least:
        return ()
    for slab in reversed(chosen[:-1]):
        charge = charge_extents(slab, inventory)
        if gained - charge >= missing and len(chosen) > at_least:
            chosen.remove(slab)
            gained -= charge
    return tuple(chosen)


def _worth(slab: Slab, head: bool) -> tuple[int, int, str]:  # noqa: FBT001 - of a sort key
    """Order volumes by what is lost with them, least first."""
    order = {DOOMED: 0, SPARE: 1, GENERATION: 4 if head else 3}
    return (order.get(slab.phase, 2), slab.release, slab.name)


def _sizes(request: Request, inventory: Inventory) -> str:
    extent_mib = inventory.group.extent_bytes / _MIB
    kept = sum(
        charge_extents(slab, inventory)
        for slab in inventory.slabs
        if slab.thin and not is_removable(slab)
    )
    limit, promised = limit_extents(inventory), promised_extents(inventory)
    message = (
        f"no room for a slab of {request.size_mib} MiB: the thin pool of volume group "
        f"{inventory.group.name} has {max(0, limit - promised) * extent_mib:.0f} MiB to promise, "
        f"{(promised - kept) * extent_mib:.0f} MiB in generations and spares, and "
        f"{kept * extent_mib:.0f} MiB promised to other pods"
    )
    if is_crowded(inventory):
        message += "; the metadata of LVM or of the pool is full too"
    return message
