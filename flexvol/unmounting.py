"""The unmount call: a slab given back, or removed.

It must never keep a pod from ending without need: once nothing is mounted at the directory the
answer is Success, and what could not be recorded is an ordinary state that the next call, or
reconcile, finds: a slab that is held, closed, and whose pod is gone.
"""

import errno

from flexvol import filesystem
from flexvol.callout import VolumeDirectory
from flexvol.errors import BadCallError, BusyError
from flexvol.generations import lineage_of, newest
from flexvol.model import BUSY, GENERATION, HELD, Inventory, Slab
from flexvol.node import Mounted, Node
from flexvol.release import Contents, Fate, fate
from flexvol.settle import committed, destroy, freed, remove_surplus

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
    if found.thin:
        _trim(node, directory, contents, log)
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


def _trim(node: Node, directory: VolumeDirectory, contents: Contents, log: "Log") -> None:
    """Give back what a slab does not use before it is kept for long; not doing so loses nothing."""
    what = fate(contents, anonymous=False, full_percent=node.settings.full_percent, thin=True)
    if not what.delete:
        try:
            node.trim(directory)
        except OSError as error:
            log.error("not trimmed", error=str(error))


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
        if slab is None:
            return
        if slab.phase == GENERATION:
            remove_surplus(node, log)
        else:
            destroy(node, slab, log)


def _record(
    node: Node, name: str, directory: VolumeDirectory, contents: Contents, log: "Log"
) -> "Slab | None":
    """Record what becomes of a slab; return it if there is more to do.

    That is a slab to be removed, or a new generation, which others may have to make way for.
    """
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
        what = fate(
            contents,
            anonymous=slab.anonymous,
            full_percent=node.settings.full_percent,
            thin=slab.thin,
        )
        errors = node.has_errors(slab)
        if slab.thin and not what.delete:
            what = _fate_of_clone(node, slab, inventory, what, errors=errors)
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
        if slab.thin:
            mapped_mib = node.mapped_mib(slab)
            generation = committed(slab, inventory.next_release(), contents, mapped_mib)
            lvm.retag(slab, generation)
            return generation
        unchecked = what.unchecked or errors
        lvm.retag(slab, freed(slab, inventory.next_release(), contents, unchecked=unchecked))
        return None


def _fate_of_clone(
    node: Node, slab: Slab, inventory: Inventory, what: Fate, *, errors: bool
) -> Fate:
    """Return what becomes of a clone that is fit to be the newest generation, as far as it goes."""
    head = newest(inventory.slabs, lineage_of(slab))
    if errors:
        return Fate(delete=True, reason="its file system met errors")
    if head is not None and head.release > slab.base and not node.settings.replace_newer:
        return Fate(delete=True, reason="another pod has left a newer generation")
    return what


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
    elif state == filesystem.HALF_MADE or (state == filesystem.READABLE and slab.thin):
        lvm.remove([slab])
    elif state == filesystem.READABLE:
        lvm.retag(slab, freed(slab, release, Contents(), unchecked=True))
