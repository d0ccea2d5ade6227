"""What the daemon requests and where it is limited."""

from typing import Any

import msgspec
import pytest

from tests.webhook.pods import (
    BUILT_IN,
    Json,
    as_stored,
    daemon_of,
    injected,
    injection,
    labelled,
    settings,
)
from webhook.pod import Pod
from webhook.resources import is_guaranteed
from webhook.settings import Settings

SLABS = settings({"slab-resource": "true"})
ONE = {"cpu": "1", "memory": "1Gi"}


def resources_of(pod: Json, under: Settings = BUILT_IN) -> Any:  # noqa: ANN401 - JSON
    return daemon_of(injected(pod, under))["resources"]


def pod(resources: Json, annotations: dict[str, str] | None = None, **spec: object) -> Json:
    container = {"name": "c", "image": "a", "resources": resources}
    return labelled(annotations, containers=[container], **spec)


def guaranteed(pod: Json) -> bool:
    return is_guaranteed(msgspec.convert(pod, Pod).spec)


def test_requests_are_always_set_and_limits_only_where_asked() -> None:
    assert resources_of(labelled()) == {"requests": {"cpu": "100m", "memory": "512Mi"}}
    asked = labelled({"dind/cpu": "2", "dind/memory": "4Gi", "dind/memory-limit": "8Gi"})
    assert resources_of(asked) == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"memory": "8Gi"},
    }


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, False),
        ({"requests": ONE}, False),
        ({"limits": {"cpu": "1"}}, False),
        ({"limits": ONE}, True),
        ({"requests": ONE, "limits": ONE}, True),
        ({"requests": {"cpu": 1, "memory": "1024Mi"}, "limits": ONE}, True),
        ({"requests": {"cpu": "1"}, "limits": ONE}, True),
        ({"requests": {"cpu": "500m"}, "limits": ONE}, False),
        ({"requests": ONE, "limits": {"cpu": "0", "memory": "1Gi"}}, False),
        ({"requests": ONE, "limits": {"cpu": "x", "memory": "1Gi"}}, False),
    ],
)
def test_a_pod_is_guaranteed_as_kubernetes_counts(resources: Json, quality: bool) -> None:  # noqa: FBT001 - a table
    assert guaranteed(pod(resources)) is quality


def test_init_containers_count_too() -> None:
    without = {"name": "i", "image": "a"}
    assert not guaranteed(pod({"limits": ONE}, initContainers=[without]))
    assert guaranteed(
        pod({"limits": ONE}, initContainers=[without | {"resources": {"limits": ONE}}])
    )


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"dind/cpu": "2"},
        {"dind/cpu-limit": "2"},
        {"dind/cpu": "1", "dind/cpu-limit": "4", "dind/memory-limit": "4Gi"},
    ],
)
@pytest.mark.parametrize("under", [BUILT_IN, SLABS, settings({"sidecar": "container"})])
def test_a_guaranteed_pod_stays_guaranteed(annotations: dict[str, str], under: Settings) -> None:
    result = injected(pod({"requests": ONE, "limits": ONE}, annotations), under)
    assert guaranteed(result)
    assert guaranteed(as_stored(result))


def test_in_a_guaranteed_pod_a_limit_that_is_asked_for_is_the_request_too() -> None:
    given = pod({"limits": ONE}, {"dind/cpu-limit": "4", "dind/memory-limit": "8Gi"})
    assert resources_of(given) == {
        "requests": {"cpu": "4", "memory": "8Gi"},
        "limits": {"cpu": "4", "memory": "8Gi"},
    }
    assert injection(given).warnings == ()


def test_a_guaranteed_pod_is_told_of_limits_that_it_did_not_ask_for() -> None:
    (warning,) = injection(pod({"limits": ONE}, {"dind/cpu-limit": "4"})).warnings
    assert warning == (
        "dind: the pod is Guaranteed, so its daemon is limited to 512Mi memory; "
        "set dind/memory-limit for more"
    )


def test_a_guaranteed_pod_is_told_of_a_request_that_its_limit_raised() -> None:
    asked = {"dind/cpu": "1", "dind/cpu-limit": "4", "dind/memory": "1Gi"}
    given = pod({"limits": ONE}, asked | {"dind/memory-limit": "1024Mi"})
    (warning,) = injection(given).warnings
    assert warning == "dind: the pod is Guaranteed, so its daemon requests its limits: 4 cpu"


def test_in_a_pod_with_resources_of_its_own_the_daemon_brings_none() -> None:
    given = labelled(resources={"requests": ONE, "limits": ONE})
    assert resources_of(given) == {}
    assert injection(given).warnings == ()


def test_annotations_that_have_no_effect_in_such_a_pod_are_warned_of() -> None:
    given = labelled({"dind/cpu": "2", "dind/memory-limit": "1Gi"}, resources={"requests": ONE})
    assert resources_of(given) == {}
    (warning,) = injection(given).warnings
    assert warning.startswith("dind: dind/cpu, dind/memory-limit: no effect")


def test_a_slab_counts_as_a_resource_of_the_node() -> None:
    assert resources_of(labelled({"dind/storage-size": "20Gi"}), SLABS) == {
        "requests": {"cpu": "100m", "memory": "512Mi", "dind/slab-mib": "20480"},
        "limits": {"dind/slab-mib": "20480"},
    }
    assert resources_of(labelled(resources={"requests": ONE}), SLABS) == {
        "requests": {"dind/slab-mib": "10240"},
        "limits": {"dind/slab-mib": "10240"},
    }


def test_an_empty_dir_does_not() -> None:
    result = injected(labelled({"dind/storage": "emptyDir"}), SLABS)
    assert "dind/slab-mib" not in str(result)
    assert "affinity" not in result["spec"]


def test_a_request_that_is_enforced_gives_way_to_no_limit_of_a_pod() -> None:
    under = settings({"cpu": "500m", "enforce": "cpu"})
    refused = injection(labelled({"dind/cpu-limit": "250m"}), under)
    assert refused.decision.code == "bad_annotation"
    assert "dind/cpu-limit" in refused.decision.sentence
    given = pod({"limits": ONE}, {"dind/cpu-limit": "4", "dind/memory-limit": "1Gi"})
    assert resources_of(given, under)["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert resources_of(given, under)["limits"] == {"cpu": "500m", "memory": "1Gi"}
