"""Puts right what no call will: what the kubelet forgot, and what a crash left.

Safe at any time beside calls: every slab is claimed before it is touched, and looked up again after
that. One slab that resists stops nothing but its own upkeep.
"""

from contextlib import ExitStack

from flexvol import filesystem
from flexvol.conversion import convert
from flexvol.errors import PoolError, SlabError
from flexvol.generations import has_room, is_ready_clone
from flexvol.lvm import Lvm, NoVolumeGroupError
from flexvol.model import BUSY, DOOMED, FREE, GENERATION, SPARE, Inventory, Slab, blank
from flexvol.node import Node
from flexvol.ready import keep_ready
from flexvol.record import Record
from flexvol.settings import THIN
from flexvol.settle import destroy, remove_surplus, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexvol.log import Log


class Deed(Record):
    """What was done, or could not be, with one slab or with the pool.

    Attributes:
        slab: its name; empty for the pool.
        what: a few words.
        failed: it could not be done; ``what`` says why.
    """

    slab: str
    what: str
    failed: bool = False


def reconcile(node: Node, log: "Log") -> list[Deed]:
    """Put everything right that can be; return what was done.

    Raises:
        SlabError: the volume group cannot be read or brought back.
    """
    deeds = []
    for deed in _deeds(node, log):
        deeds.append(deed)
        (log.error if deed.failed else log.info)("reconciled", slab=deed.slab, what=deed.what)
    return deeds


def _deeds(node: Node, log: "Log") -> "Iterator[Deed]":
    with node.decision() as lvm:
        done = _pool(node, lvm)
        inventory = node.observe(lvm.inventory())
    if done:
        yield Deed("", done)
    for slab in inventory.slabs:
        try:
            what = _put_right(node, slab, log)
        except (SlabError, OSError) as error:
            yield Deed(slab.name, str(error), failed=True)
        else:
            if what:
                yield Deed(slab.name, what)
    yield from _tried(Deed("", what) for what in convert(node, log, make=False))
    for slab in remove_surplus(node, log):
        yield Deed(slab.name, "removed: newer generations are there")
    yield from _spares(node, log)
    yield from _tried(Deed(name, what) for name, what in keep_ready(node))
    node.locks.sweep()


def _tried(deeds: "Iterator[Deed]") -> "Iterator[Deed]":
    """Yield deeds until one of them fails; then that."""
    try:
        yield from deeds
    except SlabError as error:
        yield Deed("", str(error), failed=True)


def _pool(node: Node, lvm: Lvm) -> str:
    try:
        inventory = lvm.inventory()
    except NoVolumeGroupError:
        return node.provide(lvm)
    if inventory.pool is not None and node.pool_status() is None:
        lvm.activate_pool()
        return "the thin pool is activated"
    return ""


def _put_right(node: Node, seen: Slab, log: "Log") -> str:
    """Do what one slab needs; return what that was, empty for nothing.

    It is claimed under the decision lock, and where nothing takes long, given back under it: a
    mount never meets the claim on a slab that is only looked at, and passes it over for a cold one.
    """
    with ExitStack() as claimed:
        with node.decision() as lvm:
            claim = node.locks.claim(seen.name)
            if claim is None:
                return ""
            claimed.enter_context(claim)
            slab, what = _at_once(node, lvm, seen)
            if slab is None:
                claim.release()
                return what
        if slab.phase == DOOMED:
            destroy(node, slab, log)
            return "removed"
        settle(node, slab.replace(orphaned=False), log)
        return {FREE: "checked", GENERATION: "checked", BUSY: "freed: it is closed now"}.get(
            slab.phase, "freed: its pod is gone"
        )


def _at_once(node: Node, lvm: Lvm, seen: Slab) -> "tuple[Slab | None, str]":
    """Do what takes no time; return the slab, if more is to be done with it, and what was done."""
    slab = node.observe(lvm.inventory()).slab(seen.name)
    if slab is None:
        return None, ""
    state = node.look(slab)
    what = ""
    if state == filesystem.INACTIVE:
        lvm.activate(slab)
        state = node.look(slab)
        what = "activated"
    if state == filesystem.HALF_MADE:
        lvm.remove([slab])
        return None, "removed: it was half-made"
    if state == filesystem.OPEN:
        return None, _leave_open(lvm, slab)
    if state != filesystem.READABLE and slab.phase != DOOMED:
        raise PoolError(f"its device cannot be read: {node.device(slab)}")
    is_due = (
        slab.phase in (DOOMED, BUSY)
        or slab.orphaned
        or (slab.phase in (FREE, GENERATION) and slab.unchecked)
    )
    return (slab if is_due else None), what


def _leave_open(lvm: Lvm, slab: Slab) -> str:
    """Record an open slab whose pod is gone; whatever has it open may close it some day."""
    if not slab.orphaned:
        return ""
    bare = slab.replace(orphaned=False)
    lvm.retag(bare, bare.replace(phase=BUSY))
    return "set aside: its pod is gone, but it is still open"


def _spares(node: Node, log: "Log") -> "Iterator[Deed]":
    """Keep as many blank formatted slabs of each size as the settings say, where there is room."""
    thin = node.settings.provisioning == THIN
    for size_mib, wanted in node.settings.spares:
        while True:
            with node.decision() as lvm:
                inventory = node.observe(lvm.inventory())
                there = [slab for slab in inventory.slabs if _is_spare(slab, size_mib, node)]
                if len(there) >= wanted or not _has_room(inventory, size_mib, thin=thin):
                    break
                uuid = filesystem.new_uuid()
                slab = blank(uuid, inventory.group, size_mib, node.settings.file_system)
                slab = slab.replace(thin=thin)
                claim = node.locks.claim(slab.name)
                lvm.create(slab)
            try:
                node.make(slab)
            except SlabError as error:
                yield Deed(slab.name, str(error), failed=True)
                destroy(node, slab, log)
                break
            finally:
                if claim is not None:
                    claim.release()
            yield Deed(slab.name, f"made: a spare of {size_mib} MiB")
    yield from _superfluous(node)


def _superfluous(node: Node) -> "Iterator[Deed]":
    wanted = dict(node.settings.spares)
    with node.decision() as lvm:
        spares = [slab for slab in lvm.inventory().slabs if _is_blank_spare(slab)]
    for slab in sorted(spares, key=lambda slab: slab.name):
        left = wanted.get(slab.size_mib, 0)
        if slab.file_system == node.settings.file_system and left > 0:
            wanted[slab.size_mib] = left - 1
            continue
        with node.decision() as lvm:
            claim = node.locks.claim(slab.name)
            if claim is None:
                continue
            with claim:
                current = lvm.inventory().slab(slab.name)
                if current is not None and current.phase == SPARE:
                    lvm.remove([current])
                    yield Deed(slab.name, "removed: a spare that is not wanted")


def _is_spare(slab: Slab, size_mib: int, node: Node) -> bool:
    make = (slab.size_mib, slab.file_system, slab.thin)
    thin = node.settings.provisioning == THIN
    return _is_blank_spare(slab) and make == (size_mib, node.settings.file_system, thin)


def _is_blank_spare(slab: Slab) -> bool:
    return slab.phase == SPARE and not is_ready_clone(slab)


def _has_room(inventory: Inventory, size_mib: int, *, thin: bool) -> bool:
    if thin:
        return has_room(inventory, size_mib)
    group = inventory.group
    return group.free_extents >= group.extents_for(size_mib) and group.can_describe_another
