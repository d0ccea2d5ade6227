"""Images without a registry, and a registry with one image."""

import gzip
import hashlib
import http.server
import io
import json
import socketserver
import ssl
import tarfile
import threading
from pathlib import Path
from typing import Self

BUSYBOX = Path("/usr/bin/busybox")
TOOLS = "sh cat chmod dd echo head httpd kill ls mkdir sleep tail test touch true"


def busybox_tar() -> bytes:
    """Return a tar archive of a root file system, for ``docker import``: busybox and its tools."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(BUSYBOX, "bin/busybox")
        for tool in TOOLS.split():
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return stream.getvalue()


class Registry:
    """A registry over TLS that has one image, under any name; it notes what it is asked for.

    Args:
        address: where it listens, port 5000.
        certificate: a PEM file of its certificate and key.
    """

    def __init__(self, address: str, certificate: Path) -> None:
        layer = busybox_tar()
        packed = gzip.compress(layer, compresslevel=1)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _descriptor("container.image.v1+json", config),
                "layers": [_descriptor("image.rootfs.diff.tar.gzip", packed)],
            }
        ).encode()
        self.asked: list[str] = []
        blobs = {_digest(blob): blob for blob in (packed, config)}
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = manifest if "/manifests/" in self.path else blobs.get(Path(self.path).name)
                if self.path == "/v2/":
                    body = b"{}"
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", MANIFEST)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Docker-Content-Digest", _digest(body or b""))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        # Not http.server's own, which looks its name up.
        self._server = socketserver.ThreadingTCPServer((address, 5000), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {
        "mediaType": f"application/vnd.docker.{kind}",
        "size": len(blob),
        "digest": _digest(blob),
    }
