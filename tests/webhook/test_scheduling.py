"""A pod with a slab goes to nodes whose driver is ready, and otherwise where it wanted to go."""

from typing import Any

import pytest

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


def test_affinity_stays_as_it_is_where_slabs_are_not_a_resource() -> None:
    assert "affinity" not in injected(labelled())["spec"]
