"""Events that wait for the API server: each said once, not too many, not for ever."""

import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cluster.objects import Notice, ObjectMeta
from flexvol.agent.incidents import Incident

COMPONENT = "dind-agent"
LIFE = timedelta(hours=1)
"""What the API server keeps Events for, by default: older news is none, and may be told again."""
BURST = 25
SECONDS_EACH = 12.0
"""So many at once, and one more in so many seconds, 300 an hour."""
MOST_WAITING = 100
MOST_REMEMBERED = 1000


@dataclass(frozen=True)
class _Waiting:
    incident: Incident
    at: datetime


class Outbox:
    """The incidents to be told of."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._told: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._allowance = float(BURST)
        self._counted_at = datetime.min.replace(tzinfo=UTC)

    def put(self, incident: Incident, at: datetime) -> bool:
        """Take an incident, unless it is told already; tell whether there was room for it."""
        key = (incident.reason, incident.key)
        told = self._told.get(key)
        if told is not None and at - told < LIFE:
            return True
        gained = (at - self._counted_at).total_seconds() / SECONDS_EACH
        self._allowance = min(float(BURST), self._allowance + max(0.0, gained))
        self._counted_at = at
        if self._allowance < 1 or len(self._waiting) >= MOST_WAITING:
            return False
        self._allowance -= 1
        self._told[key] = at
        self._told.move_to_end(key)
        while len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append(_Waiting(incident, at))
        return True

    def next(self, node: ObjectMeta, now: datetime) -> Notice | None:
        """Return what is to be told first, dropping what is too old; None for nothing."""
        while self._waiting and now - self._waiting[0].at > LIFE:
            self._waiting.popleft()
        if not self._waiting:
            return None
        return _notice(self._waiting[0], node)

    def done(self) -> None:
        """Drop what ``next`` returned."""
        self._waiting.popleft()


def _notice(waiting: _Waiting, node: ObjectMeta) -> Notice:
    incident, pod = waiting.incident, waiting.incident.about
    about = ObjectMeta(name=node.name, uid=node.uid)
    if pod is not None:
        about = ObjectMeta(name=pod.name, namespace=pod.namespace, uid=pod.uid)
    hour = int(waiting.at.timestamp() // LIFE.total_seconds())
    text = f"{incident.reason} {incident.key} {about.uid} {hour}"
    return Notice(
        about=about,
        about_api_version="v1",
        about_kind="Pod" if pod is not None else "Node",
        name=f"{about.name[:200]}.{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        reason=incident.reason,
        message=incident.message,
        component=COMPONENT,
        at=waiting.at,
    )
