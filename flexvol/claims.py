"""The slabs that one mount call has claimed, and those that it must not choose."""

from flexvol import filesystem
from flexvol.errors import BusyError, CommandError, FileSystemError
from flexvol.model import BUSY, Inventory, Slab
from flexvol.node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.lock import Lock
    from flexvol.log import Log
    from flexvol.lvm import Lvm

_PROBE_SECONDS = 0.3
"""How long a slab that is there for the taking may seem open: udev opens what it probes."""


class Claims:
    """The claims of one call. All but ``release`` is done under the decision lock.

    Args:
        node: where.
        holder: the directory of the call's volume.
        log: where events go.
    """

    def __init__(self, node: Node, holder: str, log: "Log") -> None:
        self._node = node
        self._holder = holder
        self._log = log
        self._held: dict[str, Lock] = {}
        self._set_aside: set[str] = set()

    def visible(self, inventory: Inventory) -> Inventory:
        """Return what the call may choose from."""
        slabs = (slab for slab in inventory.slabs if slab.name not in self._set_aside)
        return self._node.observe(inventory.replace(slabs=tuple(slabs)))

    def claim(self, lvm: "Lvm", slab: Slab) -> bool:
        """Claim a slab to be used; where that cannot be, see to it that it is not chosen again.

        Raises:
            SlabError: it is reserved for this volume, which must not get another one meanwhile.
        """
        own = slab.holder == self._holder
        if not self.hold(slab):
            if own:
                raise BusyError(
                    f"slab {slab.name}, reserved for this volume, is still worked on",
                    "it will be asked again",
                )
            return False
        state = self._node.look(slab, patience_seconds=_PROBE_SECONDS)
        if state == filesystem.INACTIVE:
            state = self._activated(lvm, slab)
        if state == filesystem.READABLE:
            return True
        self._log.info("passed over", slab=slab.name, state=state)
        if state == filesystem.HALF_MADE:
            lvm.remove([slab])
        elif own and state == filesystem.OPEN:
            # This volume is given another; once this one is closed, reconcile frees it.
            recorded = slab.replace(orphaned=False)
            lvm.retag(recorded, recorded.replace(phase=BUSY))
        elif own:
            raise FileSystemError(
                f"slab {slab.name}, reserved for this volume, cannot be used: its device is {state}"
            )
        else:
            self.set_aside(slab)
        self._give_back(slab)
        return False

    def claim_for_removal(self, slab: Slab) -> bool:
        """Claim a slab to be removed; where that cannot be, have it not chosen again."""
        if not self.hold(slab):
            return False
        if self._node.look(slab) != filesystem.OPEN:
            return True
        self.set_aside(slab)
        self._give_back(slab)
        return False

    def hold(self, slab: Slab) -> bool:
        """Claim a slab whatever state it is in; tell whether this call has it now."""
        if slab.name in self._held:
            return True
        claim = self._node.locks.claim(slab.name)
        if claim is None:
            self.set_aside(slab)
            return False
        self._held[slab.name] = claim
        return True

    def set_aside(self, slab: Slab) -> None:
        """Have a slab not chosen any more."""
        self._set_aside.add(slab.name)

    def release(self) -> None:
        """Give all claims back."""
        while self._held:
            self._held.popitem()[1].release()

    def start_over(self) -> None:
        """Give all claims back; what was set aside may be fit again the next time."""
        self.release()
        self._set_aside.clear()

    def _activated(self, lvm: "Lvm", slab: Slab) -> str:
        """Make a slab's device appear; return what it looks like then."""
        try:
            lvm.activate(slab)
        except CommandError as error:
            self._log.error("not activated", slab=slab.name, error=str(error))
        return self._node.look(slab)

    def _give_back(self, slab: Slab) -> None:
        self._held.pop(slab.name).release()
