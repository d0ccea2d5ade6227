"""What people are told of: incidents, read out of the driver's log. Pure but for a short memory."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from flexvol.agent.tail import Line

NODES_OWN = frozenset({"command", "file_system", "internal", "pool", "settings"})
"""Causes of failures that are the node's and not the pod's."""

EMPTY = frozenset({"cold", "spare"})
"""Outcomes of mounts whose pod starts with an empty cache."""

MOST_REMEMBERED = 1000

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Pod:
    """A pod, as the kubelet named it to the driver."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Incident:
    """Something that people should know.

    Attributes:
        about: the pod; None for the node.
        reason: one CamelCase word.
        message: a sentence.
        key: the same for what is the same; it is told once.
    """

    about: Pod | None
    reason: str
    message: str
    key: str


class Incidents:
    """Finds the incidents in a log."""

    def __init__(self) -> None:
        self._damaged: OrderedDict[tuple[str, str], list[str]] = OrderedDict()

    def of(self, line: Line) -> Iterator[Incident]:
        """Yield what one more line of the log is worth telling."""
        match line.event:
            case "damaged":
                yield from self._of_damage(line)
            case "mounted":
                yield from self._of_mount(line)
            case "failed" if line.call == "mount":
                yield from _of_failure(line)

    def _of_damage(self, line: Line) -> Iterator[Incident]:
        if line.pod_uid:
            self._damaged.setdefault((line.pod_uid, line.volume), []).append(line.slab)
            while len(self._damaged) > MOST_REMEMBERED:
                self._damaged.popitem(last=False)
        yield Incident(
            None,
            "SlabDamaged",
            f"Slab {line.slab} of {line.scope} failed the check of its file system and is removed.",
            line.slab,
        )

    def _of_mount(self, line: Line) -> Iterator[Incident]:
        damaged = self._damaged.pop((line.pod_uid, line.volume), [])
        pod = _pod(line)
        if not damaged or pod is None:
            return
        start = "with an empty cache" if line.outcome in EMPTY else "warm all the same"
        yield Incident(
            pod,
            "SlabReplaced",
            f"Slab {', '.join(damaged)} was damaged; slab {line.slab} took its place, and the pod "
            f"starts {start}.",
            f"{line.pod_uid} {line.slab}",
        )


def _of_failure(line: Line) -> Iterator[Incident]:
    pod = _pod(line)
    if pod is not None:
        yield Incident(pod, "SlabRefused", line.error, f"{line.pod_uid} {line.cause}")
    if line.cause in NODES_OWN:
        yield Incident(None, "SlabRefused", line.error, line.cause)


def _pod(line: Line) -> Pod | None:
    """Return the pod of a line, if it names one as Kubernetes names them."""
    if line.pod_uid and _NAME.fullmatch(line.namespace) and _NAME.fullmatch(line.pod):
        return Pod(line.namespace, line.pod, line.pod_uid)
    return None


def not_ready(cause: str, message: str) -> Incident:
    """Return the incident of a node that can take no pods with slabs."""
    return Incident(None, "SlabDriverNotReady", message, f"not ready {cause}")
