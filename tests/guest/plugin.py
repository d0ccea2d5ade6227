"""Runs the tests under tests/node in guests, and reports their results as this run's own.

On the host those tests are collected but never run: each of their modules gets a guest of its own,
in which pytest runs it and writes one report a line to the shared folder (pytest-reportlog). The
reports are read back as they come. A guest that dies fails every test that has no report, showing
its last output. Inside a guest this plugin stands aside.
"""

import itertools
import json
import os
import shutil
import tempfile
import threading
from collections import deque
from pathlib import Path

import pytest

from tests import seed
from tests.guest import machine
from tests.guest.machine import PROJECT, SHARE_INSIDE, Guest, GuestError

NODE_TESTS = PROJECT / "tests" / "node"
INSIDE = "DIND_TEST_GUEST"
"""Set in the environment of the pytest that runs inside a guest."""

REPORTS = "reports.jsonl"
GUESTS_AT_ONCE = 2
MODULE_TIMEOUT_SECONDS = 1500
SOAK_TIMEOUT_SECONDS = 6 * 3600
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
    runs.start()


def _is_node_test(item: pytest.Item) -> bool:
    return item.path.is_relative_to(NODE_TESTS)


class _Runs:
    """The guests of one test run: one for each module, ``GUESTS_AT_ONCE`` at a time."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dind-guests-"))
        modules: dict[Path, list[pytest.Item]] = {}
        for item in items:
            modules.setdefault(item.path, []).append(item)
        self._runs = {
            path: _ModuleRun(config, self._folder / str(number), of_module)
            for number, (path, of_module) in enumerate(modules.items())
        }
        self._waiting = deque(self._runs.values())
        self._workers = [
            threading.Thread(target=self._work, args=(cpu,))
            for cpu in itertools.islice(itertools.cycle(machine.cpus()), GUESTS_AT_ONCE)
        ]

    def start(self) -> None:
        """Start the first guests; the others follow by themselves."""
        for worker in self._workers:
            worker.start()

    def _work(self, cpu: int) -> None:
        while True:
            try:
                run = self._waiting.popleft()
            except IndexError:
                return
            run.run(cpu)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report a node test with what its guest said; leave all other tests alone."""
        if not _is_node_test(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        run = self._runs[item.path]
        while (reports := run.reports(item.nodeid)) is None:
            run.ended.wait(0.25)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_sessionfinish(self) -> None:
        """Stop what still runs (after an interrupt, or ``-x``) and remove the shared folders."""
        self._waiting.clear()
        for run in self._runs.values():
            run.stop()
        for worker in self._workers:
            worker.join()
        shutil.rmtree(self._folder, ignore_errors=True)


class _ModuleRun:
    """One guest that runs the tests of one module."""

    def __init__(self, config: pytest.Config, share: Path, items: list[pytest.Item]) -> None:
        self._config = config
        self._share = share
        self._seen: dict[str, list[pytest.TestReport]] = {}
        self._offset = 0
        self._guest: Guest | None = None
        self._error = "the guest was stopped before it began"
        self.ended = threading.Event()
        share.mkdir(parents=True)
        (share / "tests").write_text("\n".join(item.nodeid for item in items))
        soaks = any(item.get_closest_marker("soak") for item in items)
        self._timeout = SOAK_TIMEOUT_SECONDS if soaks else MODULE_TIMEOUT_SECONDS
        self._job = (
            f"export {INSIDE}=1 PYTHONDONTWRITEBYTECODE=1 {seed.VARIABLE}={seed.choose()}\n"
            f"exec {PYTHON} -m pytest -q {SLOW_PLUGINS_OFF} --report-log={SHARE_INSIDE / REPORTS} "
            f"-m '{config.option.markexpr}' @{SHARE_INSIDE / 'tests'}"
        )

    def run(self, cpu: int) -> None:
        """Run the guest to its end, on one CPU of the machine."""
        try:
            self._guest = Guest(self._share, self._job, cpu=cpu)
            self._guest.wait(self._timeout)
            self._error = f"the guest has no report of this test\n{self._guest.last_output()}"
        except (GuestError, OSError) as error:
            self._error = str(error)
        finally:
            self.ended.set()

    def stop(self) -> None:
        """End the guest, if it runs."""
        if self._guest is not None:
            self._guest.power_cut()

    def reports(self, nodeid: str) -> list[pytest.TestReport] | None:
        """Return the reports of one test, or None as long as more may come."""
        ended = self.ended.is_set()
        self._read()
        reports = self._seen.get(nodeid, [])
        if any(report.when == "teardown" for report in reports):
            return reports
        return [*reports, self._missing(nodeid)] if ended else None

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

    def _missing(self, nodeid: str) -> pytest.TestReport:
        return pytest.TestReport(
            nodeid=nodeid,
            location=(nodeid.split("::")[0], None, nodeid),
            keywords={},
            outcome="failed",
            longrepr=self._error,
            when="call",
        )
