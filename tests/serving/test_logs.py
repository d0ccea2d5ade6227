"""The log: whole lines, in order, from all threads, in nobody's way."""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from webhook import logs
from webhook.logs import LogWriter


@contextmanager
def pipe() -> Iterator[tuple[int, LogWriter]]:
    reader, writer = os.pipe()
    log = LogWriter(writer)
    try:
        yield reader, log
    finally:
        os.close(writer)
        os.close(reader)


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    """Leave structlog and logging as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_of_all_threads_come_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = LogWriter(file.fileno())

        def write(thread: int) -> None:
            for number in range(2000):
                log.write(json.dumps([thread, number, "x" * 100]).encode())

        threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
    written = [json.loads(line)[:2] for line in path.read_bytes().splitlines()]
    assert len(written) == 8000
    for number in range(4):
        assert [row[1] for row in written if row[0] == number] == list(range(2000))


def test_a_reader_that_stalls_stalls_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_LINES", 1000)
    with pipe() as (reader, log):
        began = time.monotonic()
        for _ in range(5000):
            log.write(b"x" * 100)
            time.sleep(0)
        assert time.monotonic() - began < 2
        received = b""
        while b"log lines dropped" not in received:
            received += os.read(reader, 65536)
        log.close()
    *_, last = received.splitlines()
    assert json.loads(last)["count"] > 3000


def test_nobody_reading_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = LogWriter(writer)
    log.write(b"x")
    log.close()
    os.close(writer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_logging_as_it_was")
def test_structlog_and_logging_take_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = LogWriter(file.fileno())
        logs.configure(log, "info")
        logger = structlog.get_logger()
        logger.debug("not this")
        logger.info("this", path=path, number=1)
        logging.getLogger("uvicorn.error").info("nor this")
        logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
        try:
            int("at fault")
        except ValueError:
            logger.exception("broken")
        log.close()
    this, invalid, broken = lines_of(path)
    assert (this["event"], this["level"], this["path"], this["number"]) == (
        "this",
        "info",
        str(path),
        1,
    )
    assert (invalid["event"], invalid["logger"]) == ("Invalid request", "uvicorn.error")
    assert "ValueError: invalid literal" in broken["exception"]
    assert all(line["timestamp"].endswith("Z") for line in (this, invalid, broken))
