"""Every outcome of an admission: its stable code and its sentence, in one place.

The code goes into the log, the metrics and the response; the sentence to whoever made the pod.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What became of a request."""

    INJECT = "inject"
    SKIP = "skip"
    REFUSE = "refuse"
    MALFORMED = "malformed"


class Code(StrEnum):
    """Why it became of it."""

    INJECTED = "injected"
    RESTORED = "restored"

    NOT_LABELLED = "not_labelled"
    OPTED_OUT = "opted_out"
    ALREADY_INJECTED = "already_injected"
    HAS_DAEMON = "has_daemon"
    MIRROR_POD = "mirror_pod"
    NOT_A_CREATE = "not_a_create"

    HOST_NETWORK = "host_network"
    HOST_PID = "host_pid"
    USER_NAMESPACE = "user_namespace"
    NOT_LINUX = "not_linux"
    BAD_ANNOTATION = "bad_annotation"
    OVER_LIMIT = "over_limit"
    IMAGE_NOT_ALLOWED = "image_not_allowed"
    ENFORCED = "enforced"
    NAME_TAKEN = "name_taken"
    PATH_TAKEN = "path_taken"
    SIZE_TOO_SMALL = "size_too_small"

    MALFORMED = "malformed"


SENTENCES = {
    Code.INJECTED: "the pod gets a Docker daemon",
    Code.RESTORED: "the pod's Docker daemon gets back the restartPolicy that it lost",
    Code.NOT_LABELLED: 'the pod has no label dind: "true"',
    Code.OPTED_OUT: "the pod is left alone: dind/inject is false",
    Code.ALREADY_INJECTED: "the pod has its Docker daemon already",
    Code.HAS_DAEMON: "the pod is left alone: its container {container} is a Docker daemon already",
    Code.MIRROR_POD: "the pod is left alone: it mirrors a static pod of the kubelet",
    Code.NOT_A_CREATE: "only the creation of a pod is of interest, not {operation} of {resource}",
    Code.HOST_NETWORK: (
        "the pod has hostNetwork: true, and a Docker daemon in it would write its bridges and "
        "firewall rules into the node's network; remove hostNetwork, or the label dind"
    ),
    Code.HOST_PID: (
        "the pod has hostPID: true, and a Docker daemon in it would run its containers among the "
        "node's own processes; remove hostPID, or the label dind"
    ),
    Code.USER_NAMESPACE: (
        "the pod has hostUsers: false, and a Docker daemon cannot work in a user namespace; "
        "remove hostUsers, or the label dind"
    ),
    Code.NOT_LINUX: (
        "the pod asks for the operating system {system}, and the Docker daemon needs linux; "
        "remove the label dind"
    ),
    Code.BAD_ANNOTATION: "annotation dind/{name} is {value}: {right}",
    Code.OVER_LIMIT: "{what} asks for {value}, more than the {bound} that the cluster's "
    "administrator allows; ask for less, or ask the administrator",
    Code.IMAGE_NOT_ALLOWED: "{what} names {value}, which is none of the images that the cluster's "
    "administrator allows: {patterns}",
    Code.ENFORCED: (
        "annotation dind/{name} is {value}, but the cluster's administrator has fixed {name} for "
        "all pods; remove the annotation"
    ),
    Code.NAME_TAKEN: (
        "the pod has a {part} named {name}, and the Docker daemon's own would bear this name; "
        "rename yours"
    ),
    Code.PATH_TAKEN: (
        "container {container} mounts volume {volume} at {path}, where the Docker socket would be; "
        "mount it elsewhere, or leave the container out with dind/containers"
    ),
    Code.SIZE_TOO_SMALL: (
        "annotation dind/storage-size is {value}: a graph storage has {least}Mi or more"
    ),
    Code.MALFORMED: "{fault}",
}

QUIET = frozenset({Code.INJECTED, Code.RESTORED, Code.NOT_LABELLED, Code.ALREADY_INJECTED})
"""Outcomes of which nobody needs to be told: what was asked for came true."""

MAX_WARNING = 256
"""Kubernetes may cut longer warnings (``AdmissionResponse.warnings`` in its API)."""


class Fault(NamedTuple):
    """One reason to refuse a pod."""

    code: Code
    sentence: str


def sentence(code: Code, **values: str) -> str:
    """Return the sentence of ``code`` with ``values`` filled in, each of which is a plain text."""
    return SENTENCES[code].format(**values)


def fault(code: Code, **values: str) -> Fault:
    """Return a reason to refuse a pod."""
    return Fault(code, sentence(code, **values))


def quoted(value: str) -> str:
    """Return what a person wrote, quoted, shortened and free of control characters."""
    short = value if len(value) <= 60 else f"{value[:57]}..."
    return '"' + "".join(c if c.isprintable() else "?" for c in short) + '"'


def listed(words: Iterable[str]) -> str:
    """Return ``words`` as a list to be read, at most five of them."""
    all_words = list(words)
    rest = len(all_words) - 5
    return ", ".join(all_words[:5]) + (f" and {rest} more" if rest > 0 else "")


def as_warning(text: str) -> str:
    """Return a warning, cut to what Kubernetes passes on whole."""
    text = f"dind: {text}"
    return text if len(text) <= MAX_WARNING else f"{text[: MAX_WARNING - 3]}..."
