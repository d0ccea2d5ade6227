"""``slab prune``: caches thrown away because an admin says so, by scope, by age, or all of them.

Only what nobody holds goes: a slab that a pod uses, or will ask for after a reboot, is never
chosen, nor is a volume of the admin's own.
"""

import re
from contextlib import ExitStack

from flexvol import filesystem
from flexvol.errors import BadCallError, SlabError
from flexvol.model import HELD, SPARE, Slab, is_removable
from flexvol.node import Node
from flexvol.reconcile import Deed
from flexvol.record import Record
from flexvol.settle import destroy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flexvol.log import Log

_UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

USAGE = "slab prune [--scope SCOPE] [--unused-for 7d] [--all] [--dry-run]"
_HINT = f"{USAGE}; the scopes are those that slab status shows"


class Selection(Record):
    """What is to go.

    Attributes:
        scope: of this scope only, and of the cache keys within it; empty for every scope.
        unused_seconds: only what nobody has used for so long.
        dry_run: only say what would go.
    """

    scope: str = ""
    unused_seconds: int = 0
    dry_run: bool = False

    def has(self, slab: Slab, now_seconds: int) -> bool:
        """Tell whether a slab is to go.

        A blank spare is of no scope and was never used: it goes only where everything does.
        """
        if not is_removable(slab):
            return False
        if slab.phase == SPARE and not slab.scope and (self.scope or self.unused_seconds):
            return False
        if self.unused_seconds and slab.phase == HELD:
            return False  # its pod is gone; since when, nobody knows
        if self.scope and slab.scope != self.scope and slab.scope.partition("#")[0] != self.scope:
            return False
        return slab.released_at <= now_seconds - self.unused_seconds


def read_selection(arguments: "Sequence[str]") -> Selection:
    """Return what the arguments of ``slab prune`` ask for.

    Raises:
        BadCallError: they are not understood, or name nothing: everything has to be asked for.
    """
    selection, everything = Selection(), False
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in ("--all", "--dry-run") and not equals:
            everything = everything or name == "--all"
            selection = selection.replace(dry_run=selection.dry_run or name == "--dry-run")
        elif name in ("--scope", "--unused-for"):
            value = value or (rest.pop(0) if rest and not equals else "")
            if not value:
                raise BadCallError(f"{name} has no value", _HINT)
            if name == "--scope":
                selection = selection.replace(scope=value)
            else:
                selection = selection.replace(unused_seconds=_seconds(value))
        else:
            raise BadCallError(f"{name!r} is not understood", _HINT)
    if everything == bool(selection.scope or selection.unused_seconds):
        problem = "excludes --scope and --unused-for" if everything else "is missing"
        raise BadCallError(f"--all {problem}: say what is to go", _HINT)
    return selection


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if match is None:
        raise BadCallError(
            f"--unused-for is {text!r}", "write 30m, 12h, 7d or 2w: minutes, hours, days, weeks"
        )
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def prune(node: Node, selection: Selection, now_seconds: int, log: "Log") -> "Iterator[Deed]":
    """Remove what is selected; yield what was done, one slab after the other.

    Raises:
        SlabError: the volume group cannot be read.
    """
    with node.decision() as lvm:
        inventory = node.observe(lvm.inventory())
    for seen in inventory.slabs:
        if not selection.has(seen, now_seconds):
            continue
        try:
            deed = _prune_one(node, seen, selection, now_seconds, log)
        except (SlabError, OSError) as error:
            deed = Deed(seen.name, f"not removed: {error}", failed=True)
        if deed is not None:
            (log.error if deed.failed else log.info)("pruned", slab=deed.slab, what=deed.what)
            yield deed


def _prune_one(
    node: Node, seen: Slab, selection: Selection, now_seconds: int, log: "Log"
) -> "Deed | None":
    """Claim a slab, look at it again, and remove it; None if meanwhile it is not to go any more."""
    facts = f"{seen.size_mib} MiB of {seen.scope or 'nobody'}"
    with ExitStack() as claimed:
        with node.decision() as lvm:
            claim = node.locks.claim(seen.name)
            if claim is None:
                return None
            claimed.enter_context(claim)
            slab = node.observe(lvm.inventory()).slab(seen.name)
            if slab is None or not selection.has(slab, now_seconds):
                return None
            if node.look(slab) == filesystem.OPEN:
                return Deed(slab.name, f"left: {facts}, still open somewhere")
        if selection.dry_run:
            return Deed(slab.name, f"would be removed: {facts}")
        destroy(node, slab.replace(orphaned=False), log)
        return Deed(slab.name, f"removed: {facts}")
