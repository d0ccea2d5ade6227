"""The driver, disturbed at one of its steps.

Run by itself, as the kubelet runs the driver:

``python -IS disturbed_driver.py NOTES DEED MOMENT NUMBER DELAY CALL…``

``NOTES`` is a file that gets a line for every step: its moment and its name. ``DEED`` befalls the
driver at ``MOMENT`` (``before``, ``after``) of the step with this ``NUMBER``, the first being 0:

==========  ========================================================================================
none        nothing
kill        SIGKILL to itself
orphan      SIGKILL to itself ``DELAY`` seconds later, while the step's command, if any, goes on
massacre    SIGKILL to itself and to its commands ``DELAY`` seconds later, as by ``systemctl kill``
fail        the step's own kind of error, though after it the step has been done all the same
==========  ========================================================================================
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from flexvol.__main__ import start
from flexvol.errors import CommandError

SYSTEM_CALLS = ("mount", "umount", "discard", "trim")
"""The steps that are no commands."""


class Watcher:
    """Notes each step, and disturbs the driver when the time has come."""

    def __init__(self, notes: str, deed: str, moment: str, number: int, delay: float) -> None:
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._deed = getattr(self, f"_{deed}")
        self._moment = moment
        self._number = number
        self._delay = delay
        self._count = {"before": 0, "after": 0}

    def __call__(self, moment: str, step: str) -> None:
        """Be told of a step."""
        os.write(self._notes, f"{moment} {step}\n".encode())
        if moment == "before":
            self._current = self._count["before"]
            self._count["before"] += 1
        if moment == self._moment and self._current == self._number:
            self._deed(step)

    def _none(self, step: str) -> None:
        pass

    def _kill(self, _: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _orphan(self, _: str) -> None:
        self._later(lambda driver: os.kill(driver, signal.SIGKILL))

    def _massacre(self, _: str) -> None:
        self._later(lambda _: os.killpg(0, signal.SIGKILL))

    def _later(self, deed: Callable[[int], None]) -> None:
        driver = os.getpid()
        if os.fork() == 0:
            try:
                os.closerange(3, 1 << 10)
                time.sleep(self._delay)
                deed(driver)
            finally:  # the driver may have ended: there must be no second one
                os._exit(0)

    def _fail(self, step: str) -> None:
        if step in SYSTEM_CALLS:
            if self._moment == "after":
                return  # one that was done never says that it failed
            raise OSError(errno.EIO, "a disturbance of the test's")
        raise CommandError([step], 5, "a disturbance of the test's")


if __name__ == "__main__":
    notes, deed, moment, number, delay, *call = sys.argv[1:]
    start(call, os.environ, Watcher(notes, deed, moment, int(number), float(delay)))
