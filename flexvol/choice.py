"""A slab recorded as a volume's: by one change of the record, which another one takes back."""

from flexvol.errors import CommandError, SlabError
from flexvol.model import Slab
from flexvol.node import Node
from flexvol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.log import Log
    from flexvol.lvm import Lvm


class Choice(Record):
    """A slab chosen for a volume.

    Attributes:
        slab: as it is recorded once it is the volume's.
        before: as it was; None if it is made for this call.
        outcome: how it was come by.
        origin: what it is made a clone of, if it is made for this call.
    """

    slab: Slab
    before: "Slab | None"
    outcome: str
    origin: "Slab | None" = None


def record(lvm: "Lvm", choice: Choice, log: "Log") -> Choice:
    """Have LVM record a choice.

    Raises:
        CommandError: it said that it could not; whatever it did of it has been taken back.
    """
    try:
        if choice.before is None:
            lvm.create(choice.slab, choice.origin)
        else:
            lvm.retag(choice.before, choice.slab)
    except CommandError as error:
        still_runs = error.status is None
        if not still_runs:
            _put_back(lvm, choice.slab, choice.before, log)
        raise
    return choice


def undo(node: Node, choice: Choice, log: "Log", *, unchecked: bool = False) -> None:
    """Put the record back to what it was before the choice.

    Args:
        node: where.
        choice: what was recorded.
        log: where it is told if that fails.
        unchecked: have the slab checked before its next use.
    """
    before = choice.before
    if before == choice.slab:
        return
    if before is not None:
        before = before.replace(unchecked=unchecked or before.unchecked)
    try:
        with node.decision() as lvm:
            _put_back(lvm, choice.slab, before, log)
    except SlabError as error:
        log.error("not undone", slab=choice.slab.name, error=str(error))


def _put_back(lvm: "Lvm", slab: Slab, before: "Slab | None", log: "Log") -> None:
    """Make of a slab what it was, if it is there at all.

    Where that fails, what is left is held by the volume: its next mount takes it up or removes it.
    """
    try:
        current = lvm.inventory().slab(slab.name)
        if current is not None and before is not None:
            lvm.retag(current, before)
        elif current is not None:
            lvm.remove([current])
    except (SlabError, OSError) as error:
        log.error("not undone", slab=slab.name, error=str(error))
