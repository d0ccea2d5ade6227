"""The mount call: from a request to a slab mounted at its directory.

Under the decision lock a slab is chosen, claimed, and recorded as this volume's. What takes long
(mkfs, fsck, discards) follows under the claim alone. mount(2) is the last effect of all, because
the kubelet takes a mounted directory for a success and never asks again. Whatever fails before that
is undone before the answer.
"""

import errno
import time

from flexvol import filesystem
from flexvol.allocator import decide, gives_way
from flexvol.callout import Request
from flexvol.choice import Choice, record, undo
from flexvol.claims import Claims
from flexvol.errors import (
    BadCallError,
    CommandError,
    FileSystemError,
    NoRoomError,
    SlabError,
)
from flexvol.generations import is_clone_of, refuse_faulty_pool
from flexvol.lvm import NoVolumeGroupError
from flexvol.model import GENERATION, HELD, Inventory, Slab, blank, cloned
from flexvol.node import Mounted, Node
from flexvol.plan import (
    CLONED,
    COLD,
    FROM_SPARE,
    MOUNTED_BEFORE,
    RESUMED,
    WARM,
    Create,
    Plan,
    Refuse,
    Settle,
    Take,
    Wait,
)
from flexvol.settle import destroy, discard, settle
from flexvol.waiting import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.log import Log
    from flexvol.lvm import Lvm

_DAMAGED = (errno.EINVAL, errno.EUCLEAN, errno.EBADMSG, errno.EIO, errno.ENODATA, errno.EOVERFLOW)
"""What mount(2) answers for a file system it cannot make sense of."""


_PAUSE_SECONDS = 0.5
"""Between two looks of a call that waits for room."""


