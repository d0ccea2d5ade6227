"""The one door to the Kubernetes API: requests, lists and watches over HTTP.

The ``kubernetes`` package finds the cluster, signs in, renews tokens and speaks TLS; this module
adds time limits, typed objects and typed errors. What is asked for stands in ``cluster.api``.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import urllib3
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from cluster.errors import UnreachableError, status_error
from cluster.objects import ListMeta, ObjectMeta, Status

if TYPE_CHECKING:
    from kubernetes.client import Configuration

T = TypeVar("T")


@dataclass(frozen=True)
class Timeouts:
    """Time limits, in seconds.

    Attributes:
        connect: to a connection.
        read: to an answer, and between two pieces of it.
        watch: for how long one watch is asked for. One that is silent for longer than this and
            ``read`` together is dead, whatever the network says.
    """

    connect: float = 3
    read: float = 10
    watch: int = 240


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True)
class Collection(Generic[T]):
    """A resource to list and watch.

    Attributes:
        path: of the resource, in one namespace or in all.
        kind: what its items are decoded to.
        field_selector: which of its objects; a name in it lets RBAC allow that name alone.
    """

    path: str
    kind: type[T]
    field_selector: str


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What a list found, and the resource version to watch from."""

    items: tuple[T, ...]
    resource_version: str


@dataclass(frozen=True)
class Event(Generic[T]):
    """One line of a watch: ``item`` is the object, or None in a bookmark."""

    type: str
    item: T | None
    resource_version: str


class _Object(msgspec.Struct):
    metadata: ObjectMeta = ObjectMeta()


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Items(msgspec.Struct):
    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = None


class Watch(Generic[T]):
    """One open watch: iterate over its events; ``stop`` ends it from another thread."""

    def __init__(self, response: urllib3.HTTPResponse, collection: Collection[T]) -> None:
        self._response = response
        self._collection = collection
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Event[T]]:
        """Yield events until the API server ends the watch.

        Raises:
            UnreachableError: the connection dropped, or fell silent.
            StatusError: the API server reported an error in the stream.
        """
        doing = f"watch {self._collection.path}"
        try:
            for line in _lines(self._response):
                yield self._event(line, doing)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError, OSError) as error:
            if not self._stopped.is_set():
                raise UnreachableError(f"{doing} broke off: {_said(error)}") from error
        finally:
            self._response.close()

    def stop(self) -> None:
        """End the iteration soon, from whatever thread."""
        self._stopped.set()
        try:
            self._response.shutdown()
        except (OSError, ValueError):  # it has ended by itself
            return

    def _event(self, raw: bytes, doing: str) -> Event[T]:
        line = msgspec.json.decode(raw, type=_Line)
        if line.type == "ERROR":
            status = msgspec.json.decode(line.object, type=Status)
            raise status_error(status.code or 500, status.message or status.reason, doing=doing)
        version = msgspec.json.decode(line.object, type=_Object).metadata.resource_version
        if line.type == "BOOKMARK":
            return Event(line.type, None, version)
        return Event(
            line.type, msgspec.json.decode(line.object, type=self._collection.kind), version
        )


class Client:
    """Sends requests to one API server, and says in types what came of them."""

    def __init__(
        self, configuration: "Configuration", timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        configuration.retries = False  # who asks knows when to ask again
        # A peer that vanished without a word is noticed in 25 s, not in the kernel's two hours.
        configuration.socket_options = tcp_keepalive_socket_options(idle=10, interval=5, count=3)
        self._api = ApiClient(configuration)
        self._api.user_agent = "dind"
        self._timeouts = timeouts

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._api.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send one request and return the body of its answer.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: of the resource.
            body: sent as JSON.
            query: parameters.
            content_type: of the body; a PATCH says by it what kind of patch it is.

        Raises:
            UnreachableError: there was no answer.
            StatusError: the API server did not do it; see its subclasses.
        """
        read = self._timeouts.read
        response = self._send(method, path, body, query or {}, content_type, read)
        try:
            return response.data
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"{method} {path} broke off: {_said(error)}") from error

    def list(self, collection: Collection[T]) -> Listing[T]:
        """Return all objects of a collection; raises as ``request`` does."""
        query = {"fieldSelector": collection.field_selector}
        answer = self.request("GET", collection.path, query=query)
        try:
            found = msgspec.json.decode(answer, type=_Items)
            items = (msgspec.json.decode(raw, type=collection.kind) for raw in found.items or ())
            return Listing(tuple(items), found.metadata.resource_version)
        except msgspec.DecodeError as error:
            raise UnreachableError(f"GET {collection.path} gave no list: {error}") from error

    def watch(self, collection: Collection[T], resource_version: str) -> Watch[T]:
        """Open a watch on a collection, from a resource version on; raises as ``request`` does."""
        query = {
            "watch": "true",
            "fieldSelector": collection.field_selector,
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._timeouts.watch),
        }
        silence = self._timeouts.watch + self._timeouts.read
        response = self._send("GET", collection.path, None, query, "", silence)
        return Watch(response, collection)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
        content_type: str,
        read_seconds: float,
    ) -> urllib3.HTTPResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        limits = (self._timeouts.connect, read_seconds)
        try:
            request = self._api.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._api.call_api(*request, _request_timeout=limits)
            response: urllib3.HTTPResponse = answer.response
            if response.status < 300:
                return response
            said = answer.read()
        except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError) as error:
            raise UnreachableError(f"{method} {path} got no answer: {_said(error)}") from error
        raise status_error(response.status, _message(said), doing=f"{method} {path}")


def _lines(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in response.stream(amt=None):
        *whole, rest = (rest + piece).split(b"\n")
        yield from filter(None, whole)


def _message(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Status).message
    except msgspec.DecodeError:
        return json.dumps(body[:200].decode(errors="replace"))


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
