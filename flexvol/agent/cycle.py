"""One round of the agent's: settings carried out, slabs put right, the log read, all of it told."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from flexvol.agent.driver import Driver
from flexvol.agent.incidents import Incident, Incidents, not_ready
from flexvol.agent.report import Report
from flexvol.agent.settings import SettingsFolder
from flexvol.agent.tail import Tail
from flexvol.agent.telemetry import Telemetry
from flexvol.agent.wanted import NOT_READY, Wanted, wanted
from flexvol.errors import SlabError
from flexvol.install.host import Host

log = structlog.get_logger()

BOOKMARK = "agent"
"""The file in the run directory that keeps how far the driver's log was read."""

FAILURES_TO_BELIEVE = 2
"""A pool that could not be read once may only have been waited for; twice in a row, it is gone."""


class Audience(Protocol):
    """Who is told: the cluster, where there is one."""

    def want(self, wanted: Wanted) -> None:
        """Take what the cluster should know."""

    def tell(self, incident: Incident) -> None:
        """Take what people should know."""


class Cycle:
    """The agent's rounds.

    Args:
        host: the node.
        driver: what is installed there.
        settings: the node's settings as an admin gives them; None where they are not ours to write.
        telemetry: takes what is found.
        audience: as ``telemetry``.
        clock: the time.
    """

    def __init__(
        self,
        host: Host,
        driver: Driver,
        settings: SettingsFolder | None,
        telemetry: Telemetry,
        audience: Audience,
        clock: Callable[[], datetime],
    ) -> None:
        self._host = host
        self._driver = driver
        self._settings = settings
        self._telemetry = telemetry
        self._audience = audience
        self._clock = clock
        self._incidents = Incidents()
        self._tail: Tail | None = None
        self._wanted: Wanted | None = None
        self._failures = 0
        self.fault = "no round is finished yet"
        """Why pods with slabs cannot come; empty where they can."""

    def run(self) -> None:
        """Do everything once. Nothing that fails keeps the rest from being done."""
        if self._settings is not None:
            self._carry_out(self._settings)
        self._reconcile()
        report = self._driver.report()
        self._read_log(report)
        self._tell(report)

    @property
    def failed_once(self) -> bool:
        """Whether the last round, and no other before it, found no pool: look again soon."""
        return self._failures == 1

    def _carry_out(self, settings: SettingsFolder) -> None:
        try:
            settings.carry_out(self._driver)
        except (SlabError, OSError) as error:
            self._telemetry.settings_faulty.set(1)
            log.error("settings not carried out", error=str(error))
        else:
            self._telemetry.settings_faulty.set(0)

    def _reconcile(self) -> None:
        try:
            for deed in self._driver.reconcile():
                log.info("reconciled", what=deed)
        except SlabError as error:
            log.error("not reconciled", error=str(error))
            self._telemetry.reconciled(self._clock(), well=False)
        else:
            self._telemetry.reconciled(self._clock(), well=True)

    def _read_log(self, report: Report) -> None:
        tail = self._tail_of(report)
        if tail is None:
            return
        for entry in tail.read():
            self._telemetry.remember(entry.line)
            if entry.is_new:
                self._telemetry.count(entry.line)
                for incident in self._incidents.of(entry.line):
                    self._audience.tell(incident)
        try:
            tail.keep_place()
        except OSError as error:
            log.warning("place in the log not kept", error=str(error))

    def _tail_of(self, report: Report) -> Tail | None:
        """Return the log that the driver says it writes; a report that says nothing keeps it."""
        if not (report.log_file and report.run_dir):
            return self._tail
        path = self._host.path(Path(report.log_file))
        if self._tail is None or self._tail.path != path:
            if self._tail is not None:
                self._tail.close()
            bookmark = self._host.path(Path(report.run_dir)) / BOOKMARK
            self._tail = Tail(path, bookmark, _booted_at(self._host.proc))
        return self._tail

    def _tell(self, report: Report) -> None:
        error = report.error
        if error is None:
            self._failures = 0
            self._wanted = wanted(report)
            self.fault = ""
        else:
            self._failures += 1
            self.fault = error.message
            log.error("not ready", cause=error.cause, error=error.message, rounds=self._failures)
            if self._failures >= FAILURES_TO_BELIEVE:
                self._wanted = NOT_READY
                self._audience.tell(not_ready(error.cause, error.message))
        self._telemetry.reported(report, ready=error is None)
        if self._wanted is not None:
            self._audience.want(self._wanted)


def _booted_at(proc: Path) -> datetime:
    """Return when the node booted: ``btime`` in proc(5)."""
    for line in (proc / "stat").read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == "btime":
            return datetime.fromtimestamp(int(value), UTC)
    raise AssertionError(proc)
