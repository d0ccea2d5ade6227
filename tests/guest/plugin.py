"""Runs the tests under tests/node in guests, and reports their results as this run's own.

On the host those tests are collected but never run: each of their modules gets a guest of its own,
in which pytest runs it and writes one report a line to the shared folder (pytest-reportlog). The
reports are read back as they come. A guest that dies fails every test that has no report, showing
its last output. Inside a guest this plugin stands aside.
"""

import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest import machine
from tests.guest.machine import PROJECT, SHARE_INSIDE, Guest

NODE_TESTS = PROJECT / "tests" / "node"
INSIDE = "DIND_TEST_GUEST"
"""Set in the environment of the pytest that runs inside a guest."""

REPORTS = "reports.jsonl"
GUESTS_AT_ONCE = 2
MODULE_TIMEOUT_SECONDS = 1500
SLOW_PLUGINS_OFF = "-p no:cacheprovider -p no:kmock -p no:schemathesis"
"""What no node test uses and a guest, where imports are slow, would load for seconds."""
PYTHON = PROJECT / ".venv" / "bin" / "python"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the node tests last, so that guests work while the host's tests run."""
    if INSIDE not in os.environ:
        items.sort(key=_is_node_test)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the first guests as soon as it is known which tests will run."""
    node_items = [item for item in session.items if _is_node_test(item)]
    if not node_items or INSIDE in os.environ or session.config.option.collectonly:
        return
    machine.fetch()
    runs = _Runs(session.config, node_items)
    session.config.pluginmanager.register(runs, "guest-runs")
    runs.start_next()


def _is_node_test(item: pytest.Item) -> bool:
    return item.path.is_relative_to(NODE_TESTS)


class _Runs:
    """The guests of one test run: one for each module, ``GUESTS_AT_ONCE`` at a time."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self._config = config
        self._folder = Path(tempfile.mkdtemp(prefix="dind-guests-"))
        modules: dict[Path, list[pytest.Item]] = {}
        for item in items:
            modules.setdefault(item.path, []).append(item)
        self._waiting = deque(modules.items())
        self._runs: dict[Path, _ModuleRun] = {}

    def start_next(self) -> None:
        """Start guests until as many run as may."""
        while self._waiting and sum(run.running() for run in self._runs.values()) < GUESTS_AT_ONCE:
            path, items = self._waiting.popleft()
            self._runs[path] = _ModuleRun(self._config, self._folder / path.stem, items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report a node test with what its guest said; leave all other tests alone."""
        self.start_next()
        if not _is_node_test(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        while True:
            self.start_next()
            run = self._runs.get(item.path)
            if run is None:
                next(iter(self._running())).wait_a_little()
                continue
            reports = run.reports(item.nodeid)
            if reports is not None:
                yield from reports
                return
            run.wait_a_little()

    def _running(self) -> Iterator["_ModuleRun"]:
        return (run for run in self._runs.values() if run.running())

    def pytest_sessionfinish(self) -> None:
        """Stop what still runs (after an interrupt, or ``-x``) and remove the shared folders."""
        for run in self._runs.values():
            run.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class _ModuleRun:
    """One guest that runs the tests of one module."""

    def __init__(self, config: pytest.Config, share: Path, items: list[pytest.Item]) -> None:
        self._config = config
        self._share = share
        self._seen: dict[str, list[pytest.TestReport]] = {}
        self._offset = 0
        self._error = ""
        share.mkdir(parents=True)
        (share / "tests").write_text("\n".join(item.nodeid for item in items))
        marks = config.option.markexpr
        self._guest = Guest(
            share,
            f"export {INSIDE}=1 PYTHONDONTWRITEBYTECODE=1\n"
            f"exec {PYTHON} -m pytest -q {SLOW_PLUGINS_OFF} --report-log={SHARE_INSIDE / REPORTS} "
            f"-m '{marks}' @{SHARE_INSIDE / 'tests'}",
        )

    def running(self) -> bool:
        return self._guest.running()

    def stop(self) -> None:
        self._guest.power_cut()

    def wait_a_little(self) -> None:
        """Wait until the guest ends, a quarter of a second at most."""
        self._guest.pause(0.25)
        if self._guest.age_seconds() > MODULE_TIMEOUT_SECONDS:
            self._error = f"the guest ran longer than {MODULE_TIMEOUT_SECONDS} s"
            self._guest.power_cut()

    def reports(self, nodeid: str) -> list[pytest.TestReport] | None:
        """Return the reports of one test, or None as long as more may come."""
        ended = not self.running()
        self._read()
        reports = self._seen.get(nodeid, [])
        if any(report.when == "teardown" for report in reports):
            return reports
        return [*reports, self._died(nodeid)] if ended else None

    def _read(self) -> None:
        path = self._share / REPORTS
        if not path.exists():
            return
        with path.open("rb") as stream:
            stream.seek(self._offset)
            for line in stream:
                try:
                    data = json.loads(line)
                except ValueError:
                    # The guest writes back pages in any order: this line is not all there yet.
                    return
                self._offset += len(line)
                self._take(data)

    def _take(self, data: dict[str, object]) -> None:
        if data.get("$report_type") != "TestReport":
            return
        report = self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
        self._seen.setdefault(report.nodeid, []).append(report)

    def _died(self, nodeid: str) -> pytest.TestReport:
        error = self._error or "the guest ended before this test did"
        return pytest.TestReport(
            nodeid=nodeid,
            location=(nodeid.split("::")[0], None, nodeid),
            keywords={},
            outcome="failed",
            longrepr=f"{error}\n{self._guest.last_output()}",
            when="call",
        )
