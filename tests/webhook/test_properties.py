"""What holds for every pod: the patch only adds, and only what is ours, and the pod stays valid."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import HealthCheck, event, given
from hypothesis import settings as hypothesis_settings

from tests.webhook.generated import CLUSTER, chosen, pods
from tests.webhook.pods import (
    Json,
    as_stored,
    daemon_of,
    env_of,
    injection,
    operations,
    settings,
)
from tests.webhook.schemas import NEWEST, OLDEST, pod_validator, releases
from webhook import quantity
from webhook.outcome import MAX_WARNING, Code, Kind
from webhook.pod import Pod
from webhook.resources import is_guaranteed

CONTAINER = r"/spec/(initContainers|containers)/\d+"
SOCKET_MOUNT = r'\{"name": "dind-socket", "mountPath": "/run/dind"\}'
OURS = {
    r"/metadata/annotations": r'\{"dind/status": .*\}',
    r"/metadata/annotations/dind/status": r'".*size_mb.*"',
    rf"{CONTAINER}/env(/\d+)?": r'\[?\{"name": "DOCKER_HOST", "value": "[^"]*"\}\]?',
    rf"{CONTAINER}/volumeMounts(/\d+)?": rf"\[?{SOCKET_MOUNT}\]?",
    r"/spec/volumes": r'\[(\{"name": "dind-[^\[\]]*\}(, )?)+\]',
    r"/spec/volumes/\d+": r'\{"name": "dind-.*',
    r"/spec/imagePullSecrets(/\d+)?": r'\[?\{"name": "pull"\}\]?',
    r"/spec/securityContext": r'\{"supplementalGroups": \[2375\]\}',
    r"/spec/securityContext/supplementalGroups(/\d+)?": r"\[?2375\]?",
    r"/spec/affinity(/.*)?": r'.*"key": "dind/.*',
    r"/spec/initContainers(/0)?": r'\[?\{"name": "dind", "image": .*',
    r"/spec/containers/\d+": r'\{"name": "dind", "image": .*',
}
"""Where the patch may add, and what: patterns of the path, and of the value as JSON."""


def is_ours(path: str, value: object) -> bool:
    text = json.dumps(value)
    return any(re.fullmatch(at, path) and re.fullmatch(what, text) for at, what in OURS.items())


def additions(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield what ``after`` has on top of ``before``; all of ``before`` must be in it, in order.

    Lists grow at their ends, that of the init containers at its beginning.
    """
    assert type(before) is type(after), path
    if isinstance(before, dict):
        assert list(before) == [key for key in after if key in before], path
        for key, value in after.items():
            if key in before:
                yield from additions(before[key], value, f"{path}/{key}")
            else:
                yield f"{path}/{key}", value
    elif isinstance(before, list):
        more = len(after) - len(before)
        start = more if path == "/spec/initContainers" else 0
        for index, value in enumerate(after):
            if start <= index < start + len(before):
                yield from additions(before[index - start], value, f"{path}/{index - start}")
            else:
                yield f"{path}/{index}", value
    elif path != "/metadata/annotations/dind/status":
        assert before == after, path


def assert_accepted(pod: Json) -> None:
    """Check what the API server checks beyond its schema (``pkg/apis/core/validation``)."""
    spec = pod["spec"]
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    volumes = [volume["name"] for volume in spec.get("volumes", ())]
    assert len({each["name"] for each in containers}) == len(containers)
    assert len(set(volumes)) == len(volumes)
    for container in containers:
        mounts = container.get("volumeMounts", [])
        assert {mount["name"] for mount in mounts} <= set(volumes)
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        assert not any(":" in mount["mountPath"] for mount in mounts)
    daemon = daemon_of(pod)
    assert len(env_of(daemon)) == len(daemon["env"])
    requests, limits = (daemon["resources"].get(key, {}) for key in ("requests", "limits"))
    for resource in limits:
        assert quantity.parse(requests[resource]) <= quantity.parse(limits[resource])
    assert (
        "startupProbe" not in daemon
        or daemon in spec["containers"]
        or (daemon["restartPolicy"] == "Always")
    )


def quality(pod: Json) -> bool:
    return is_guaranteed(msgspec.convert(pod, Pod).spec)


def check(pod: Json, cluster: Json, versions: list[str]) -> None:
    """Check all that must hold for one pod under one cluster's defaults."""
    under = settings(cluster)
    untouched = copy.deepcopy(pod)
    result = injection(pod, under)
    event(f"{result.decision.kind} {result.decision.code}")
    assert pod == untouched
    assert all(len(warning) <= MAX_WARNING for warning in result.warnings)
    if result.decision.kind is not Kind.INJECT:
        assert result.operations == ()
        return

    patch = operations(result)
    assert {operation["op"] for operation in patch} == {"add"}
    after = jsonpatch.apply_patch(pod, patch)
    for path, value in additions(pod, after):
        assert is_ours(path, value), (path, value)
    assert_accepted(after)
    assert quality(after) == quality(pod)
    for version in versions:
        pod_validator(version).validate(after)
    for known in (after, as_stored(after)):
        again = injection(known, under)
        assert (again.decision.code, again.warnings) == (Code.ALREADY_INJECTED, ())


@given(pods(), chosen(CLUSTER))
@hypothesis_settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_pod_only_gains_what_is_ours_and_stays_valid(pod: Json, cluster: Json) -> None:
    check(pod, cluster, [OLDEST, NEWEST])


@pytest.mark.soak
@pytest.mark.timeout(7200)
@given(pods(), chosen(CLUSTER))
@hypothesis_settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_hundred_thousand_pods_only_gain_what_is_ours(pod: Json, cluster: Json) -> None:
    check(pod, cluster, releases())
