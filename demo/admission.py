"""The cluster's side of the demonstration: a pod goes to the real webhook over TLS and comes back.

The webhook runs as its own process, with a certificate it made itself; the request is the
AdmissionReview that an API server sends when somebody creates the pod.
"""

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonpatch

Manifest = dict[str, Any]

_START_SECONDS = 20


@dataclass(frozen=True)
class Injection:
    """What the webhook answered: the pod as it came out, and the operations that made it so."""

    pod: Manifest
    operations: tuple[Manifest, ...]
    seconds: float


@dataclass(frozen=True)
class Webhook:
    """A running webhook: where it listens, and the authority that signed its certificate."""

    url: str
    authority: Path

    def get(self, path: str) -> bytes:
        """Return what the webhook answers to GET ``path``."""
        return self._open(urllib.request.Request(self.url + path))

    def inject(self, pod: Manifest) -> Injection:
        """Send the pod's creation as an AdmissionReview and apply the patch that comes back.

        Raises:
            ValueError: the webhook refused the pod, or left it as it was; with its sentence.
        """
        review = json.dumps(_review(pod)).encode()
        request = urllib.request.Request(
            self.url + "/mutate", data=review, headers={"Content-Type": "application/json"}
        )
        start = time.monotonic()
        response = json.loads(self._open(request))["response"]
        seconds = time.monotonic() - start
        if not response["allowed"] or "patch" not in response:
            raise ValueError(f"the webhook did not inject the pod: {response}")
        operations = json.loads(base64.b64decode(response["patch"]))
        return Injection(jsonpatch.apply_patch(pod, operations), tuple(operations), seconds)

    def _open(self, request: urllib.request.Request) -> bytes:
        context = ssl.create_default_context(cafile=self.authority)
        with urllib.request.urlopen(request, context=context, timeout=10) as response:
            body: bytes = response.read()
            return body


def _review(pod: Manifest) -> Manifest:
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": pod["metadata"]["name"],
            "namespace": pod["metadata"].get("namespace", "default"),
            "operation": "CREATE",
            "userInfo": {"username": "demo"},
            "object": pod,
            "oldObject": None,
            "dryRun": False,
        },
    }


@contextlib.contextmanager
def running_webhook(folder: Path) -> Iterator[Webhook]:
    """Run the webhook on a free port of this machine until the block ends.

    Args:
        folder: where it puts its authority and certificate, and its log (``log``).

    Raises:
        TimeoutError: it was not ready in time; the message holds its last lines.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "webhook", "serve", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--self-signed", str(folder)]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    webhook = Webhook(f"https://127.0.0.1:{port}", folder / "ca.crt")
    try:
        _await_ready(webhook, log)
        yield webhook
    finally:
        process.terminate()
        process.wait(10)


def _await_ready(webhook: Webhook, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            webhook.get("/readyz")
            return
        time.sleep(0.1)
    raise TimeoutError(
        f"the webhook was not ready in {_START_SECONDS} s:\n{log.read_text()[-2000:]}"
    )
