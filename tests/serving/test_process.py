"""``python -m webhook serve`` as a process: its start, its files, its end."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import httpx
import pytest

from certs.authority import renew
from certs.issue import system_chance
from certs.pem import encode
from tests.serving.running import (
    REVIEW,
    Process,
    Webhook,
    process,
    served,
)
from tests.waiting import PATIENCE_SECONDS, eventually

CLIENTS = 4


def write_pair(folder: Path) -> dict[str, bytes]:
    """Put a fresh certificate into a folder, and return its texts."""
    texts = encode(renew(None, ("localhost",), datetime.now(UTC), system_chance()))
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(texts[name])
    return texts


def test_it_starts_in_a_moment_and_its_authority_is_in_the_folder(tmp_path: Path) -> None:
    began = time.monotonic()
    with process(tmp_path, "--self-signed", str(tmp_path / "certs")) as started:
        webhook = served(started, tmp_path / "certs" / "ca.crt")
        with webhook.client() as client:
            assert client.get("/readyz").text == "ok\n"
            assert time.monotonic() - began < 5
            assert client.post("/mutate", content=REVIEW).json()["response"]["allowed"]
        eventually(lambda: started.find("decision") is not None)
    assert started.popen.returncode == 0
    assert started.find("stopped") is not None


def test_without_a_cluster_the_kubernetes_package_is_not_imported(tmp_path: Path) -> None:
    environ = {"PYTHONPROFILEIMPORTTIME": "1"}  # has Python name each module that it imports
    with process(tmp_path, environ=environ) as started:
        imported = started.log.read_text()
    assert "| webhook.serve" in imported
    assert "kubernetes" not in imported


def test_it_listens_on_all_addresses_without_a_word(tmp_path: Path) -> None:
    with process(tmp_path, "--self-signed", str(tmp_path), "--host", "") as started:
        webhook = served(started, tmp_path / "ca.crt")
        assert webhook.get("/healthz").status_code == 200
        if socket.has_dualstack_ipv6():
            with socket.create_connection(("::1", webhook.port), timeout=PATIENCE_SECONDS):
                pass


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--cert-dir", "absent"), "must hold tls.crt and tls.key"),
        (("--defaults", "absent"), "absent cannot be read"),
        (("--self-signed", "/proc/certs"), "cannot keep certificates in"),
        (("--host", "203.0.113.1"), "cannot listen on 203.0.113.1"),
        (("--cert-secret", "tls", "--kubeconfig", "absent"), "no cluster to talk to"),
        (("--watch-defaults",), "mount the service account's token"),
        (("--port", "-1"), "write 0 to 65535"),
    ],
)
def test_what_cannot_be_started_says_why(flags: tuple[str, ...], sentence: str) -> None:
    command = [sys.executable, "-m", "webhook", "serve", "--host=127.0.0.1", "--port=0", *flags]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "webhook", "serve", "--host=127.0.0.1", f"--port={port}"]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_of_defaults_counts_in_under_a_second(tmp_path: Path) -> None:
    defaults = tmp_path / "defaults.yaml"
    defaults.write_text("storage-size: 20Gi\n")
    flags = ("--self-signed", str(tmp_path), "--defaults", str(defaults))
    with process(tmp_path, *flags) as started:
        webhook = served(started, tmp_path / "ca.crt")
        with webhook.client() as client:
            assert b"20480" in patch_of(client)
            defaults.write_text("storage-size: 30Gi\n")
            time.sleep(0.9)
            assert b"30720" in patch_of(client)
            defaults.write_text("storage-size: huge\n")
            eventually(lambda: started.find("defaults not understood") is not None)
            assert b"30720" in patch_of(client)


def patch_of(client: httpx.Client) -> bytes:
    response = client.post("/mutate", content=REVIEW).json()["response"]
    return base64.b64decode(response["patch"])


def test_a_certificate_that_another_program_renews_is_taken_up(tmp_path: Path) -> None:
    old = write_pair(tmp_path)
    with process(tmp_path, "--cert-dir", str(tmp_path), "--drain-seconds=0") as started:
        line = started.find("serving")
        assert line is not None
        with Webhook(line["port"], old["ca.crt"]).client() as client:
            assert client.get("/readyz").status_code == 200
            (tmp_path / "tls.crt").write_bytes(b"half")
            eventually(lambda: started.find("certificate not read") is not None)
            assert Webhook(line["port"], old["ca.crt"]).get("/readyz").status_code == 200
            new = write_pair(tmp_path)
            eventually(lambda: is_served(Webhook(line["port"], new["ca.crt"])))
            assert client.get("/readyz").status_code == 200  # on the connection from before


def is_served(webhook: Webhook) -> bool:
    try:
        with webhook.connect():
            return True
    except ssl.SSLError:
        return False


class Load:
    """Clients that post as fast as they can until the webhook is gone, and what became of it."""

    def __init__(self, webhook: Webhook) -> None:
        self.webhook = webhook
        self.outcomes: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        """Wait for the clients."""
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def _run(self) -> None:
        """A request counts as lost once a byte of it was sent and no whole answer came."""
        request = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(REVIEW)
        while True:
            try:
                connection = self.webhook.connect()
            except OSError:
                return  # nobody listens any more: the request would go to another replica
            with connection:
                while True:
                    self.outcomes[outcome := _post(connection, request + REVIEW)] += 1
                    if outcome != "kept":
                        break


def _post(connection: ssl.SSLSocket, request: bytes) -> str:
    """Return ``kept`` or ``closed`` after a whole answer, ``lost`` without one."""
    try:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError):
        return "lost"
    assert response.status == 200
    assert answer["response"]["allowed"]
    return "closed" if response.getheader("connection") == "close" else "kept"


def test_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    flags = ("--self-signed", str(tmp_path), "--drain-seconds", "1.5")
    with process(tmp_path, *flags) as started:
        webhook = served(started, tmp_path / "ca.crt")
        load = Load(webhook)
        eventually(lambda: load.outcomes["kept"] > 100)
        began = time.monotonic()
        started.popen.send_signal(signal.SIGTERM)
        with webhook.client() as client:
            eventually(lambda: client.get("/readyz").status_code == 503)
        load.join()
        assert started.popen.wait(10) == 0
        assert 1.5 <= time.monotonic() - began < 8
    assert load.outcomes["lost"] == 0
    assert load.outcomes["closed"] > CLIENTS  # it served on while it drained
    decided = sum(line["event"] == "decision" for line in started.logged())
    assert decided == load.outcomes["kept"] + load.outcomes["closed"]


def test_a_request_under_way_is_finished(tmp_path: Path) -> None:
    with process(tmp_path, "--self-signed", str(tmp_path)) as started:
        with served(started, tmp_path / "ca.crt").connect() as connection:
            head = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(REVIEW)
            connection.sendall(head + REVIEW[:1000])
            time.sleep(0.2)
            started.popen.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert _post(connection, REVIEW[1000:]) == "closed"
        assert started.popen.wait(10) == 0


def test_a_second_signal_hurries(tmp_path: Path) -> None:
    flags = ("--self-signed", str(tmp_path), "--drain-seconds", "60")
    with process(tmp_path, *flags) as started:
        started.popen.send_signal(signal.SIGTERM)
        eventually(lambda: started.find("stopping") is not None)
        began = time.monotonic()
        started.popen.send_signal(signal.SIGTERM)
        assert started.popen.wait(10) == 0
        assert time.monotonic() - began < 5


def test_it_runs_without_a_home_and_without_rights(tmp_path: Path) -> None:
    """As a container does: no user of that number, nothing that can be written but the folder."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    folder = tmp_path / "certs"
    folder.mkdir()
    os.chown(folder, 65532, 65532)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    code = (
        "import os, sys\n"
        "from webhook import serve\n"  # before: not everybody may read where Python is here
        "os.setgid(65532); os.setuid(65532)\n"
        f"sys.exit(serve.main(['--port=0', '--host=127.0.0.1', '--self-signed={folder}']))\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        popen = subprocess.Popen([sys.executable, "-c", code], stdout=output, stderr=output)
    try:
        eventually(lambda: popen.poll() is not None or b'"serving"' in log.read_bytes())
        assert popen.poll() is None, log.read_text()
        webhook = served(Process(popen, log), folder / "ca.crt")
        assert webhook.get("/readyz").status_code == 200
    finally:
        popen.terminate()
        popen.wait(20)
