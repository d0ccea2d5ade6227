"""What a mount call may be told to do next, and how a mount came by its slab."""

from flexvol.model import Slab
from flexvol.record import Record


class Plan(Record):
    """What to do next; one of the kinds below."""


class Take(Plan):
    """Hand out this slab. ``outcome`` says which rule chose it, for the log."""

    slab: Slab
    outcome: str


class Settle(Plan):
    """Check this slab, whose last use did not end in order, then ask again."""

    slab: Slab


class Create(Plan):
    """Make a new slab, after removing ``removals``, in one section under the decision lock.

    It is a clone of ``origin``, where there is one, and blank otherwise.
    """

    removals: tuple[Slab, ...] = ()
    origin: "Slab | None" = None


class Wait(Plan):
    """Nothing to be had now; ``reason`` is what to answer if that stays so."""

    reason: str


class Refuse(Plan):
    """Nothing to be had ever."""

    reason: str


WARM = "warm"
CLONED = "cloned"
RESUMED = "resumed"
FROM_SPARE = "spare"
COLD = "cold"
MOUNTED_BEFORE = "mounted before"
"""How a mount came by its slab."""
