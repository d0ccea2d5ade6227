"""Structured logs: one JSON object a line, to standard output, never in the way of a request.

Lines are gathered and written by a thread of their own, some twenty milliseconds later: a decision
costs its request no system call, and a reader of the log that stalls does not stall admission.
Lines from libraries that use ``logging`` take the same way.
"""

import logging
import os
import threading
from collections import deque
from typing import Any

import msgspec
import structlog

GATHER_SECONDS = 0.02
MOST_LINES = 100_000
"""Beyond so many that nobody reads, lines are dropped, and counted in a line of their own."""


class LogWriter:
    """Writes lines to a file descriptor. ``write`` may be called from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._waiting = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take one line, without its line end."""
        if len(self._lines) >= MOST_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._waiting.is_set():
            self._waiting.set()

    msg = debug = info = warning = error = critical = exception = write
    """structlog calls a logger by the level's name."""

    def close(self) -> None:
        """Write what is left, and end the thread."""
        self._closed.set()
        self._waiting.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._waiting.wait()
            self._closed.wait(GATHER_SECONDS)
            self._waiting.clear()
            self._flush()

    def _flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            lines.append(
                encode({"level": "warning", "event": "log lines dropped", "count": self._dropped})
            )
            self._dropped = 0
        text = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            return  # nobody reads any more; there is nowhere left to say so


encode = msgspec.json.Encoder(enc_hook=str).encode


def configure(writer: LogWriter, level: str) -> None:
    """Send the logs of the whole process to ``writer``.

    Args:
        writer: takes the lines.
        level: ``debug``, ``info``, ``warning`` or ``error``; what is below is dropped.
    """
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_serialize)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: writer,
    )
    handler = _Handler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _logger, _name, event: encode(event).decode(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


class _Handler(logging.Handler):
    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.write(self.format(record).encode())


def _serialize(event: dict[str, Any], **_: Any) -> bytes:  # noqa: ANN401 - structlog's interface
    return encode(event)
