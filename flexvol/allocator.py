"""Which slab a mount gets: a pure function from (request, inventory) to a plan.

The driver gathers the inventory, asks here, and carries the plan out. Where a slab turns out to be
other than its record says (open somewhere, half-made), the driver takes it out of the inventory and
asks again, so that nothing here needs to look.
"""

from flexvol.callout import Request
from flexvol.model import (
    BUSY,
    DOOMED,
    FREE,
    GENERATION,
    HELD,
    SPARE,
    Inventory,
    Slab,
    is_removable,
)
from flexvol.plan import FROM_SPARE, RESUMED, WARM, Create, Plan, Refuse, Settle, Take, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MIB = 1 << 20


def decide(request: Request, inventory: Inventory) -> Plan:
    """Return what to do for ``request``.

    1. the slab reserved for this very pod and volume, else
    2. the most recently released free slab of this scope, size, file system and graph format, else
    3. a blank formatted spare of this size, else
    4. a new slab, where the volume group has room, else
    5. a new slab after removing doomed ones, spares, then free ones, least recently released first,
       only as many as it takes, and none where it could not suffice, else
    6. wait, where other pods' slabs would make room, else
    7. refuse.

    Of a thin pool only the first holds; for the rest see ``cloning``.
    """
    own = [slab for slab in inventory.slabs if _is_own(slab, request)]
    if own:
        return Take(max(own, key=_age), RESUMED)
    if request.thin:
        from flexvol.cloning import decide_thin  # a linear node never loads it

        return decide_thin(request, inventory)
    inventory = inventory.replace(slabs=tuple(s for s in inventory.slabs if not s.thin))
    warm = [slab for slab in inventory.slabs if _is_warm(slab, request)]
    if warm:
        best = max(warm, key=lambda slab: (slab.phase == FREE, *_age(slab)))
        if best.unchecked or best.phase != FREE:
            return Settle(best)
        return Take(best, WARM)
    for slab in inventory.slabs:
        if slab.phase == SPARE and _same_make(slab, request):
            return Take(slab, FROM_SPARE)
    return _make_room(request, inventory)


def gives_way(plan: Plan, earlier: "Sequence[Request]", inventory: Inventory) -> bool:
    """Tell whether a call must let earlier ones go first, which wait for room.

    One that needs room lets all go first that may yet get theirs. One that takes a slab which is
    there lets only those go first that could be served now: it takes nothing they wait for. The
    slab reserved for a pod is nobody else's.
    """
    if not earlier or (isinstance(plan, Take) and plan.outcome == RESUMED):
        return False
    theirs = [decide(request, inventory) for request in earlier]
    if isinstance(plan, Create):
        return any(not isinstance(other, Refuse) for other in theirs)
    return any(not isinstance(other, Wait | Refuse) for other in theirs)


def _is_own(slab: Slab, request: Request) -> bool:
    return slab.phase == HELD and slab.holder == request.directory.path


def _is_warm(slab: Slab, request: Request) -> bool:
    released = slab.phase == FREE or (slab.phase == HELD and slab.orphaned)
    return (
        released
        and not request.anonymous
        and not slab.anonymous
        and slab.scope == request.scope
        and slab.graph_format == request.graph_format
        and _same_make(slab, request)
    )


def _same_make(slab: Slab, request: Request) -> bool:
    return slab.size_mib == request.size_mib and slab.file_system == request.file_system


def _age(slab: Slab) -> tuple[int, str]:
    return slab.release, slab.name


def _make_room(request: Request, inventory: Inventory) -> Plan:
    group = inventory.group
    needed = group.extents_for(request.size_mib)
    described = group.can_describe_another
    if described and group.free_extents >= needed:
        return Create()
    removals = _removals(needed - group.free_extents, inventory, at_least=0 if described else 1)
    if removals:
        return Create(removals)
    ours = sum(slab.extents for slab in inventory.slabs)
    pool = inventory.pool  # of other settings: it goes once its last pod has ended
    if needed > group.free_extents + ours + (pool.extents if pool is not None else 0):
        return Refuse(f"{_sizes(request, inventory)}; it can never have that much")
    return Wait(_sizes(request, inventory))


def _removals(missing: int, inventory: Inventory, at_least: int) -> tuple[Slab, ...]:
    """Return the slabs to remove to gain ``missing`` extents; none where it could not suffice."""
    chosen: list[Slab] = []
    for slab in sorted(inventory.slabs, key=_worth):
        if sum(slab.extents for slab in chosen) >= missing and len(chosen) >= at_least:
            break
        if is_removable(slab):
            chosen.append(slab)
    spare_extents = sum(slab.extents for slab in chosen) - missing
    if spare_extents < 0 or len(chosen) < at_least:
        return ()
    for slab in reversed(chosen[:-1]):
        if slab.extents <= spare_extents and len(chosen) > at_least:
            chosen.remove(slab)
            spare_extents -= slab.extents
    return tuple(chosen)


def _worth(slab: Slab) -> tuple[int, int, str]:
    """Order slabs by what is lost with them, least first."""
    order = {DOOMED: 0, SPARE: 1, FREE: 2, HELD: 3, BUSY: 4, GENERATION: 5}
    return (order[slab.phase], *_age(slab))


def _sizes(request: Request, inventory: Inventory) -> str:
    group = inventory.group
    held = sum(slab.extents for slab in inventory.slabs if not is_removable(slab))
    ours = sum(slab.extents for slab in inventory.slabs)
    extent_mib = group.extent_bytes / _MIB
    message = (
        f"no room for a slab of {request.size_mib} MiB: volume group {group.name} has "
        f"{group.free_extents * extent_mib:.0f} MiB free, {(ours - held) * extent_mib:.0f} MiB in "
        f"slabs that may be removed and {held * extent_mib:.0f} MiB in use by other pods"
    )
    if not group.can_describe_another:
        message += "; LVM's metadata area is full too"
    return message
