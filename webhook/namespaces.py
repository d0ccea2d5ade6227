"""Which namespaces refuse privileged pods: their Pod Security levels, followed as they change.

Only foretold: what is not known, because the API server cannot be followed, is not warned of.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from cluster.follow import Change, Listed, Lost, Put, Removed
from cluster.objects import Namespace
from webhook.podsecurity import forbids
from webhook.settings import Settings


def levels_after(now: Mapping[str, str], change: Change[Namespace]) -> Mapping[str, str]:
    """Return the levels that forbid privileged pods, by namespace, after a change."""
    match change:
        case Listed(items):
            return {item.metadata.name: level for item in items if (level := _level(item))}
        case Put(item):
            rest = {name: level for name, level in now.items() if name != item.metadata.name}
            level = _level(item)
            return {**rest, item.metadata.name: level} if level else rest
        case Removed(item):
            return {name: level for name, level in now.items() if name != item.metadata.name}
        case Lost():
            return now


def _level(namespace: Namespace) -> str:
    return forbids(namespace.metadata.labels)


class Namespaces:
    """Adds to the settings of a namespace what will refuse its pods; changed by one thread."""

    def __init__(self, settings_for: Callable[[str], Settings]) -> None:
        self._settings_for = settings_for
        self._levels: Mapping[str, str] = {}

    def take(self, change: Change[Namespace]) -> None:
        """Take up a change."""
        self._levels = levels_after(self._levels, change)

    def settings_for(self, namespace: str) -> Settings:
        """Return what holds for the pods of a namespace; raises as what it was made of."""
        settings = self._settings_for(namespace)
        level = self._levels.get(namespace)
        return replace(settings, forbidden_by=level) if level else settings
