"""Slabs that nobody holds any more: checked and freed, or removed.

The caller has claimed the slab, so that all this happens beside other calls, outside the decision
lock but for the changes of the volume group themselves.
"""

import time

from flexvol import filesystem
from flexvol.errors import SlabError
from flexvol.generations import surplus
from flexvol.model import DOOMED, FREE, GENERATION, Slab
from flexvol.node import Node
from flexvol.release import Contents, fate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.log import Log


def settle(node: Node, slab: Slab, log: "Log") -> None:
    """Check a slab whose last use did not end in order; then free it, or remove it.

    A clone is removed without more ado: its generation is there, and known to be good.

    Raises:
        CommandError: it cannot be told whether its file system is sound; it stays as it is.
        OSError: as CommandError.
    """
    if slab.thin and slab.phase != GENERATION:
        log.info("settled", slab=slab.name, scope=slab.scope, delete=True, reason="a clone")
        destroy(node, slab, log)
        return
    if not node.check(slab):
        log.error("damaged", slab=slab.name, scope=slab.scope)
        destroy(node, slab, log)
        return
    if slab.phase == GENERATION:
        log.info("settled", slab=slab.name, scope=slab.scope, delete=False, reason="kept")
        _believe(node, slab)
        return
    contents = node.inside(slab)
    what = fate(
        contents,
        anonymous=slab.anonymous,
        full_percent=node.settings.full_percent,
    )
    log.info("settled", slab=slab.name, scope=slab.scope, delete=what.delete, reason=what.reason)
    if what.delete:
        destroy(node, slab, log)
        return
    with node.decision() as lvm:
        inventory = lvm.inventory()
        current = inventory.slab(slab.name)
        if current is None or current.phase == DOOMED:
            return
        lvm.retag(current, freed(current, inventory.next_release(), contents, unchecked=False))


def _believe(node: Node, slab: Slab) -> None:
    """Record that a generation is sound, and what it takes: a check may have written to it."""
    mapped_mib = node.mapped_mib(slab)
    with node.decision() as lvm:
        current = lvm.inventory().slab(slab.name)
        if current is not None and current.phase == GENERATION:
            lvm.retag(current, current.replace(unchecked=False, mapped_mib=mapped_mib))


def committed(slab: Slab, release: int, contents: Contents, mapped_mib: int) -> Slab:
    """Return a clone as it is recorded once it is the newest generation."""
    generation = slab.replace(phase=GENERATION, mapped_mib=mapped_mib)
    return released(generation, release, contents)


def released(slab: Slab, release: int, contents: Contents) -> Slab:
    """Return a slab as it is recorded once its pod is done with it."""
    return slab.replace(
        holder="",
        release=release,
        used_percent=_rounded(contents),
        released_at=int(time.time()),
    )


def freed(slab: Slab, release: int, contents: Contents, *, unchecked: bool) -> Slab:
    """Return the slab as it is recorded once nobody holds it; a free one keeps its place."""
    if slab.phase == FREE:
        return slab.replace(used_percent=_rounded(contents), unchecked=unchecked)
    return released(slab.replace(phase=FREE, unchecked=unchecked), release, contents)


def _rounded(contents: Contents) -> "int | None":
    used = contents.used_percent
    return None if used is None else round(used)


def destroy(node: Node, slab: Slab, log: "Log") -> None:
    """Remove a claimed slab, and have the disk forget what it held, where the disk can.

    It is recorded as doomed before its blocks go: whatever happens then, nobody is given it. Those
    of a thin volume go back to the pool, which zeroes them before they are used again.

    Raises:
        CommandError: LVM did not remove it; it stays recorded as doomed, if that much was done.
    """
    if not slab.thin and node.can_discard(slab):
        with node.decision() as lvm:
            current = lvm.inventory().slab(slab.name)
            if current is None:
                return
            if current.phase != DOOMED:
                lvm.doom([current])
        discard(node, slab, log)
    with node.decision() as lvm:
        if lvm.inventory().slab(slab.name) is not None:
            lvm.remove([slab])


def discard(node: Node, slab: Slab, log: "Log") -> None:
    """Have the disk forget what a doomed slab held; if it fails at that, nothing else changes."""
    try:
        node.discard(slab)
    except OSError as error:
        log.error("not discarded", slab=slab.name, error=str(error))


def remove_surplus(node: Node, log: "Log") -> "list[Slab]":
    """Remove the generations that nobody will be given a clone of; return them.

    One that is in other hands, or that does not go, stays for the next time.
    """
    gone = []
    with node.decision() as lvm:
        for slab in surplus(lvm.inventory().slabs, node.settings.generations):
            claim = node.locks.claim(slab.name)
            if claim is None:
                continue
            with claim:
                if node.look(slab) == filesystem.OPEN:
                    continue
                try:
                    lvm.remove([slab])
                except SlabError as error:
                    log.error("not removed", slab=slab.name, error=str(error))
                else:
                    gone.append(slab)
    return gone
