"""Where the defaults come from: a cluster that is watched, or files that are read again.

Both feed the same ``Defaults``, and tell the same way of a ConfigMap that cannot be understood.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from cluster.errors import ClusterError, ConflictError
from cluster.follow import Follower, Listed, Lost, Put
from cluster.objects import ConfigMap, Notice, ObjectMeta
from webhook.configmap import read_data
from webhook.defaults import Defaults, Fault
from webhook.errors import ManifestError, WebhookError
from webhook.names import DEFAULTS_CONFIGMAP

if TYPE_CHECKING:
    from cluster.api import Cluster

log = structlog.get_logger()

FILE_SECONDS = 0.25
"""How often files are read again: a change counts in under a second."""

Report = Callable[[Fault], None]


def follow_cluster(
    follower: Follower[ConfigMap],
    defaults: Defaults,
    report: Report,
    lost: Callable[[Lost], None],
) -> None:
    """Keep the defaults as the cluster has them, until the follower is stopped."""
    for change in follower.changes():
        if isinstance(change, Lost):
            lost(change)
        generation = defaults.in_force.generation
        for fault in defaults.take(change):
            report(fault)
        if defaults.in_force.generation != generation:
            log.info("defaults changed", generation=defaults.in_force.generation)


def post_event(cluster: "Cluster", fault: Fault) -> None:
    """Tell of a fault on the ConfigMap itself. Replicas that tell the same make one Event."""
    about = fault.about
    told = hashlib.sha256(f"{about.uid} {about.resource_version}".encode()).hexdigest()
    notice = Notice(
        about=about,
        about_api_version="v1",
        about_kind="ConfigMap",
        name=f"{about.name}.{told[:16]}",
        reason="BadDefaults",
        message=f"The last good defaults stay in force. {fault.message}",
        component="dind-webhook",
        at=datetime.now(UTC),
    )
    try:
        cluster.create_event(notice)
    except ConflictError:
        return
    except ClusterError as error:
        log.warning("event not made", namespace=about.namespace, error=error.message)


class DefaultsFiles:
    """ConfigMaps as files, by the namespace that each speaks for."""

    def __init__(self, files: Mapping[str, Path], defaults: Defaults, report: Report) -> None:
        self._files = files
        self._defaults = defaults
        self._report = report
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def load(self) -> None:
        """Read all files for the first time.

        Raises:
            WebhookError: one cannot be read or understood.
        """
        items = []
        for namespace, path in self._files.items():
            text = _read(path)
            self._seen[namespace] = text
            items.append(_config_map(namespace, path, text))
        for fault in self._defaults.take(Listed(tuple(items))):
            path = self._files[fault.about.namespace]
            raise WebhookError(f"{path} cannot be understood: {fault.message}")

    def check(self) -> None:
        """Read the files again, and take up or report what has changed."""
        for fault in self._changes():
            self._report(fault)

    def _changes(self) -> Iterator[Fault]:
        for namespace, path in self._files.items():
            try:
                text = _read(path)
                if text == self._seen[namespace]:
                    continue
                self._seen[namespace] = text
                item = _config_map(namespace, path, text)
            except ManifestError as error:
                if self._told.get(namespace) != error.message:
                    yield Fault(ObjectMeta(str(path), namespace), error.message)
                self._told[namespace] = error.message
            else:
                self._told.pop(namespace, None)
                yield from self._defaults.take(Put(item))
                log.info("defaults read", file=str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error


def _config_map(namespace: str, path: Path, text: str) -> ConfigMap:
    try:
        data = read_data(text)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error.message}", hint=error.hint) from error
    version = hashlib.sha256(text.encode()).hexdigest()
    return ConfigMap(ObjectMeta(DEFAULTS_CONFIGMAP, namespace, resource_version=version), data)
