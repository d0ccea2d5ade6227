"""AdmissionReview in, AdmissionReview out: bytes to bytes, without HTTP, without an exception.

The format is ``admission.k8s.io/v1`` (https://kubernetes.io/docs/reference/access-authn-authz/
extensible-admission-controllers/#request).
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from webhook.decision import skip
from webhook.inject import Injection, inject, left_alone
from webhook.outcome import Code, Kind, sentence
from webhook.patch import Operation
from webhook.pod import Metadata, Part, Pod
from webhook.settings import Settings

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
_FORBIDDEN = 403
_BAD_REQUEST = 400


class Answer(NamedTuple):
    """An answer to a request, with what the log and the metrics say of it.

    Attributes:
        body: the AdmissionReview to send, JSON.
        status: the HTTP status: 200, or 400 for a body that is no AdmissionReview.
        kind: what became of the request.
        code: why.
        sentence: the same in words.
        namespace: of the pod; empty where unknown, as below.
        pod: its name, or the prefix from which its name is still to be made.
        uid: the request's.
        warnings: those sent along.
        dry_run: whether nothing will come of it.
    """

    body: bytes
    status: int
    kind: Kind
    code: Code
    sentence: str
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


class _Resource(Part, frozen=True):
    group: str = ""
    version: str = ""
    resource: str = ""


class _Request(Part, frozen=True):
    uid: str
    resource: _Resource
    operation: str
    sub_resource: str | None = None
    name: str | None = None
    namespace: str | None = None
    dry_run: bool | None = None
    object: msgspec.Raw = msgspec.Raw(b"null")


class _Review(Part, frozen=True):
    api_version: str
    kind: str
    request: _Request


class _Status(Part, frozen=True):
    code: int
    reason: str
    message: str


class _Response(Part, frozen=True):
    uid: str
    allowed: bool
    status: _Status | None = None
    patch_type: str | None = None
    patch: bytes | None = None
    warnings: tuple[str, ...] | None = None


class _ReviewResponse(Part, frozen=True, omit_defaults=False):
    response: _Response
    api_version: str = API_VERSION
    kind: str = KIND


_reviews = msgspec.json.Decoder(_Review)
_pods = msgspec.json.Decoder(Pod | None)
_encoder = msgspec.json.Encoder()


def answer(body: bytes, settings_for: Callable[[str], Settings]) -> Answer:
    """Answer the body of a ``POST /mutate``.

    Args:
        body: whatever came.
        settings_for: the settings that hold in a namespace.
    """
    try:
        review = _reviews.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _not_a_review(f"the body is no {KIND}: {error}")
    if review.kind != KIND or review.api_version != API_VERSION:
        found = f"{review.kind} of {review.api_version}"
        return _not_a_review(f"the body is a {found}; {KIND} of {API_VERSION} is understood")
    request = review.request
    subject = request.resource.resource
    if request.sub_resource:
        subject = f"{subject}/{request.sub_resource}"
    if (request.operation, request.resource.group, subject) != ("CREATE", "", "pods"):
        values = {"operation": request.operation, "resource": subject}
        return _answer(request, None, left_alone(skip(Code.NOT_A_CREATE, **values)))
    try:
        pod = _pods.decode(request.object)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _unreadable(request, f"the object is no pod: {error}")
    if pod is None:
        return _unreadable(request, "the request to create a pod brings no object")
    return _answer(request, pod, inject(pod, settings_for(request.namespace or "")))


def _answer(request: _Request, pod: Pod | None, injection: Injection) -> Answer:
    decision, warnings, operations = injection
    response = _Response(
        uid=request.uid, allowed=decision.kind is not Kind.REFUSE, warnings=warnings or None
    )
    if decision.kind is Kind.REFUSE:
        message = f"dind: {decision.code}: {decision.sentence}"
        response = _refusal(request.uid, _FORBIDDEN, "Forbidden", message, warnings)
    elif operations:
        response = _patched(request.uid, operations, warnings)
    return Answer(
        body=_encoder.encode(_ReviewResponse(response)),
        status=200,
        kind=decision.kind,
        code=decision.code,
        sentence=decision.sentence,
        namespace=request.namespace or "",
        pod=_name(request, pod),
        uid=request.uid,
        warnings=warnings,
        dry_run=bool(request.dry_run),
    )


def _patched(uid: str, operations: tuple[Operation, ...], warnings: tuple[str, ...]) -> _Response:
    return _Response(
        uid=uid,
        allowed=True,
        patch_type="JSONPatch",
        patch=_encoder.encode(operations),
        warnings=warnings or None,
    )


def _refusal(
    uid: str, code: int, reason: str, message: str, warnings: tuple[str, ...] = ()
) -> _Response:
    status = _Status(code=code, reason=reason, message=message)
    return _Response(uid=uid, allowed=False, status=status, warnings=warnings or None)


def _unreadable(request: _Request, fault: str) -> Answer:
    """Refuse a request whose pod cannot be read."""
    response = _refusal(request.uid, _BAD_REQUEST, "BadRequest", f"dind: {fault}")
    return Answer(
        body=_encoder.encode(_ReviewResponse(response)),
        status=200,
        kind=Kind.MALFORMED,
        code=Code.MALFORMED,
        sentence=sentence(Code.MALFORMED, fault=fault),
        namespace=request.namespace or "",
        pod=_name(request, None),
        uid=request.uid,
        dry_run=bool(request.dry_run),
    )


def _not_a_review(fault: str) -> Answer:
    """Answer what asks nothing; in the form of a review all the same, for whoever reads it."""
    response = _refusal("", _BAD_REQUEST, "BadRequest", f"dind: {fault}")
    return Answer(
        body=_encoder.encode(_ReviewResponse(response)),
        status=_BAD_REQUEST,
        kind=Kind.MALFORMED,
        code=Code.MALFORMED,
        sentence=sentence(Code.MALFORMED, fault=fault),
    )


def _name(request: _Request, pod: Pod | None) -> str:
    metadata = (pod and pod.metadata) or Metadata()
    return request.name or metadata.name or metadata.generate_name or ""
