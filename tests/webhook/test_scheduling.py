"""A pod with a slab goes to nodes whose driver is ready, and otherwise where it wanted to go."""

from typing import Any

import pytest

from flexvol.contract import SlabOptions, warm_label
from tests.webhook.pods import Json, injected, labelled, settings

SLABS = settings({"slab-resource": "true"})
READY = {"key": "dind/driver", "operator": "In", "values": ["ready"]}
DISK = {"key": "disk", "operator": "Exists"}
NODE = {"key": "metadata.name", "operator": "In", "values": ["node-1"]}


def required(terms: list[Json]) -> Json:
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }
    }


@pytest.mark.parametrize(
    ("affinity", "after"),
    [
        (None, required([{"matchExpressions": [READY]}])),
        ({}, required([{"matchExpressions": [READY]}])),
        ({"nodeAffinity": {}}, required([{"matchExpressions": [READY]}])),
        (
            {"podAffinity": {"x": 1}},
            {"podAffinity": {"x": 1}} | required([{"matchExpressions": [READY]}]),
        ),
        (
            required([{"matchExpressions": [DISK]}, {"matchFields": [NODE]}]),
            required(
                [
                    {"matchExpressions": [DISK, READY]},
                    {"matchFields": [NODE], "matchExpressions": [READY]},
                ]
            ),
        ),
        # A term that asks for nothing matches no node; asking for more must not make it match.
        (required([{}]), required([{}])),
        (required([{"matchExpressions": []}]), required([{"matchExpressions": []}])),
        (required([{"matchExpressions": [READY]}]), required([{"matchExpressions": [READY]}])),
    ],
)
def test_every_alternative_requires_a_ready_driver(affinity: Any, after: Json) -> None:  # noqa: ANN401 - JSON
    given = labelled() if affinity is None else labelled(affinity=affinity)
    assert injected(given, SLABS)["spec"]["affinity"] == after


def preferred(pod: Json) -> list[Json]:
    node_affinity = pod["spec"]["affinity"]["nodeAffinity"]
    return node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []


def in_namespace(namespace: str, annotations: dict[str, str] | None = None, **spec: object) -> Json:
    pod = labelled(annotations, **spec)
    pod["metadata"]["namespace"] = namespace
    return pod


def warm_key(namespace: str, annotations: dict[str, str] | None = None) -> str:
    """Return the label that a pod prefers."""
    (term,) = preferred(injected(in_namespace(namespace, annotations), SLABS))
    (expression,) = term["preference"]["matchExpressions"]
    assert expression["operator"] == "Exists"
    key: str = expression["key"]
    return key


def test_a_node_is_preferred_that_has_exactly_what_the_pod_asks_for() -> None:
    slab = SlabOptions(size_mib=20480, cache_key="go", graph_format="docker-29")
    asked = {"dind/storage-size": "20Gi", "dind/cache-key": "go"}
    assert warm_key("ci", asked) == warm_label("ci", slab)


@pytest.mark.parametrize(
    ("namespace", "annotations"),
    [
        ("qa", {}),
        ("ci", {"dind/cache-key": "go"}),
        ("ci", {"dind/storage-size": "20Gi"}),
        ("ci", {"dind/image": "docker:28-dind"}),
    ],
)
def test_what_could_not_share_a_slab_prefers_another_label(
    namespace: str, annotations: dict[str, str]
) -> None:
    assert warm_key(namespace, annotations) != warm_key("ci")


def test_a_pods_own_preferences_stay_and_come_first() -> None:
    own = {"weight": 1, "preference": {"matchExpressions": [DISK]}}
    node_affinity = {"preferredDuringSchedulingIgnoredDuringExecution": [own]}
    pod = in_namespace("ci", affinity={"nodeAffinity": node_affinity})
    first, second = preferred(injected(pod, SLABS))
    assert first == own
    assert second["preference"]["matchExpressions"][0]["key"] == warm_key("ci")


def test_nothing_is_preferred_where_the_namespace_is_not_known() -> None:
    assert preferred(injected(labelled(), SLABS)) == []


def test_affinity_stays_as_it_is_where_slabs_are_not_a_resource() -> None:
    assert "affinity" not in injected(labelled())["spec"]
