"""Manifests in, the same manifests with Docker in their pods out, as admission would make them.

Pods, the pod templates of workloads, Lists of them, in YAML of several documents. All else passes
through as it is, so that the output can be applied in place of the input.
"""

from collections.abc import Iterator
from io import SEEK_END, StringIO
from typing import NamedTuple

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from webhook import names
from webhook.errors import ManifestError
from webhook.inject import Injection, inject
from webhook.outcome import Kind
from webhook.pod import Pod
from webhook.roundtrip import UNREADABLE, Node, apply, plain, round_trip
from webhook.settings import Settings

_TEMPLATE = ("spec", "template")

POD_PATHS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
    ("batch", "Job"): _TEMPLATE,
}
"""Where a kind, named by its group and itself, holds its pod."""


class Type(NamedTuple):
    """What an object says it is: its ``apiVersion`` and its ``kind``."""

    version: str
    kind: str


NO_TYPE = Type("", "")


class Outcome(NamedTuple):
    """What became of one pod of a manifest.

    Attributes:
        subject: the object that holds it, as kind and name.
        injection: the outcome.
        hint: what its author probably overlooked, or nothing.
    """

    subject: str
    injection: Injection
    hint: str = ""

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, a line each."""
        decision = self.injection.decision
        said = f"{decision.kind} {decision.code}: {decision.sentence}"
        yield f"{self.subject}: {said}{f' ({self.hint})' if self.hint else ''}"
        if decision.kind is not Kind.SKIP:
            for warning in self.injection.warnings:
                yield f"{self.subject}: warning: {warning}"


class Manifest(NamedTuple):
    """A manifest after injection.

    Attributes:
        text: all of its documents, in YAML.
        outcomes: what became of their pods.
    """

    text: str
    outcomes: list[Outcome]


def inject_manifest(text: str, settings: Settings) -> Manifest:
    """Inject the pods of a manifest.

    Raises:
        ManifestError: it is no YAML, or holds something that is no Kubernetes object.
    """
    yaml = round_trip()
    try:
        documents = _load(yaml, text)
        outcomes = [each for document in documents for each in _inject_object(document, settings)]
    except RecursionError as error:
        raise ManifestError("this is nested too deeply") from error
    written = StringIO(_heading(text))
    written.seek(0, SEEK_END)
    for number, document in enumerate(documents):
        written.write("---\n" if number else "")
        yaml.dump(document, written)
    return Manifest(written.getvalue(), outcomes)


def _load(yaml: YAML, text: str) -> list[Node]:
    try:
        return [each for each in yaml.load_all(text) if each is not None]
    except UNREADABLE as error:
        raise ManifestError(f"this is no YAML: {error}") from error


def _heading(text: str) -> str:
    """Return the comments above the first ``---``, which belong to no document."""
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if line.startswith("---")), 0)
    heading = lines[:start]
    return "".join(heading) if all(line.lstrip().startswith("#") for line in heading) else ""


def _inject_object(document: Node, settings: Settings, like: Type = NO_TYPE) -> Iterator[Outcome]:
    """Inject the pods of an object; one that names no type, in a ``PodList``, is ``like`` one."""
    if not isinstance(document, CommentedMap):
        raise _no_object()
    version, kind = _type_of(document, like)
    if kind.endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _inject_object(item, settings, Type(version, kind.removesuffix("List")))
        return
    group, slash, _ = version.rpartition("/")
    path = POD_PATHS.get((group if slash else "", kind))
    if path is None:
        return
    subject = f"{kind}/{_name(document)}"
    template = _at(document, path)
    if template is None:
        raise ManifestError(f"{subject} has no {'.'.join(path)}")
    pod = read_pod(template, subject)
    injection = inject(pod, settings)
    apply(template, injection.operations)
    yield Outcome(subject, injection, _hint(document, path, pod))


def _no_object() -> ManifestError:
    return ManifestError(
        "a document is no Kubernetes object: it has no kind", hint="separate objects with ---"
    )


def _type_of(document: CommentedMap, like: Type) -> Type:
    kind = document.get("kind", like.kind)
    if not isinstance(kind, str) or not kind:
        raise _no_object()
    return Type(str(document.get("apiVersion") or like.version), kind)


def read_pod(template: Node, subject: str) -> Pod:
    """Return the typed parts of a pod.

    Raises:
        ManifestError: something in it has the wrong type.
    """
    try:
        return msgspec.convert(plain(template), Pod)
    except msgspec.ValidationError as error:
        hint = "labels, annotations and variables are text: write true and 1 in quotes"
        raise ManifestError(
            f"{subject} is no valid pod: {error}", hint=hint if "`str" in str(error) else ""
        ) from error


def _at(document: CommentedMap, path: tuple[str, ...]) -> CommentedMap | None:
    node: object = document
    for key in path:
        node = node.get(key) if isinstance(node, CommentedMap) else None
    return node if isinstance(node, CommentedMap) else None


def _name(document: CommentedMap) -> str:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    return str(metadata.get("name") or metadata.get("generateName") or "")


def _hint(document: CommentedMap, path: tuple[str, ...], pod: Pod) -> str:
    labels = _at(document, ("metadata", "labels"))
    on_pod = pod.metadata is not None and names.LABEL in (pod.metadata.labels or {})
    if path and labels is not None and names.LABEL in labels and not on_pod:
        return f"the label is on the {document['kind']}; put it on {'.'.join(path)}.metadata"
    return ""
