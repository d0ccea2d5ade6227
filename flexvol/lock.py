"""Locks that vanish with their holder: flocks on files in the run directory.

Three kinds. The *decision* lock covers reading the inventory, choosing, claiming, and every change
of the volume group. A *volume* lock keeps two calls for one directory apart. A *claim* keeps all
others off one slab while it is made, checked, discarded or removed, outside the decision lock.

A lock is handed down to the commands that run under it, so that one which outlives a killed driver
still keeps the next call out.
"""

import fcntl
import os
import time

from flexvol.errors import BusyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

DECISION_PATIENCE_SECONDS = 330.0
"""Longer than any one command may take under it."""

_LONGEST_PAUSE_SECONDS = 0.05


class Lock:
    """One held lock; leaving the context gives it back."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back (a command that outlived its time may still hold it)."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self) -> None:
        """Give the lock back and remove its file, which nobody will want again."""
        if self.fd >= 0:
            os.unlink(self.path)
            self.release()


class Locks:
    """All locks of a node.

    Args:
        run_dir: where their files lie; made if absent, for root alone.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir

    def decision(self) -> Lock:
        """Take the decision lock.

        Raises:
            BusyError: others held it for longer than any command may take.
        """
        lock = self._take("decision", DECISION_PATIENCE_SECONDS)
        if lock is None:
            raise BusyError(
                f"the decision lock was held by others for {DECISION_PATIENCE_SECONDS:.0f} s",
                "look for an LVM command that hangs",
            )
        return lock

    def volume(self, name: str, patience_seconds: float) -> Lock:
        """Take the lock of one volume directory, named by ``name``.

        Raises:
            BusyError: another call for it does not end in time.
        """
        lock = self._take(f"volumes/{name}", patience_seconds)
        if lock is None:
            raise BusyError("another call for this volume still runs", "it will be asked again")
        return lock

    def claim(self, slab: str) -> "Lock | None":
        """Claim a slab, or return None if another call has it."""
        return self._take(f"claims/{slab}", 0)

    def ticket(self, name: str) -> Lock:
        """Lock a file of this call's own."""
        lock = self._take(f"waiting/{name}", DECISION_PATIENCE_SECONDS)
        if lock is None:
            raise BusyError("a place in the line could not be had")
        return lock

    def sweep(self) -> None:
        """Remove the lock files of calls that did not come to a good end."""
        for folder in ("volumes", "claims", "waiting"):
            try:
                names = os.listdir(f"{self._run_dir}/{folder}")
            except FileNotFoundError:
                continue
            for name in names:
                swept(f"{self._run_dir}/{folder}/{name}")

    def _take(self, name: str, patience_seconds: float) -> "Lock | None":
        path = f"{self._run_dir}/{name}"
        deadline = time.monotonic() + patience_seconds
        pause = 0.002
        while True:
            lock = _try(path)
            if lock is not None:
                return lock
            if time.monotonic() >= deadline:
                return None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def swept(path: str) -> bool:
    """Remove a lock file that is nobody's any more; tell whether it is gone."""
    lock = _try(path) if os.path.exists(path) else None
    if lock is not None:
        lock.remove()
    return not os.path.exists(path)


def _try(path: str) -> "Lock | None":
    """Lock the file at ``path`` now, or return None if another holds it."""
    while True:
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another may have removed the file in between; a lock on it would be no lock.
            if os.fstat(fd).st_ino == os.stat(path).st_ino:
                os.set_inheritable(fd, True)  # noqa: FBT003 - the parameter is positional only
                return Lock(path, fd)
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        os.close(fd)


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        for part in (os.path.dirname(folder), folder):  # makedirs gives the mode to the last only
            os.makedirs(part, mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)
