"""The metrics: what is counted, and that their number is bounded."""

from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flexvol.agent.report import failed
from flexvol.agent.telemetry import CAUSES, Telemetry, scope_class
from tests.agent.make import CALL, NOON, line, report, slab
from tests.guest.machine import PROJECT


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(lambda: NOON)


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"dind_node_{name}", labels)


def count_of_series(telemetry: Telemetry) -> int:
    families = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return sum(len(family.samples) for family in families)


@pytest.mark.parametrize(
    ("outcome", "label", "result"),
    [
        ("warm", "warm", "hit"),
        ("cold", "cold", "miss"),
        ("spare", "spare", "miss"),
        ("resumed", "resumed", "again"),
        ("mounted before", "mounted_before", "again"),
        ("of a newer driver", "other", "other"),
    ],
)
def test_a_mount_is_a_hit_or_a_miss(
    telemetry: Telemetry, outcome: str, label: str, result: str
) -> None:
    telemetry.count(line("mounted", outcome=outcome, took_ms=300, **CALL))
    assert value(telemetry, "mounts_total", outcome=label, result=result) == 1
    assert value(telemetry, "mount_seconds_sum", result=result) == 0.3
    assert value(telemetry, "mount_seconds_bucket", result=result, le="0.25") == 0
    assert value(telemetry, "mount_seconds_bucket", result=result, le="0.5") == 1


def test_failures_are_counted_by_cause(telemetry: Telemetry) -> None:
    assert value(telemetry, "failures_total", call="mount", cause="no_room") == 0
    telemetry.count(line("failed", cause="no_room", **CALL))
    telemetry.count(line("failed", call="unmount", cause="made up"))
    assert value(telemetry, "failures_total", call="mount", cause="no_room") == 1
    assert value(telemetry, "failures_total", call="unmount", cause="other") == 1
    assert {"no_room", "pool", "busy", "command"} <= set(CAUSES)


def test_what_becomes_of_slabs_is_counted(telemetry: Telemetry) -> None:
    telemetry.count(line("released", slab="a", delete=False))
    telemetry.count(line("released", slab="b", delete=True))
    telemetry.count(line("settled", slab="c", delete=False))
    telemetry.count(line("reclaimed", slabs="a, c"))
    telemetry.count(line("damaged", slab="d"))
    assert value(telemetry, "releases_total", fate="kept") == 2
    assert value(telemetry, "releases_total", fate="deleted") == 1
    assert value(telemetry, "reclaimed_slabs_total") == 2
    assert value(telemetry, "damaged_slabs_total") == 1


def test_the_pool_is_told_from_the_last_report(telemetry: Telemetry) -> None:
    telemetry.reported(report(capacity_mib=1000), ready=True)
    assert value(telemetry, "pool_size_bytes") == 1000 << 20
    assert value(telemetry, "pool_free_bytes") == 3 << 20
    assert value(telemetry, "pool_reclaimable_bytes") == 2 << 20
    assert value(telemetry, "capacity_mib") == 1000
    assert value(telemetry, "ready") == 1
    telemetry.reported(failed("gone"), ready=False)
    assert value(telemetry, "ready") == 0
    assert value(telemetry, "pool_size_bytes") is None


def test_slabs_are_counted_by_state_and_kind_of_scope(telemetry: Telemetry) -> None:
    slabs = (
        slab("a", "in use"),
        slab("b"),
        slab("c", scope="namespace/ci#go"),
        slab("d", scope="namespace/qa#go"),
        slab("e", "spare", scope=""),
    )
    telemetry.reported(report(*slabs), ready=True)
    assert value(telemetry, "slabs", state="in_use", scope="namespace") == 1
    assert value(telemetry, "slabs", state="free", scope="namespace") == 1
    assert value(telemetry, "slabs", state="free", scope="namespace+key") == 2
    assert value(telemetry, "slabs", state="spare", scope="none") == 1
    assert value(telemetry, "slabs", state="busy", scope="namespace") == 0


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        ("", "none"),
        ("namespace/ci", "namespace"),
        ("namespace/ci#a/b#c", "namespace+key"),
        ("serviceaccount/ci/builder", "serviceaccount"),
        ("cluster", "cluster"),
        ("cluster#go", "cluster+key"),
    ],
)
def test_there_are_few_kinds_of_scopes(scope: str, kind: str) -> None:
    assert scope_class(scope) == kind


def test_a_thousand_scopes_make_no_more_series_than_two(telemetry: Telemetry) -> None:
    telemetry.reported(report(slab("a"), slab("b", scope="namespace/x#y")), ready=True)
    few = count_of_series(telemetry)
    many = [slab(f"s{n}", scope=f"namespace/n{n}{'#k' * (n % 2)}") for n in range(1000)]
    telemetry.reported(report(*many), ready=True)
    assert count_of_series(telemetry) == few


def test_the_caches_age_is_that_of_the_slab_to_go_next(telemetry: Telemetry) -> None:
    for number, name in enumerate("abc"):
        at = NOON - timedelta(hours=3 - number)
        telemetry.remember(line("released", time=at, slab=name, delete=False))
    in_use = slab("a", "in use", release=1)
    telemetry.reported(report(in_use, slab("b", release=2), slab("c", release=3)), ready=True)
    assert value(telemetry, "cache_age_seconds") == 2 * 3600


def test_an_age_that_nobody_knows_is_not_told(telemetry: Telemetry) -> None:
    telemetry.remember(line("released", slab="gone", delete=True))
    telemetry.reported(report(slab("a")), ready=True)
    assert value(telemetry, "cache_age_seconds") is None


def test_every_metric_is_documented(telemetry: Telemetry) -> None:
    telemetry.remember(line("released", slab="a"))
    telemetry.reported(report(slab("a")), ready=True)
    page = (PROJECT / "docs" / "node.md").read_text()
    for family in telemetry.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in page, name
