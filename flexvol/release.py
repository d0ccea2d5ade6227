"""What becomes of a slab when its pod lets go of it: pure, from what was found in it."""

from flexvol.record import Record

STARTING = "starting"
READY = "ready"
CLEAN = "clean"
HEALTH_FILE = (".dind", "state")
"""Where the injected daemon tells its health, below the graph's root."""


class Contents(Record):
    """What was found in a slab.

    Attributes:
        used_percent: of its blocks or its inodes, whichever is more; None if it could not be told.
        health: what the daemon last said of itself; empty for a daemon that is not ours.
    """

    used_percent: "float | None" = None
    health: str = ""


class Fate(Record):
    """What to do with a released slab.

    Attributes:
        delete: it is removed; otherwise kept free.
        unchecked: it is kept, but checked before it is used again.
        reason: for the log.
    """

    delete: bool
    unchecked: bool = False
    reason: str = ""


def fate(contents: Contents, *, anonymous: bool, full_percent: int, thin: bool = False) -> Fate:
    """Return what to do with a slab that nobody uses any more.

    A slab whose measuring failed is kept: what one failed call says must not destroy a cache. A
    thin one is not: keeping it would mean to replace the generation that is known to be good.
    """
    used = contents.used_percent
    if anonymous:
        return Fate(delete=True, reason="anonymous")
    if contents.health == STARTING:
        return Fate(delete=True, reason="its daemon never became ready")
    if used is not None and used > full_percent:
        return Fate(delete=True, reason=f"{used:.0f} % full")
    if thin and used is None:
        return Fate(delete=True, reason="it could not be measured")
    if thin and contents.health == READY:
        return Fate(delete=True, reason="its daemon did not stop in order")
    if contents.health == READY:
        return Fate(delete=False, unchecked=True, reason="its daemon did not stop in order")
    return Fate(delete=False, reason="kept")
