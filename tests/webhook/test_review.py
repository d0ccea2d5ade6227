"""AdmissionReview in, AdmissionReview out: recorded requests, and whatever else may come."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhook.pods import BUILT_IN, Json, labelled, settings
from tests.webhook.schemas import pod_validator, releases
from webhook.outcome import Code, Kind
from webhook.review import Answer, answer
from webhook.settings import Settings

RECORDED = Path(__file__).parent.parent / "admission"
OUTCOMES = {
    "argo-step.create.json": "inject injected",
    "bad-size.create.json": "refuse bad_annotation",
    "deployment.create.json": "inject injected",
    "github-runner.create.json": "inject injected",
    "gitlab-runner.create.json": "inject injected",
    "host-network.create.json": "refuse host_network",
    "jenkins-agent.create.dryrun.json": "inject injected",
    "jenkins-agent.create.json": "inject injected",
    "job.create.json": "inject injected",
    "seed-sample.create.json": "skip has_daemon",
    "seed-sample.update.json": "skip not_a_create",
    "tekton-taskrun.create.json": "inject injected",
}


def asked(body: bytes | Json, under: Settings = BUILT_IN) -> Answer:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(sent, lambda _: under)


def response_of(given: Answer) -> Json:
    review: Json = json.loads(given.body)
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert review.keys() == {"apiVersion", "kind", "response"}
    response: Json = review["response"]
    assert isinstance(response["uid"], str)
    assert isinstance(response["allowed"], bool)
    return response


def review(pod: object, **request: object) -> Json:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "ci",
            "object": pod,
        }
        | request,
    }


def test_every_recorded_request_has_its_outcome() -> None:
    assert {path.name for path in RECORDED.iterdir()} == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_recorded_request_is_answered_rightly(name: str) -> None:
    request = json.loads((RECORDED / name).read_bytes())["request"]
    given = asked((RECORDED / name).read_bytes())
    response = response_of(given)
    assert f"{given.kind} {given.code}" == OUTCOMES[name]
    assert given.status == 200
    assert response["uid"] == request["uid"] == given.uid
    assert given.namespace == request["namespace"] == "default"
    assert given.pod == (request.get("name") or request["object"]["metadata"]["generateName"])
    assert given.dry_run is request["dryRun"]
    assert tuple(response.get("warnings", ())) == given.warnings
    if given.kind is Kind.INJECT:
        assert response.keys() - {"warnings"} == {"uid", "allowed", "patchType", "patch"}
        assert response["patchType"] == "JSONPatch"
        pod = jsonpatch.apply_patch(request["object"], base64.b64decode(response["patch"]))
        for release in releases():
            pod_validator(release).validate(pod)
    elif given.kind is Kind.SKIP:
        assert response["allowed"] is True
        assert "patch" not in response
    else:
        assert response["allowed"] is False
        assert response["status"]["code"] == 403
        assert response["status"]["reason"] == "Forbidden"
        assert response["status"]["message"] == f"dind: {given.code}: {given.sentence}"


def test_settings_are_those_of_the_pods_namespace() -> None:
    body = json.dumps(review(labelled())).encode()
    by_namespace = {"ci": settings({"storage-size": "20Gi"})}
    given = answer(body, lambda namespace: by_namespace[namespace])
    assert b"20480" in base64.b64decode(response_of(given)["patch"])


def test_a_dry_run_is_answered_as_any_other() -> None:
    real, dry = (asked(review(labelled(), dryRun=dry)) for dry in (False, True))
    assert real.body == dry.body
    assert (real.dry_run, dry.dry_run) == (False, True)


def test_what_has_been_injected_is_answered_with_nothing() -> None:
    first = response_of(asked(review(labelled())))
    pod = jsonpatch.apply_patch(labelled(), base64.b64decode(first["patch"]))
    assert response_of(asked(review(pod))) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"operation": "UPDATE"}, "UPDATE of pods"),
        ({"operation": "DELETE", "object": None}, "DELETE of pods"),
        ({"subResource": "ephemeralcontainers"}, "CREATE of pods/ephemeralcontainers"),
        ({"subResource": "binding"}, "CREATE of pods/binding"),
        (
            {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
            "CREATE of deployments",
        ),
        (
            {"resource": {"group": "metrics.k8s.io", "version": "v1", "resource": "pods"}},
            "CREATE of pods",
        ),
    ],
)
def test_anything_but_the_creation_of_a_pod_is_let_pass(change: Json, subject: str) -> None:
    given = asked(review({"spec": "of another kind"}, **change))
    assert (given.kind, given.code) == (Kind.SKIP, Code.NOT_A_CREATE)
    assert response_of(given)["allowed"] is True
    assert subject in given.sentence


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}',
        json.dumps(review(labelled(), uid=7)).encode(),
        json.dumps(review(labelled(), uid=None)).encode(),
        json.dumps(review(labelled()) | {"apiVersion": "admission.k8s.io/v1beta1"}).encode(),
        json.dumps(review(labelled()) | {"kind": "Pod"}).encode(),
        json.dumps(review(labelled()))[:-20].encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_review_is_a_bad_request_in_the_form_of_a_review(body: bytes) -> None:
    given = asked(body)
    response = response_of(given)
    assert given.status == 400
    assert (given.kind, given.code) == (Kind.MALFORMED, Code.MALFORMED)
    assert response["allowed"] is False
    assert response["status"]["code"] == 400
    assert "AdmissionReview" in response["status"]["message"]


@pytest.mark.parametrize(
    "pod",
    [
        None,
        7,
        [],
        "pod",
        {"metadata": {"labels": {"dind": True}}},
        {"metadata": [], "spec": {}},
        {"metadata": {"labels": {"dind": "true"}}},
        {"metadata": {"labels": {"dind": "true"}}, "spec": None},
        {"spec": {"containers": {}}},
        {"spec": {"containers": [None]}},
        {"spec": {"containers": [{"env": [{"name": 7}]}]}},
        {"spec": {"terminationGracePeriodSeconds": 1.5}},
    ],
)
def test_a_pod_that_cannot_be_read_is_refused(pod: object) -> None:
    given = asked(review(pod))
    response = response_of(given)
    assert (given.status, given.kind) == (200, Kind.MALFORMED)
    assert (given.uid, given.namespace) == ("u-1", "ci")
    assert response["uid"] == "u-1"
    assert response["allowed"] is False
    assert response["status"]["code"] == 400
    assert response["status"]["message"].startswith("dind: the ")


@pytest.mark.parametrize(
    "pod",
    [
        {"metadata": {"labels": {"dind": "true"}, "annotations": None}, "spec": {}},
        labelled(containers=None, volumes=None, initContainers=None, securityContext=None),
        labelled(containers=[]),
    ],
)
def test_a_pod_with_next_to_nothing_in_it_is_no_failure(pod: Json) -> None:
    given = asked(review(pod))
    assert (given.status, given.kind) == (200, Kind.INJECT)
    patched = jsonpatch.apply_patch(pod, base64.b64decode(response_of(given)["patch"]))
    assert patched["spec"]["initContainers"][0]["name"] == "dind"


texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, child in items:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found.extend(paths_of(child, (*path, key)))
    return found


TEMPLATE = json.loads((RECORDED / "tekton-taskrun.create.json").read_bytes())
PATHS = [path for path in paths_of(TEMPLATE) if "managedFields" not in path]


@given(st.lists(st.tuples(st.sampled_from(PATHS), json_values), min_size=1, max_size=3))
def test_a_request_with_anything_in_any_place_is_answered(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    body = copy.deepcopy(TEMPLATE)
    for path, value in changes:
        node = body
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    given_ = asked(body)
    response = response_of(given_)
    assert given_.status in {200, 400}
    if "patch" in response:
        jsonpatch.apply_patch(body["request"]["object"], base64.b64decode(response["patch"]))


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body: bytes) -> None:
    assert response_of(asked(body))["allowed"] is False


def test_half_a_surrogate_pair_is_no_failure() -> None:
    text = json.dumps(review(labelled({"dind/cpu": "SURROGATE"})))
    given = asked(text.replace("SURROGATE", "\\ud800").encode())
    assert response_of(given)["allowed"] is False
