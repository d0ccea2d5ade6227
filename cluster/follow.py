"""Follows a collection for ever: list, watch, resume, list anew, reconnect with backoff.

The loop that every controller needs, as an iterator of changes; who consumes it decides what they
mean. The rules are those of the API concepts page, "Efficient detection of changes":

- a watch that ends or drops is resumed from the last resource version seen, bookmarks included;
- after 410 Gone, as an HTTP status or inside the stream, the collection is listed anew;
- so it is after anything else that the API server objects to;
- failures in a row wait longer and longer, with jitter, so that replicas do not knock together.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from cluster.errors import ClusterError, ExpiredError, UnreachableError

if TYPE_CHECKING:  # without a cluster, the kubernetes package is not worth its 0.2 s and 28 MiB
    from cluster.client import Client, Collection, Watch

T = TypeVar("T")

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 30.0
SHORT_WATCH_SECONDS = 1.0
"""A watch that ends sooner and said nothing has failed: or a broken proxy would be hammered."""


@dataclass(frozen=True)
class Listed(Generic[T]):
    """These are all the objects there are; others are gone."""

    items: tuple[T, ...]


@dataclass(frozen=True)
class Put(Generic[T]):
    """This object is new, or has changed."""

    item: T


@dataclass(frozen=True)
class Removed(Generic[T]):
    """This object is gone; ``item`` is its last state."""

    item: T


@dataclass(frozen=True)
class Lost:
    """The API server cannot be followed now; what was known stands. It is tried again."""

    error: ClusterError
    retry_seconds: float


Change: TypeAlias = Listed[T] | Put[T] | Removed[T] | Lost


def retry_seconds(failures: int, jitter: float) -> float:
    """Return how long to wait after so many failures in a row.

    Args:
        failures: how many, from 1 up.
        jitter: from 0 to 1; spreads the waits between half and the whole.
    """
    whole = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
    return whole * (1 + jitter) / 2


class Follower(Generic[T]):
    """Follows one collection; ``stop`` ends it from another thread."""

    def __init__(
        self,
        client: "Client",
        collection: "Collection[T]",
        *,
        random: Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._collection = collection
        self._random = random
        self._clock = clock
        self._stopped = threading.Event()
        self._watch: Watch[T] | None = None
        self._failures = 0

    def stop(self) -> None:
        """End ``changes`` soon."""
        self._stopped.set()
        if (watch := self._watch) is not None:
            watch.stop()

    def changes(self) -> Iterator[Change[T]]:
        """Yield each change as it comes, the first list included, until stopped."""
        version = ""
        while not self._stopped.is_set():
            try:
                if not version:
                    listing = self._client.list(self._collection)
                    version = listing.resource_version
                    yield Listed(listing.items)
                for event_version, change in self._watched(version):
                    version = event_version or version
                    if change is not None:
                        yield change
            except ClusterError as error:
                if not isinstance(error, UnreachableError):
                    version = ""
                if self._stopped.is_set():
                    return
                yield (lost := self._lost(error))
                self._stopped.wait(lost.retry_seconds)

    def _watched(self, version: str) -> Iterator[tuple[str, Change[T] | None]]:
        """Yield (resource version, change, or None for a bookmark) until the watch ends."""
        began, heard = self._clock(), False
        self._watch = watch = self._client.watch(self._collection, version)
        if self._stopped.is_set():  # stop() may have looked before there was a watch to stop
            watch.stop()
        for event in watch:
            heard = True
            self._failures = 0
            if event.item is None:
                yield event.resource_version, None
            elif event.type == "DELETED":
                yield event.resource_version, Removed(event.item)
            else:
                yield event.resource_version, Put(event.item)
        if self._stopped.is_set() or heard:
            return
        if self._clock() - began < SHORT_WATCH_SECONDS:
            raise UnreachableError(f"watch {self._collection.path} ended at once and said nothing")
        self._failures = 0

    def _lost(self, error: ClusterError) -> Lost:
        self._failures += 1
        if isinstance(error, ExpiredError) and self._failures == 1:
            return Lost(error, 0.0)  # in the order of things: list anew at once
        return Lost(error, retry_seconds(self._failures, self._random.random()))
