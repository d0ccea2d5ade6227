"""``/mutate`` under bodies that nobody would write: an answer below 500 to each of them."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serving.running import RECORDED, Webhook, running
from webhook.options import OPTIONS

BODIES = 1_000
SOAK_BODIES = 10_000
RECORDINGS = [path.read_bytes() for path in sorted(RECORDED.glob("*.json"))]

Json = Any

ODD: list[Json] = [
    None, True, False, 0, -1, 2**63, 1e308, "", "\x00", "\ud800", "é", "a" * 300, "true", "10Gi",
    "-1", "1e999", "/var/lib/docker", "/run/dind", "..", "dind", "dind-storage", [], {}, [[]],
    [None], {"": None}, [{}], {"name": None}, [{"name": "dind"}],
]  # fmt: skip
scalars = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
annotations = st.dictionaries(
    st.sampled_from([f"dind/{name}" for name in (*OPTIONS, "status", "nonsense")]),
    st.sampled_from([*(odd for odd in ODD if isinstance(odd, str)), "unix", "tcp", "a,b", "512Mi"])
    | st.text(max_size=30),
    max_size=4,
)


@st.composite
def odd_reviews(draw: st.DrawFn) -> bytes:
    """A recorded review with other annotations, in which a few places were changed."""
    review = json.loads(draw(st.sampled_from(RECORDINGS)))
    metadata = review["request"]["object"]["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), **draw(annotations)}
    for _ in range(draw(st.integers(0, 4))):
        _change(draw, review)
    return json.dumps(review).encode()


def _change(draw: st.DrawFn, review: Json) -> None:
    """Go down into a review to a place by chance, and change it."""
    tops = [review, _inner(review, "request"), _inner(_inner(review, "request"), "object")]
    at = draw(st.sampled_from([top for top in tops if isinstance(top, dict | list)]))
    while True:
        keys: list[Any] = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = at[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            break
        at = inner
    match draw(st.sampled_from(["replace", "delete", "wrap", "repeat"])):
        case "replace":
            at[key] = draw(values)
        case "delete":
            del at[key]
        case "wrap":
            at[key] = [at[key]]
        case "repeat":
            at[key] = [at[key]] * draw(st.integers(0, 3))


def _inner(of: Json, key: str) -> Json:
    return of.get(key) if isinstance(of, dict) else None


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A recorded review that was cut, or had bytes written over."""
    body = bytearray(draw(st.sampled_from(RECORDINGS)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(body) - 1))
        body[at : at + draw(st.integers(0, 10))] = draw(st.binary(max_size=10))
        body = body or bytearray(b"{")
    return bytes(body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body)


bodies = (
    odd_reviews() | odd_reviews() | torn() | values.map(json.dumps).map(str.encode) | st.binary()
)


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """A webhook with the built-in defaults."""
    with running(max_body_bytes=4 * 1024 * 1024) as webhook:
        yield webhook


@pytest.fixture(scope="module")
def client(webhook: Webhook) -> Iterator[httpx.Client]:
    """A client of it."""
    with webhook.client() as client:
        yield client


def check(client: httpx.Client, body: bytes) -> None:
    reply = client.post("/mutate", content=body)
    assert reply.status_code in {200, 400}
    review = reply.json()
    response = review["response"]
    assert (review["kind"], type(response["allowed"])) == ("AdmissionReview", bool)
    if not response["allowed"]:
        assert response["status"]["message"]
        assert "patch" not in response
    if reply.status_code == 200:
        asked = json.loads(body.decode(errors="replace"))["request"]
        assert response["uid"] == asked["uid"]
    if "patch" in response:
        operations = json.loads(base64.b64decode(response["patch"]))
        assert {operation["op"] for operation in operations} == {"add"}


odd = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
    database=None,
    phases=[Phase.generate],  # to shrink a body of 10 KB takes minutes and tells no more
)


@settings(odd, max_examples=BODIES)
@given(body=bodies)
def test_no_body_is_an_error_of_ours(client: httpx.Client, body: bytes) -> None:
    check(client, body)


@pytest.mark.soak
@settings(odd, max_examples=SOAK_BODIES)
@given(body=bodies)
def test_no_body_of_very_many_is_an_error_of_ours(client: httpx.Client, body: bytes) -> None:
    check(client, body)
