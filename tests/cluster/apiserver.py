"""A Kubernetes API server for tests, over real HTTP, that misbehaves when told to.

kmock parses the requests and speaks HTTP; what it lacks is here: resource versions that conflict,
watches that resume from one or are told that it is too old, and faults on demand.
"""

import asyncio
import base64
import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kmock
from kmock._internal import parsing
from kubernetes.client import Configuration

from cluster.api import MERGE
from cluster.client import DEFAULT_TIMEOUTS, Client, Timeouts

Fault = Callable[[kmock.Request], kmock.Payload]
Json = dict[str, Any]
POLL_SECONDS = 0.01
CONFIG_MAPS = "/api/v1/configmaps"
NAMESPACES = "/api/v1/namespaces"
_KMOCKS_PARSE_PATH = parsing.parse_path
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@dataclass
class Plan:
    """A fault that waits for its request: the next ``times`` that match."""

    fault: Fault
    method: str
    path: str
    watch: bool
    times: int


def status(code: int) -> Fault:
    """Answer with an HTTP status."""

    def answer(request: kmock.Request) -> None:
        raise kmock.KubernetesError(code, "Told", f"told to answer {code} to {request.url.path}")

    return answer


def drop(request: kmock.Request) -> kmock.Payload:
    """Close the connection instead of answering."""
    _abort(request)
    return b""


async def hang(_: kmock.Request) -> kmock.Payload:
    """Say nothing for longer than any test waits."""
    await asyncio.sleep(3600)
    return b""


def stream(*lines: Json | bytes, then: Fault | None = None) -> Fault:
    """Answer a watch with these lines, and then with a fault, or end it properly."""

    async def answer(request: kmock.Request) -> AsyncIterator[Any]:
        yield b""
        for line in lines:
            yield line
        if then is not None:
            await asyncio.sleep(0.05)
            result = then(request)
            if asyncio.iscoroutine(result):
                await result

    return answer


