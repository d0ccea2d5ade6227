"""The agent's metrics. Their names are an interface: docs/node.md lists them.

What happened is counted from the driver's log; what is there is told from its last report, whenever
somebody asks.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flexvol import errors
from flexvol.agent.report import FREE, GENERATION, Report, Slab
from flexvol.agent.tail import Line
from flexvol.callout import read_scope
from flexvol.plan import CLONED, COLD, FROM_SPARE, MOUNTED_BEFORE, RESUMED, WARM
from flexvol.survey import STATES

PREFIX = "dind_node_"
RESULTS = {
    WARM: "hit",
    CLONED: "hit",
    FROM_SPARE: "miss",
    COLD: "miss",
    RESUMED: "again",
    MOUNTED_BEFORE: "again",
}
"""What a mount's outcome is to the hit ratio: ``again`` is a pod that gets its own slab back."""

CAUSES = tuple(
    sorted(
        error.cause
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.SlabError)
    )
)
OTHER = "other"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Telemetry:
    """Counts what the driver's log tells, and offers the last report.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the package left it untyped
        self.registry = registry = CollectorRegistry()
        self._state = _State(clock)
        registry.register(self._state)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=registry)

        self._mounts = counter("mounts", "Slabs mounted.", "outcome", "result")
        for outcome, result in RESULTS.items():  # there from the start: rates need a zero
            self._mounts.labels(_word(outcome), result)
        self._seconds = Histogram(
            f"{PREFIX}mount_seconds",
            "From a mount call to its answer, where a slab was mounted.",
            ["result"],
            buckets=SECONDS,
            registry=registry,
        )
        self._failures = counter("failures", "Calls of the kubelet's that failed.", "call", "cause")
        for call in ("mount", "unmount"):
            for cause in CAUSES:
                self._failures.labels(call, cause)
        self._releases = counter("releases", "Slabs given back, by what became of them.", "fate")
        for fate in ("kept", "deleted"):
            self._releases.labels(fate)
        self._reclaimed = counter("reclaimed_slabs", "Slabs removed to make room for others.")
        self._damaged = counter("damaged_slabs", "Slabs whose file system failed its check.")
        self._reconciles = counter("reconciles", "Rounds of putting right.", "result")
        for result in ("ok", "failed"):
            self._reconciles.labels(result)
        self._last_reconcile = Gauge(
            f"{PREFIX}last_reconcile_timestamp_seconds",
            "When the last round ended, whether all went well or not.",
            registry=registry,
        )
        self.settings_faulty = Gauge(
            f"{PREFIX}settings_faulty",
            "Whether the node's settings cannot be carried out; the last good ones hold.",
            registry=registry,
        )
        self.cluster_errors = counter(
            "cluster_errors",
            "Failures of the Kubernetes API, by what it was needed for.",
            "purpose",
        )
        self.events = counter("events", "Events, by what became of them.", "fate")
        for fate in ("made", "dropped"):
            self.events.labels(fate)

    def reported(self, report: Report, *, ready: bool) -> None:
        """Take the last report, and whether pods with slabs may come."""
        self._state.report, self._state.ready = report, ready
        names = {slab.name for slab in report.slabs}
        if report.error is None:
            released = self._state.released_at
            self._state.released_at = {n: at for n, at in released.items() if n in names}

    def reconciled(self, at: datetime, *, well: bool) -> None:
        """Count a round of putting right."""
        self._reconciles.labels("ok" if well else "failed").inc()
        self._last_reconcile.set(at.timestamp())

    def remember(self, line: Line) -> None:
        """Take what a line tells of now, be it news or not."""
        if line.event in ("released", "settled") and not line.delete:
            self._state.released_at[line.slab] = line.time

    def count(self, line: Line) -> None:
        """Count what a line tells, which is news."""
        match line.event:
            case "mounted":
                result = RESULTS.get(line.outcome, OTHER)
                outcome = _word(line.outcome) if line.outcome in RESULTS else OTHER
                self._mounts.labels(outcome, result).inc()
                if line.took_ms is not None:
                    self._seconds.labels(result).observe(line.took_ms / 1000)
            case "failed":
                cause = line.cause if line.cause in CAUSES else OTHER
                call = line.call if line.call in ("mount", "unmount") else OTHER
                self._failures.labels(call, cause).inc()
            case "released" | "settled":
                self._releases.labels("deleted" if line.delete else "kept").inc()
            case "reclaimed":
                self._reclaimed.inc(line.slabs.count(",") + 1)
            case "damaged":
                self._damaged.inc()


def _word(outcome: str) -> str:
    return outcome.replace(" ", "_")


def scope_class(scope: str) -> str:
    """Return what kind of scope it is: there may be thousands of scopes, there are few kinds."""
    if not scope:
        return "none"
    kind, _, cache_key = read_scope(scope)
    return f"{kind}+key" if cache_key else kind


class _State(Collector):
    """What is there, as of the last report."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.report = Report()
        self.ready = False
        self.released_at: dict[str, datetime] = {}

    def describe(self) -> Iterator[Metric]:
        """Say nothing beforehand: what there is to tell changes."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        report = self.report
        yield _gauge("ready", "Whether pods with slabs may come to the node.", self.ready)
        pool = report.pool
        if pool is None:
            return
        yield _gauge("pool_size_bytes", "The part of the volume group for slabs.", pool.size_bytes)
        yield _gauge("pool_free_bytes", "In no volume.", pool.free_bytes)
        text = "In slabs that may be removed to make room."
        yield _gauge("pool_reclaimable_bytes", text, pool.reclaimable_bytes)
        text = "How much may be asked for in slabs: what the node's dind/slab-mib says."
        yield _gauge("capacity_mib", text, pool.capacity_mib)
        for kind, percent in (("data", pool.data_percent), ("metadata", pool.metadata_percent)):
            if percent is not None:
                text = f"How much of the thin pool's {kind} is in use."
                yield _gauge(f"thin_pool_{kind}_ratio", text, percent / 100)
        yield _slabs(report.slabs)
        age = self._age(report.slabs)
        if age is not None:
            text = "How long ago the free slab was released that is the next to be reclaimed."
            yield _gauge("cache_age_seconds", text, age.total_seconds())

    def _age(self, slabs: tuple[Slab, ...]) -> timedelta | None:
        kept = [slab for slab in slabs if slab.state in (FREE, GENERATION)]
        free = [slab for slab in kept if slab.name in self.released_at]
        if not free:
            return None
        oldest = min(free, key=lambda slab: slab.release)
        return self._clock() - self.released_at[oldest.name]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _slabs(slabs: tuple[Slab, ...]) -> Metric:
    found = GaugeMetricFamily(
        f"{PREFIX}slabs", "Slabs, by state and kind of scope.", labels=["state", "scope"]
    )
    there = Tally((_word(slab.state), scope_class(slab.scope)) for slab in slabs)
    kinds = sorted({kind for _, kind in there})
    for state in map(_word, STATES):
        for kind in kinds or ["none"]:
            found.add_metric([state, kind], there[state, kind])
    return found
