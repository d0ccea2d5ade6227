"""``python -m webhook serve``: puts the pieces together, and runs them until told to stop.

The event loop answers requests and does nothing else. What waits for the cluster or for files has
threads of its own, and hands over whole values: the certificate that is in use, the defaults that
are in force.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from certs.authority import Credentials, renew, service_names
from certs.errors import CertificateError
from certs.folder import renew_folder
from certs.issue import system_chance
from certs.pem import CERTIFICATE, KEY, encode
from certs.reload import CertificateFolder, ServingContext
from cluster.errors import ClusterError
from webhook import logs
from webhook.app import Admission, Health, create_app
from webhook.background import Background
from webhook.defaults import Defaults, Fault
from webhook.errors import WebhookError
from webhook.flags import Flags, parse_flags
from webhook.namespaces import Namespaces
from webhook.server import Limits, WebhookServer, listen
from webhook.sources import FILE_SECONDS, DefaultsFiles, Report
from webhook.telemetry import Telemetry

log = structlog.get_logger()

OK, FAILED = 0, 2
CERTIFICATE_SECONDS = 1.0
"""How often a folder's certificate is read again."""
SELF_SIGNED_SECONDS = 60.0
"""How often it is asked whether our own certificate in a folder is due."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, and return the exit status: 0, or 2 for what cannot be started."""
    flags = parse_flags(argv, os.environ)
    writer = logs.LogWriter(sys.stdout.fileno())
    logs.configure(writer, flags.log_level)
    background = Background()
    try:
        _serve(flags, background, writer.write)
    except (WebhookError, CertificateError, ClusterError) as error:
        writer.close()
        sys.stderr.write(f"error: {error.message}\n")
        sys.stderr.write(f"hint: {error.hint}\n" if error.hint else "")
        return FAILED
    finally:
        background.stop()
        writer.close()
    return OK


def _serve(flags: Flags, background: Background, write_line: Callable[[bytes], None]) -> None:
    telemetry = Telemetry(write_line)
    serving = ServingContext()
    _use(serving, renew(None, LOCAL_NAMES, datetime.now(UTC), system_chance()))  # for the probes
    defaults = Defaults(flags.namespace)
    unready = [defaults.unready]
    report = _reporter(telemetry)
    namespaces = Namespaces(defaults.settings_for)
    if flags.cert_secret or flags.watch_defaults or flags.watch_namespaces:
        from webhook import clustered  # costs 0.2 s and 28 MiB, which a machine without one saves

        unready += clustered.start(flags, serving, defaults, report, telemetry, background)
        if flags.watch_namespaces:
            clustered.watch_namespaces(flags, namespaces, telemetry, background)
    if flags.cert_dir:
        _follow_folder(CertificateFolder(flags.cert_dir, serving), background)
    if flags.self_signed:
        _keep_folder(flags.self_signed, flags, background)
        _follow_folder(CertificateFolder(flags.self_signed, serving), background)
    if not flags.watch_defaults:
        _follow_files(flags, defaults, report, background)
    health = Health(lambda: [why for ask in unready for why in ask()], background.dead)
    _offer_gauges(telemetry, serving, defaults, health)
    admission = Admission(namespaces.settings_for, telemetry, health, flags.max_body_bytes)
    limits = Limits(read_seconds=flags.read_seconds, drain_seconds=flags.drain_seconds)
    app = create_app(admission, health, telemetry)
    server = WebhookServer(app, serving.context, health, telemetry, limits)
    try:
        listener = listen(flags.host, flags.port)
    except OSError as error:
        raise WebhookError(
            f"cannot listen on {flags.host or 'all addresses'}, port {flags.port}: {error}",
            hint="Give another --host or --port.",
        ) from error
    # What is here now stays to the end: the collector need not look at it in mid-request.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(server, listener))
    log.info("stopped")


async def _until_signalled(server: WebhookServer, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; a second one hurries the stop."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            server.hurry()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    address, port = listener.getsockname()[:2]
    log.info("serving", address=address, port=port)
    await server.serve_until(stop, listener)


def _use(serving: ServingContext, credentials: Credentials) -> None:
    texts = encode(credentials)
    serving.use(texts[CERTIFICATE], texts[KEY])


def _follow_folder(folder: CertificateFolder, background: Background) -> None:
    folder.check()
    said = ""

    def check() -> None:
        nonlocal said
        try:
            if folder.check():
                log.info("certificate in use")
            said = ""
        except CertificateError as error:
            if error.message != said:
                log.warning("certificate not read", error=error.message)
            said = error.message

    background.every("certificate", CERTIFICATE_SECONDS, check)


def _keep_folder(folder: Path, flags: Flags, background: Background) -> None:
    names = (*service_names(flags.service, flags.namespace), *LOCAL_NAMES)

    def keep() -> None:
        renew_folder(folder, names, datetime.now(UTC), system_chance())

    def keep_on() -> None:
        try:
            keep()
        except CertificateError as error:
            log.warning("certificate not renewed", error=error.message)

    keep()
    background.every("self-signed", SELF_SIGNED_SECONDS, keep_on)


def _follow_files(flags: Flags, defaults: Defaults, report: Report, background: Background) -> None:
    files = dict(flags.namespace_defaults)
    if flags.defaults:
        files[flags.namespace] = flags.defaults
    followed = DefaultsFiles(files, defaults, report)
    followed.load()
    if files:
        background.every("defaults", FILE_SECONDS, followed.check)


def _reporter(telemetry: Telemetry) -> Report:
    def report(fault: Fault) -> None:
        namespace = fault.about.namespace
        telemetry.defaults_faults.labels(namespace).inc()
        log.warning("defaults not understood", namespace=namespace, error=fault.message)

    return report


def _offer_gauges(
    telemetry: Telemetry, serving: ServingContext, defaults: Defaults, health: Health
) -> None:
    offer = telemetry.gauge
    offer(
        "certificate_expiry_timestamp_seconds",
        "When the certificate in use expires.",
        lambda: serving.expires_at.timestamp(),
    )
    offer(
        "defaults_generation",
        "Counts the changes of the defaults since the start; 0 while they are unknown.",
        lambda: defaults.in_force.generation,
    )
    offer(
        "defaults_faulty",
        "ConfigMaps that cannot be understood now.",
        lambda: len(defaults.in_force.faulty),
    )
    offer("ready", "Whether requests should come here.", lambda: not health.unready())
