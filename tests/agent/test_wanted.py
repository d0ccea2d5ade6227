"""What the cluster should know of a node, and what has to change for it."""

import pytest

from cluster.objects import Node, NodeStatus, ObjectMeta
from flexvol.agent.changes import capacity_changes, label_changes, removals
from flexvol.agent.report import failed
from flexvol.agent.wanted import MOST_WARM, NOT_READY, Wanted, wanted
from flexvol.contract import DRIVER_LABEL, SLAB_RESOURCE, SlabOptions, warm_label
from tests.agent.make import report, slab
from tests.webhook.pods import injected, labelled, settings

SLABS = settings({"slab-resource": "true"})


def node(labels: dict[str, str], slab_mib: str | None = None) -> Node:
    capacity = {"cpu": "4"} | ({} if slab_mib is None else {SLAB_RESOURCE: slab_mib})
    return Node(ObjectMeta(name="node-1", labels=labels), NodeStatus(capacity))


def label(cache_key: str = "", size_mib: int = 1024) -> str:
    return warm_label("ci", SlabOptions(size_mib, cache_key, "docker-29"))


def test_a_pool_in_order_is_told_of() -> None:
    assert wanted(report(slab("a"), capacity_mib=10240)) == Wanted(
        ready=True, capacity_mib=10240, warm=frozenset({label()})
    )


def test_a_report_without_a_pool_makes_no_ready_node() -> None:
    assert wanted(failed("no driver")) == NOT_READY


def test_a_pod_prefers_the_label_of_a_slab_that_fits_it() -> None:
    """The webhook's half and the agent's meet in one name."""
    pod = labelled({"dind/storage-size": "1Gi", "dind/cache-key": "go"})
    pod["metadata"]["namespace"] = "ci"
    affinity = injected(pod, SLABS)["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    key = term["preference"]["matchExpressions"][0]["key"]
    assert wanted(report(slab("a", scope="namespace/ci#go"))).warm == {key}


@pytest.mark.parametrize(
    "cold",
    [
        slab("a", "in use"),
        slab("a", "unclean"),
        slab("a", "spare", scope=""),
        slab("a", anonymous=True),
        slab("a", scope="cluster#go"),
    ],
)
def test_only_what_is_free_and_one_namespaces_is_warm(cold: dict[str, object]) -> None:
    assert wanted(report(cold)).warm == frozenset()


def test_slabs_of_a_service_account_count_for_its_namespace() -> None:
    assert wanted(report(slab("a", scope="serviceaccount/ci/builder"))).warm == {label()}


def test_of_many_the_most_recently_released_are_shown() -> None:
    slabs = [slab(f"s{n}", scope=f"namespace/ci#k{n}", release=n) for n in range(200)]
    shown = wanted(report(*slabs)).warm
    assert shown == {label(f"k{n}") for n in range(200 - MOST_WARM, 200)}


def test_labels_that_are_right_are_not_sent() -> None:
    wish = wanted(report(slab("a")))
    before = node({"zone": "a", "dind.warm/old": "true", DRIVER_LABEL: "broken"})
    assert label_changes(before, wish) == {
        "dind.warm/old": None,
        DRIVER_LABEL: "ready",
        label(): "true",
    }
    assert label_changes(node({DRIVER_LABEL: "ready", label(): "true"}), wish) == {}


def test_a_node_that_is_not_ready_loses_its_labels_and_keeps_its_capacity() -> None:
    before = node({"zone": "a", DRIVER_LABEL: "ready", label(): "true"}, slab_mib="10k")
    assert label_changes(before, NOT_READY) == {DRIVER_LABEL: None, label(): None}
    assert capacity_changes(before, NOT_READY) == {}


@pytest.mark.parametrize(
    ("there", "sent"),
    [
        (None, {SLAB_RESOURCE: "10000"}),
        ("0", {SLAB_RESOURCE: "10000"}),
        ("9996", {SLAB_RESOURCE: "10000"}),
        ("10000", {}),
        ("10k", {}),
    ],
)
def test_a_capacity_is_sent_if_it_is_another_number(
    there: str | None, sent: dict[str, str]
) -> None:
    wish = Wanted(ready=True, capacity_mib=10000)
    assert capacity_changes(node({}, there), wish) == sent


def test_all_that_is_ours_can_be_taken_away() -> None:
    before = node({"zone": "a", DRIVER_LABEL: "ready", label(): "true"}, slab_mib="8")
    assert removals(before) == ({DRIVER_LABEL: None, label(): None}, {SLAB_RESOURCE: None})
    assert removals(node({"zone": "a"})) == ({}, {})
