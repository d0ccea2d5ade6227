"""The unmount call: a slab given back, or removed.

It must never keep a pod from ending without need: once nothing is mounted at the directory the
answer is Success, and what could not be recorded is an ordinary state that the next call, or
reconcile, finds: a slab that is held, closed, and whose pod is gone.
"""

import errno

from flexvol import filesystem
from flexvol.callout import VolumeDirectory
from flexvol.errors import BadCallError, BusyError
from flexvol.model import BUSY, HELD, Slab
from flexvol.node import Mounted, Node
from flexvol.release import Contents, fate
from flexvol.settle import destroy, freed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.log import Log
    from flexvol.lvm import Lvm


def unmount(node: Node, directory: VolumeDirectory, log: "Log") -> None:
    """Unmount a directory and release its slab. The caller holds the lock of the volume.

    Raises:
        BadCallError: what is mounted there is not a slab; it stays mounted.
        BusyError: something still uses it.
    """
    found = node.mounted_at(directory)
    if not found:
        _give_up(node, directory, log)
        return
    if not isinstance(found, Mounted):
        raise BadCallError(
            f"what is mounted at {directory.path} is not a slab", "whoever mounted it unmounts it"
        )
    node = node.of_group(found.group)
    contents = node.measure(directory)
    try:
        node.unmount(directory)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise BusyError(
                f"slab {found.name} is still in use at {directory.path}",
                "a process of the pod has not ended",
            ) from error
        raise
    try:
        _release(node, found.name, directory, contents, log)
    except Exception as error:
        log.error("unmounted, not released", slab=found.name, error=repr(error))


def _release(
    node: Node, name: str, directory: VolumeDirectory, contents: Contents, log: "Log"
) -> None:
    """Record a slab that has just been unmounted as free, busy or doomed, and remove it if so."""
    claim = node.locks.claim(name)
    if claim is None:
        log.info("unmounted, in other hands", slab=name)
        return
    with claim:
        slab = _record(node, name, directory, contents, log)
        if slab is not None:
            destroy(node, slab, log)


def _record(
    node: Node, name: str, directory: VolumeDirectory, contents: Contents, log: "Log"
) -> "Slab | None":
    """Record what becomes of a slab; return it if it is to be removed."""
    with node.decision() as lvm:
        inventory = lvm.inventory()
        slab = inventory.slab(name)
        if slab is None or slab.phase != HELD or slab.holder != directory.path:
            log.error("unmounted, not this volume's", slab=name)
            return None
        if node.is_open(slab):
            log.error("unmounted, still open elsewhere", slab=name)
            lvm.retag(slab, slab.replace(phase=BUSY))
            return None
        what = fate(contents, anonymous=slab.anonymous, full_percent=node.settings.full_percent)
        errors = node.has_errors(slab)
        log.info(
            "released",
            slab=name,
            scope=slab.scope,
            used_percent=contents.used_percent and round(contents.used_percent, 1),
            delete=what.delete,
            reason="its file system met errors" if errors else what.reason,
        )
        if what.delete:
            return slab
        unchecked = what.unchecked or errors
        lvm.retag(slab, freed(slab, inventory.next_release(), contents, unchecked=unchecked))
        return None


def _give_up(node: Node, directory: VolumeDirectory, log: "Log") -> None:
    """Release what is recorded as this volume's although nothing is mounted, as after a reboot."""
    try:
        with node.decision() as lvm:
            inventory = lvm.inventory()
            for slab in inventory.slabs:
                if slab.phase == HELD and slab.holder == directory.path:
                    claim = node.locks.claim(slab.name)
                    if claim is None:
                        continue
                    with claim:
                        _give_up_one(node, lvm, slab, inventory.next_release())
                    log.info("given up", slab=slab.name, scope=slab.scope)
    except Exception as error:
        log.error("not given up", error=repr(error))


def _give_up_one(node: Node, lvm: "Lvm", slab: Slab, release: int) -> None:
    state = node.look(slab)
    if state == filesystem.INACTIVE:
        lvm.activate(slab)
        state = node.look(slab)
    if state == filesystem.OPEN:
        lvm.retag(slab, slab.replace(phase=BUSY))
    elif state == filesystem.HALF_MADE:
        lvm.remove([slab])
    elif state == filesystem.READABLE:
        lvm.retag(slab, freed(slab, release, Contents(), unchecked=True))