class Mounting:
    """One mount call.

    Args:
        node: where.
        request: what for. The caller holds the lock of its volume.
        log: where events go.
    """

    def __init__(self, node: Node, request: Request, log: "Log") -> None:
        self._node = node
        self._request = request
        self._log = log
        self._claims = Claims(node, request.directory.path, log)
        self._discarded: set[str] = set()
        self._failed_to_mount: set[str] = set()
        self._line = Line(node.settings.run_dir, node.locks)
        self._deadline = time.monotonic() + node.settings.wait_seconds

    def run(self) -> "tuple[str, str]":
        """Mount a slab; return its name and how it was come by.

        Raises:
            SlabError: it could not be done; nothing of the attempt is left.
        """
        found = self._node.mounted_at(self._request.directory)
        if found:
            return self._already(found)
        try:
            while True:
                choice = self._choose()
                if choice is not None and self._mount(choice):
                    return choice.slab.name, choice.outcome
        finally:
            self._line.leave()
            self._claims.release()

    def _already(self, found: "Mounted | bool") -> "tuple[str, str]":
        if isinstance(found, Mounted):
            return found.name, MOUNTED_BEFORE
        path = self._request.directory.path
        raise BadCallError(f"something else than a slab is mounted at {path}", "unmount it")

    def _choose(self) -> "Choice | None":
        """Record a slab as this volume's, or do what must come first and return None."""
        with self._node.decision() as lvm:
            plan = self._plan(lvm)
            if isinstance(plan, Wait):
                self._line.join(self._request)
            if isinstance(plan, Take):
                return self._take(lvm, plan)
            if isinstance(plan, Create):
                used = [slab for slab in plan.removals if self._remembers(slab)]
                if not used:
                    return self._create(lvm, plan)
                lvm.doom(used)
                self._line.join(self._request)
        if isinstance(plan, Create):
            for slab in used:
                discard(self._node, slab, self._log)
                self._discarded.add(slab.name)
        elif isinstance(plan, Settle):
            self._settle(plan.slab)
        elif isinstance(plan, Wait):
            self._wait(plan)
        elif isinstance(plan, Refuse):
            raise NoRoomError(plan.reason, "ask for less, or give the node more disk")
        return None

    def _wait(self, plan: Wait) -> None:
        """Let a moment pass; the slabs set aside may be fit again after it."""
        if time.monotonic() >= self._deadline:
            waited = self._node.settings.wait_seconds
            raise NoRoomError(
                f"{plan.reason}; waited {waited} s", "it is tried again until other pods end"
            )
        self._claims.start_over()
        time.sleep(_PAUSE_SECONDS)

    def _plan(self, lvm: "Lvm") -> Plan:
        """Return a plan whose slabs are all claimed and are what their records say.

        Raises:
            PoolError: the thin pool is missing, or cannot be written to.
        """
        while True:
            inventory = self._claims.visible(self._inventory(lvm))
            if self._request.thin:
                refuse_faulty_pool(inventory)
            plan = decide(self._request, inventory)
            earlier = self._line.before_me()
            if gives_way(plan, earlier, inventory):
                return Wait(f"{len(earlier)} earlier pods wait for room too")
            if isinstance(plan, Take | Settle):
                fit = self._claims.claim(lvm, plan.slab)
            elif isinstance(plan, Create):
                fit = all(map(self._claims.claim_for_removal, plan.removals))
            else:
                fit = True
            if fit:
                return plan

    def _inventory(self, lvm: "Lvm") -> Inventory:
        try:
            return lvm.inventory()
        except NoVolumeGroupError:
            self._log.info("pool", done=self._node.provide(lvm))
            return lvm.inventory()

    def _remembers(self, slab: Slab) -> bool:
        """Tell whether a slab holds what the disk can be told to forget, and has not been yet."""
        forgotten = slab.name in self._discarded or slab.uses == 0 or slab.thin
        return not forgotten and self._node.can_discard(slab)

    def _take(self, lvm: "Lvm", plan: Take) -> Choice:
        before = plan.slab.replace(orphaned=False)
        if plan.outcome == RESUMED:
            return Choice(before, before, RESUMED)
        return record(lvm, Choice(self._held(before), before, plan.outcome), self._log)

    def _held(self, slab: Slab) -> Slab:
        """Return a slab as it is recorded once this volume holds it."""
        return slab.replace(
            phase=HELD,
            holder=self._request.directory.path,
            scope=self._request.scope,
            graph_format=self._request.graph_format,
            anonymous=self._request.anonymous,
            uses=slab.uses + 1,
        )

    def _create(self, lvm: "Lvm", plan: Create) -> Choice:
        if plan.removals:
            names = ", ".join(slab.name for slab in plan.removals)
            self._log.info("reclaimed", slabs=names)
            lvm.remove(plan.removals)
        group, request = lvm.inventory().group, self._request
        uuid = filesystem.new_uuid()
        slab = blank(uuid, group, request.size_mib, request.file_system).replace(thin=request.thin)
        if plan.origin is not None:
            slab = cloned(slab, plan.origin)
        slab = self._held(slab)
        self._claims.hold(slab)
        outcome = COLD if plan.origin is None else CLONED
        return record(lvm, Choice(slab, None, outcome, plan.origin), self._log)

    def _settle(self, slab: Slab) -> None:
        try:
            settle(self._node, slab.replace(orphaned=False), self._log)
        except (CommandError, OSError) as error:
            self._log.error("not settled", slab=slab.name, error=str(error))
            self._claims.set_aside(slab)

    def _mount(self, choice: Choice) -> bool:
        """Make or check the chosen slab and mount it; return False where another is to be chosen.

        Raises:
            SlabError: it could not be done, and no other slab would do better; it was undone.
        """
        slab = choice.slab
        try:
            if choice.outcome == COLD:
                self._node.make(slab)
            elif choice.outcome == RESUMED and not self._node.check(slab):
                self._log.error("damaged", slab=slab.name, scope=slab.scope)
                destroy(self._node, slab, self._log)
                return False
            self._node.mount(slab, self._request.directory, read_only=self._request.read_only)
        except OSError as error:
            return self._not_mounted(choice, error)
        except SlabError:
            undo(self._node, choice, self._log)
            raise
        return True

    def _not_mounted(self, choice: Choice, error: OSError) -> bool:
        """Undo the choice of a slab that could not be mounted; return False to choose another."""
        name = choice.slab.name
        self._log.error("not mounted", slab=name, error=str(error))
        damaged = error.errno in _DAMAGED
        if damaged and choice.outcome in (WARM, CLONED) and choice.slab.base:
            self._suspect(choice.slab)
            return False
        made = (RESUMED, COLD, CLONED)
        if choice.outcome in made or not (damaged or error.errno == errno.EBUSY):
            undo(self._node, choice, self._log)
            raise FileSystemError(
                f"slab {name} cannot be mounted at {self._request.directory.path}: {error}",
                _hint(error, choice.slab.file_system),
            ) from error
        if damaged and choice.outcome == FROM_SPARE:
            destroy(self._node, choice.slab, self._log)
            return False
        undo(self._node, choice, self._log, unchecked=damaged)
        if not damaged or name in self._failed_to_mount:
            self._claims.set_aside(choice.slab)
        self._failed_to_mount.add(name)
        return False

    def _suspect(self, clone: Slab) -> None:
        """Remove a clone that cannot be mounted, and have its generation checked before the next.

        A generation that is found sound, and of which a clone fails again, is left alone: this pod
        gets an older one, or starts empty.
        """
        destroy(self._node, clone, self._log)
        with self._node.decision() as lvm:
            for slab in lvm.inventory().slabs:
                if slab.phase == GENERATION and is_clone_of(clone, slab):
                    if slab.name in self._failed_to_mount:
                        self._claims.set_aside(slab)
                    self._failed_to_mount.add(slab.name)
                    lvm.retag(slab, slab.replace(unchecked=True))


def _hint(error: OSError, file_system: str) -> str:
    if error.errno == errno.ENODEV:
        return f"this node's kernel has no {file_system}"
    return ""
