"""The threads beside the event loop: each has a name, an end, and a death that is noticed."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

JOIN_SECONDS = 2


class Background:
    """Starts threads and stops them together."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._on_stop: list[Callable[[], None]] = []
        self._dead: list[str] = []

    def start(
        self, name: str, run: Callable[[], None], stop: Callable[[], None] | None = None
    ) -> None:
        """Run something until it returns; ``stop`` is called to make it return soon.

        If it raises, that is a fault of ours which nothing here can mend: ``dead`` tells of it,
        and the liveness probe has the process started anew.
        """

        def guarded() -> None:
            try:
                run()
            except Exception:
                log.exception("thread died", thread=name)
                self._dead.append(f"thread {name} died")

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        if stop is not None:
            self._on_stop.append(stop)
        thread.start()

    def every(self, name: str, seconds: float, do: Callable[[], None]) -> None:
        """Do something again and again, with a pause before each time."""

        def run() -> None:
            while not self.stopped.wait(seconds):
                do()

        self.start(name, run)

    def dead(self) -> list[str]:
        """Return what has died."""
        return list(self._dead)

    def stop(self) -> None:
        """Stop all, and wait for them, though not for ever: they are daemon threads."""
        self.stopped.set()
        for stop in self._on_stop:
            stop()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
