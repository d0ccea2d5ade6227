"""Waits for what other threads and processes bring about."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 240
"""How long a test waits for what surely comes before it calls it a hang: on two cores that boot
guests beside it, a daemon that starts in three seconds has taken over sixty."""


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until ``holds`` says so; no longer than needed, and long enough for a busy machine.

    Raises:
        AssertionError: it did not come about in time.
    """
    deadline = time.monotonic() + seconds
    pause_seconds = 0.005
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.2, 0.2)
