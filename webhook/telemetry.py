"""What the webhook tells of itself: a log line and metrics for each decision, and gauges.

The names of the metrics are an interface: dashboards and alerts are written against them, and
docs/serving.md lists them.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from webhook.outcome import Code, Kind
from webhook.review import Answer

PREFIX = "dind_webhook_"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)


class DecisionLine(msgspec.Struct, frozen=True):
    """The log line of one decision, as it is written.

    It is encoded straight from here: a structlog call would cost five times as much, and this is
    the one line that every request writes.
    """

    timestamp: datetime
    level: str
    event: str
    outcome: Kind
    code: Code
    namespace: str
    pod: str
    uid: str
    dry_run: bool
    warnings: tuple[str, ...]
    sentence: str
    duration_ms: float


class Telemetry:
    """Counts and logs. The gauges are read when somebody asks for the metrics."""

    def __init__(self, write_line: Callable[[bytes], None]) -> None:
        self._write_line = write_line
        self._encode = msgspec.json.Encoder().encode
        # They would be a second series for each counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the package left it untyped
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._decisions = Counter(
            f"{PREFIX}decisions", "Decisions on pods.", ["outcome", "code"], registry=registry
        )
        for code in (Code.INJECTED, Code.NOT_LABELLED):  # there from the start: rates need a zero
            kind = Kind.INJECT if code is Code.INJECTED else Kind.SKIP
            self._decisions.labels(kind, code)
        self._decided: dict[tuple[Kind, Code], Callable[[], None]] = {}
        self._seconds = Histogram(
            f"{PREFIX}request_seconds",
            "From a request's headers to its answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self.turned_away = Counter(
            f"{PREFIX}turned_away",
            "Requests that got no decision: too large, too slow, or too early.",
            ["reason"],
            registry=registry,
        )
        self.defaults_faults = Counter(
            f"{PREFIX}defaults_faults",
            "ConfigMaps that could not be understood.",
            ["namespace"],
            registry=registry,
        )
        self.cluster_errors = Counter(
            f"{PREFIX}cluster_errors",
            "Failures of the Kubernetes API, by what it was needed for.",
            ["purpose"],
            registry=registry,
        )

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Offer a gauge whose value ``read`` returns."""
        Gauge(PREFIX + name, help_text, registry=self.registry).set_function(read)

    def decided(self, answer: Answer, seconds: float) -> None:
        """Count and log one decision, which took so long."""
        key = (answer.kind, answer.code)
        count = self._decided.get(key)
        if count is None:
            count = self._decided[key] = self._decisions.labels(*key).inc
        count()
        self._seconds.observe(seconds)
        line = DecisionLine(
            timestamp=datetime.now(UTC),
            level="info",
            event="decision",
            outcome=answer.kind,
            code=answer.code,
            namespace=answer.namespace,
            pod=answer.pod,
            uid=answer.uid,
            dry_run=answer.dry_run,
            warnings=answer.warnings,
            sentence=answer.sentence,
            duration_ms=round(seconds * 1000, 3),
        )
        self._write_line(self._encode(line))

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
