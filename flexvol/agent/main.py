"""``python -m flexvol agent``: puts the pieces together, and runs them until told to stop.

The main thread does the node's work and waits for nobody else's. Serving metrics, watching the node
and publishing have threads of their own; one that dies takes the agent with it, and is started anew
by whoever started the agent.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import SystemRandom

import structlog

from cluster.errors import ClusterError
from flexvol import __version__
from flexvol.agent.cycle import Audience, Cycle
from flexvol.agent.driver import Driver
from flexvol.agent.flags import Flags, parse_flags
from flexvol.agent.incidents import Incident
from flexvol.agent.server import Face
from flexvol.agent.settings import SettingsFolder
from flexvol.agent.telemetry import Telemetry
from flexvol.agent.wanted import Wanted
from flexvol.install.host import Host
from flexvol.install.store import CURRENT

log = structlog.get_logger()

OK, DIED, FAILED = 0, 1, 2
SOON_SECONDS = 5.0
JOIN_SECONDS = 2.0


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run until SIGTERM; return the exit status: 0, 1 after a fault of ours, 2 for no start."""
    flags = parse_flags(argv, environ)
    _configure_log(flags.log_level)
    try:
        if flags.withdraw:
            return _withdraw(flags)
        return Agent(flags).run()
    except ClusterError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.stderr.write(f"hint: {error.hint}\n" if error.hint else "")
    except OSError as error:
        sys.stderr.write(f"error: port {flags.port} cannot be listened on: {error}\n")
    return FAILED


def _withdraw(flags: Flags) -> int:
    from cluster.api import Cluster
    from cluster.connect import connect
    from flexvol.agent.withdraw import withdraw

    withdraw(Cluster(connect(flags.kubeconfig)), flags.node)
    return OK


class Agent:
    """One agent, put together.

    Raises:
        ClusterError: there is no cluster to talk to.
        OSError: the port cannot be had.
    """

    def __init__(self, flags: Flags) -> None:
        self._interval_seconds = flags.interval_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._died = threading.Event()
        self._threads: list[threading.Thread] = []
        self._on_stop: list[Callable[[], None]] = []
        host = Host(flags.host_pid)
        driver = Driver(host, flags.places.root / CURRENT)
        settings = None
        if flags.settings_from is not None:
            settings = SettingsFolder(flags.settings_from, flags.places, host)
        telemetry = Telemetry(_now)
        audience = self._publisher(flags, telemetry) if flags.node else _Nobody()
        self._cycle = Cycle(host, driver, settings, telemetry, audience, _now)
        self._face = Face(flags.port, telemetry.registry, lambda: self._cycle.fault)

    def run(self) -> int:
        """Run until a signal says to stop, or a thread dies."""
        threading.excepthook = self._on_death
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_signal)
        self._face.start()
        for thread in self._threads:
            thread.start()
        log.info("running", version=__version__, port=self._face.port)
        while not self._stopping.is_set():
            self._cycle.run()
            self._wake.wait(SOON_SECONDS if self._cycle.failed_once else self._interval_seconds)
            self._wake.clear()
        for stop in self._on_stop:
            stop()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self._face.stop()
        log.info("stopped")
        return DIED if self._died.is_set() else OK

    def _publisher(self, flags: Flags, telemetry: Telemetry) -> Audience:
        from cluster.api import Cluster, nodes  # costs 0.2 s and 28 MiB; a node alone saves them
        from cluster.connect import connect
        from cluster.follow import Follower
        from flexvol.agent.publisher import Publisher

        client = connect(flags.kubeconfig)
        publisher = Publisher(Cluster(client), flags.node, telemetry, _now, SystemRandom())
        follower = Follower(client, nodes(flags.node), random=SystemRandom())
        self._start_later("watch", lambda: publisher.follow(follower), follower.stop)
        self._start_later("publish", publisher.run, publisher.stop)
        return publisher

    def _start_later(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=run, name=name, daemon=True))
        self._on_stop.append(stop)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGHUP:
            self._stopping.set()
        self._wake.set()

    def _on_death(self, death: threading.ExceptHookArgs) -> None:
        name = death.thread.name if death.thread else ""
        log.error("thread died", thread=name, exc_info=death.exc_value)
        self._died.set()
        self._stopping.set()
        self._wake.set()


class _Nobody(Audience):
    """Who is told where there is no cluster."""

    def want(self, wanted: Wanted) -> None:
        """Take it, for nobody."""

    def tell(self, incident: Incident) -> None:
        """Log it: that is all there is."""
        log.warning("incident", reason=incident.reason, message=incident.message)


def _now() -> datetime:
    return datetime.now(UTC)


def _configure_log(level: str) -> None:
    """Write one JSON object a line to standard output."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(),
    )
