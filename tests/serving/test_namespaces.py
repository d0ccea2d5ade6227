"""A refusal that Pod Security will give is foretold, as far as the namespaces are known."""

import json
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import UnreachableError
from cluster.follow import Change, Listed, Lost, Put, Removed
from cluster.objects import Namespace, ObjectMeta
from tests.cluster.apiserver import NAMESPACES, ApiServer, drop, serving, status
from tests.serving.running import REVIEW, Process, process
from tests.waiting import PATIENCE_SECONDS, eventually
from webhook.namespaces import levels_after
from webhook.podsecurity import forbids

ENFORCE = "pod-security.kubernetes.io/enforce"
TEAM = json.loads(REVIEW)["request"]["namespace"]


def namespace(name: str, level: str | None = None) -> Namespace:
    return Namespace(ObjectMeta(name, labels={ENFORCE: level} if level else {}))


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ({}, ""),
        ({ENFORCE: "privileged"}, ""),
        ({ENFORCE: "baseline"}, "baseline"),
        ({ENFORCE: "restricted"}, "restricted"),
        ({ENFORCE: "Privileged"}, "restricted"),
        ({"pod-security.kubernetes.io/warn": "restricted"}, ""),
    ],
)
def test_what_a_level_means_for_a_privileged_pod(labels: dict[str, str], level: str) -> None:
    assert forbids(labels) == level


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (Listed((namespace("b", "restricted"), namespace("c"))), {"b": "restricted"}),
        (Put(namespace("b", "baseline")), {"a": "baseline", "b": "baseline"}),
        (Put(namespace("a", "privileged")), {}),
        (Removed(namespace("a")), {}),
        (Lost(UnreachableError("gone"), 1.0), {"a": "baseline"}),
    ],
)
def test_levels_follow_the_namespaces(change: Change[Namespace], after: dict[str, str]) -> None:
    assert levels_after({"a": "baseline"}, change) == after


def put(server: ApiServer, level: str) -> None:
    """Store the namespace of the recorded request."""
    metadata = {"name": TEAM, "labels": {ENFORCE: level}}
    server.put(f"{NAMESPACES}/{TEAM}", {"metadata": metadata})


def warnings(started: Process) -> list[str]:
    """Send the recorded request; it is answered whatever becomes of the API server."""
    line = started.find("serving")
    assert line is not None
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - not what is tested here
    connection = HTTPSConnection(
        "127.0.0.1", line["port"], timeout=PATIENCE_SECONDS, context=context
    )
    try:
        connection.request("POST", "/mutate", REVIEW, {"content-type": "application/json"})
        response: dict[str, Any] = json.loads(connection.getresponse().read())["response"]
    finally:
        connection.close()
    assert response["allowed"]
    assert "patch" in response
    return [text for text in response.get("warnings", ()) if "Pod Security" in text]


def test_a_namespace_that_will_refuse_the_pod_is_warned_of_as_it_changes(tmp_path: Path) -> None:
    with serving(ApiServer()) as server:
        put(server, "baseline")
        kubeconfig = tmp_path / "kubeconfig"
        cluster = {"name": "here", "cluster": {"server": server.url}}
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        user = {"name": "me", "user": {"token": "sesame"}}
        content = {"current-context": "here", "contexts": [context], "clusters": [cluster]}
        kubeconfig.write_text(json.dumps({**content, "users": [user]}))
        server.plan(status(500), path=NAMESPACES)
        server.plan(drop, path=NAMESPACES, watch=True)
        flags = ("--kubeconfig", str(kubeconfig), "--watch-namespaces")
        with process(tmp_path, *flags) as started:
            eventually(lambda: bool(warnings(started)))
            (said,) = warnings(started)
            assert "Pod Security baseline refuses this pod" in said
            assert f"{ENFORCE} must be privileged" in said
            assert len(said) <= 256, "the API server cuts what is longer"
            put(server, "privileged")
            eventually(lambda: not warnings(started))
            put(server, "restricted")
            eventually(lambda: bool(warnings(started)))
            server.drop_watches()
            assert warnings(started), "what was known still holds while the cluster is away"