class ApiServer:
    """Objects by path, each change with a resource version of its own; ``serving`` runs it."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.reviews: dict[str, Callable[[Json], Json]] = {}
        """What is answered to questions that are posted, by path."""
        self.lock = threading.RLock()
        """Held around several changes, they are one to whoever watches."""
        self._objects: dict[str, Json] = {}
        self._log: list[tuple[int, str, str, Json]] = []
        self._version = 100
        self._oldest = 0
        self._plans: list[Plan] = []
        self._epoch = 0
        self.url = ""
        self._verbs: dict[str, Callable[[kmock.Request, str], Json]] = {
            "GET": self._get,
            "POST": self._post,
            "PATCH": self._patch,
        }

    # What a test does to it.

    def client(self, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Client:
        """Return a client for this server."""
        return Client(Configuration(host=self.url), timeouts)

    def put(self, path: str, body: Json) -> Json:
        """Store an object, whatever its resource version, as another client would have."""
        with self.lock:
            return self._store(path, body, "MODIFIED" if path in self._objects else "ADDED")

    def put_config_map(
        self, namespace: str, data: Json | None, name: str = "dind-defaults"
    ) -> Json:
        """Store a ConfigMap."""
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        return self.put(path, {"metadata": {"name": name, "namespace": namespace}, "data": data})

    def put_node(self, name: str, **capacity: str) -> Json:
        """Store a node."""
        capacity = {"cpu": "4", **capacity}
        node = {
            "metadata": {"name": name, "labels": {"zone": "a"}},
            "status": {"capacity": capacity},
        }
        return self.put(f"/api/v1/nodes/{name}", node)

    def put_configuration(self, name: str, *webhooks: str) -> Json:
        """Store a webhook configuration without CA bundles."""
        hooks = [{"name": hook, "clientConfig": {"service": {"name": "dind"}}} for hook in webhooks]
        return self.put(f"{CONFIGURATIONS}/{name}", {"metadata": {"name": name}, "webhooks": hooks})

    def get(self, path: str) -> Json | None:
        """Return an object as stored, or None."""
        with self.lock:
            return copy.deepcopy(self._objects.get(path))

    def remove(self, path: str) -> None:
        """Delete an object, as another client would have."""
        with self.lock:
            body = self._objects.pop(path)
            self._version += 1
            body["metadata"]["resourceVersion"] = str(self._version)
            self._log.append((self._version, "DELETED", path, body))

    def under(self, part: str) -> list[Json]:
        """Return the objects with this in their path."""
        with self.lock:
            return [copy.deepcopy(body) for path, body in self._objects.items() if part in path]

    def forget(self) -> None:
        """Compact: a watch from a resource version before the latest is told 410."""
        with self.lock:
            self._oldest = self._version

    def bookmark(self) -> str:
        """Send every watch a bookmark and return its resource version."""
        with self.lock:
            self._version += 1
            body = {"metadata": {"resourceVersion": str(self._version)}}
            self._log.append((self._version, "BOOKMARK", "", body))
            return str(self._version)

    def drop_watches(self) -> None:
        """Break every open watch's connection."""
        with self.lock:
            self._epoch += 1

    def plan(
        self,
        fault: Fault,
        *,
        method: str = "GET",
        path: str = "",
        watch: bool = False,
        times: int = 1,
    ) -> None:
        """Let the next requests of this kind meet a fault."""
        self._plans.append(Plan(fault, method, path, watch, times))

    def count(self, said: str) -> int:
        """Return how many requests so far were ``METHOD /path``, watches with ``WATCH``."""
        return sum(said == request for request in self.requests)

    # How it answers.

    def answer(self, request: kmock.Request) -> kmock.Payload:
        """Answer one request."""
        method, path = request.method.value, request.url.path
        watch = request.params.get("watch") == "true"
        epoch = self._epoch  # whoever sees the request in the list may drop it
        self.requests.append(f"{'WATCH' if watch else method} {path}")
        for plan in self._plans:
            if plan.times and (plan.method, plan.watch) == (method, watch) and plan.path in path:
                plan.times -= 1
                return plan.fault(request)
        if watch:
            return self._watch(request, epoch)
        with self.lock:
            return self._verbs[method](request, path)

    def _get(self, request: kmock.Request, path: str) -> Json:
        if request.name is not None or path in self._objects:
            return self._known(path)
        items = [body for known, body in self._objects.items() if self._covers(request, known)]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": copy.deepcopy(items)}

    def _post(self, request: kmock.Request, path: str) -> Json:
        if path in self.reviews:
            return {**request.data, **self.reviews[path](request.data)}
        if request.params.get("dryRun") == "All":
            return dict(request.data)
        path = f"{path}/{request.data['metadata']['name']}"
        if path in self._objects:
            raise kmock.KubernetesError(409, "AlreadyExists", f"{path} already exists")
        return self._store(path, request.data, "ADDED")

    def _patch(self, request: kmock.Request, path: str) -> Json:
        of_status, path = path.endswith("/status"), path.removesuffix("/status")
        body = self._known(path)
        self._check_version(request.data, body)
        if request.headers["Content-Type"] == MERGE:
            # Of an object that has a status, each path takes its own part, and drops the other.
            sent = request.data.items()
            body = merged(body, {key: part for key, part in sent if (key == "status") == of_status})
        else:
            hooks = {hook["name"]: hook for hook in body["webhooks"]}
            for hook in request.data["webhooks"]:  # a strategic merge, by name
                hooks[hook["name"]].setdefault("clientConfig", {}).update(hook["clientConfig"])
        if body == self._known(path):  # what changes nothing makes no new version
            return body
        return self._store(path, body, "MODIFIED")

    def _known(self, path: str) -> Json:
        if path not in self._objects:
            raise kmock.KubernetesError(404, "NotFound", f"{path} not found")
        return copy.deepcopy(self._objects[path])

    def _check_version(self, sent: Json, stored: Json) -> None:
        version = sent.get("metadata", {}).get("resourceVersion")
        if version is not None and version != stored["metadata"]["resourceVersion"]:
            raise kmock.KubernetesError(409, "Conflict", "the object has been modified")

    def _store(self, path: str, body: Json, event: str) -> Json:
        body = copy.deepcopy(body)
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        body["metadata"].setdefault("uid", f"uid-{path.rsplit('/', 1)[-1]}-{self._version}")
        self._objects[path] = body
        self._log.append((self._version, event, path, body))
        return copy.deepcopy(body)

    def _covers(self, request: kmock.Request, path: str) -> bool:
        """Whether a list or watch, by its path and field selector, sees an object."""
        if not path:  # a bookmark
            return True
        *_, resource, name = path.split("/")
        labels = self._objects.get(path, {}).get("metadata", {}).get("labels") or {}
        wanted = request.params.get("labelSelector", "")
        if wanted and wanted not in [f"{key}={value}" for key, value in labels.items()]:
            return False
        selector = request.params.get("fieldSelector", "")
        if selector and selector != f"metadata.name={name}":
            return False
        base = request.url.path.removesuffix(f"/{resource}")
        return request.url.path.endswith(f"/{resource}") and path.startswith(f"{base}/")

    async def _watch(self, request: kmock.Request, epoch: int) -> AsyncIterator[Any]:
        yield b""
        seen = int(request.params.get("resourceVersion") or self._version)
        for _ in range(int(float(request.params["timeoutSeconds"]) / POLL_SECONDS)):
            with self.lock:
                dropped, expired = self._epoch != epoch, seen < self._oldest
                news = [entry for entry in self._log if entry[0] > seen]
                seen = max(self._version, seen)
            if dropped:
                _abort(request)
                return
            if expired:
                message = f"too old resource version: {seen}"
                yield {"type": "ERROR", "object": {"code": 410, "message": message}}
                return
            for _version, event, path, body in news:
                if self._covers(request, path):
                    yield {"type": event, "object": body}
            await asyncio.sleep(POLL_SECONDS)


@contextmanager
def serving(server: ApiServer) -> Iterator[ApiServer]:
    """Run the server on a port of its own, in a thread of its own, for the length of the block."""
    parsing.parse_path = _parse_path
    loop = asyncio.new_event_loop()
    started, ended = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with kmock.KubernetesScaffold() as handler, kmock.Server(handler) as real:
            handler << server.answer
            server.url = str(real.url).rstrip("/")
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="apiserver")
    thread.start()
    assert started.wait(10), "the API server of the tests does not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
        assert not thread.is_alive(), "the API server of the tests does not stop"


def _parse_path(path: str) -> parsing.ParsedPath:
    """Stand in for kmock's own, which fails at the list of all namespaces."""
    if path == NAMESPACES:
        return parsing.ParsedPath(group="", version="v1", plural="namespaces")
    return _KMOCKS_PARSE_PATH(path)


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Return ``target`` after a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), part)
    return result


def encoded(data: dict[str, bytes]) -> dict[str, str]:
    """Return a Secret's data as the API's JSON has it."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _abort(request: kmock.Request) -> None:
    raw = request._raw_request  # noqa: SLF001 - kmock has no other way to a broken connection
    assert raw is not None
    assert raw.transport is not None
    raw.transport.abort()
