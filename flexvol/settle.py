"""Slabs that nobody holds any more: checked and freed, or removed.

The caller has claimed the slab, so that all this happens beside other calls, outside the decision
lock but for the changes of the volume group themselves.
"""

import time

from flexvol.model import DOOMED, FREE, Slab
from flexvol.node import Node
from flexvol.release import Contents, fate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.log import Log


def settle(node: Node, slab: Slab, log: "Log") -> None:
    """Check a slab whose last use did not end in order; then free it, or remove it.

    Raises:
        CommandError: it cannot be told whether its file system is sound; it stays as it is.
        OSError: as CommandError.
    """
    if not node.check(slab):
        log.error("damaged", slab=slab.name, scope=slab.scope)
        destroy(node, slab, log)
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


def freed(slab: Slab, release: int, contents: Contents, *, unchecked: bool) -> Slab:
    """Return the slab as it is recorded once nobody holds it; a free one keeps its place."""
    used = contents.used_percent
    slab = slab.replace(used_percent=None if used is None else round(used), unchecked=unchecked)
    if slab.phase == FREE:
        return slab
    return slab.replace(phase=FREE, holder="", release=release, released_at=int(time.time()))


def destroy(node: Node, slab: Slab, log: "Log") -> None:
    """Remove a claimed slab, and have the disk forget what it held, where the disk can.

    It is recorded as doomed before its blocks go: whatever happens then, nobody is given it.

    Raises:
        CommandError: LVM did not remove it; it stays recorded as doomed, if that much was done.
    """
    if node.can_discard(slab):
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
