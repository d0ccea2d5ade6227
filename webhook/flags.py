"""What ``python -m webhook serve`` can be told, by flags or by the environment.

Every flag ``--some-flag`` may also stand in the environment as ``DIND_SERVE_SOME_FLAG``; the
command line wins. (``DIND_WEBHOOK_PORT`` would not do: the kubelet sets it, in every container
beside a Service named dind-webhook, to something else.)
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT_PREFIX = "DIND_SERVE_"
MIB = 1024 * 1024

DESCRIPTION = """\
Serve admission over TLS: POST /mutate, and /healthz, /readyz, /metrics on the same port.
Each flag can be given in the environment as well: --cert-dir as DIND_SERVE_CERT_DIR."""


@dataclass(frozen=True)
class Flags:
    """The settings of one webhook process; the argument parser's help says what each means.

    Attributes:
        host: the address to listen on; empty for all.
        port: the port to listen on; 0 for any.
        namespace: the webhook's own.
        service: the name of its Service.
        webhook_config: the name of its MutatingWebhookConfiguration.
        kubeconfig: how to sign in to a cluster; None for the pod's service account.
        cert_secret: the Secret with the certificate, where a cluster keeps it.
        cert_dir: the folder with a certificate that another program renews.
        self_signed: the folder for a certificate of our own.
        watch_defaults: whether the cluster's ConfigMaps are watched.
        defaults: the cluster's ConfigMap as a file.
        namespace_defaults: those of namespaces as files.
        max_body_bytes: the largest request.
        read_seconds: for a request to arrive.
        drain_seconds: to serve on after SIGTERM.
        log_level: what is logged.
    """

    host: str
    port: int
    namespace: str
    service: str
    webhook_config: str
    kubeconfig: Path | None
    cert_secret: str | None
    cert_dir: Path | None
    self_signed: Path | None
    watch_defaults: bool
    watch_namespaces: bool
    defaults: Path | None
    namespace_defaults: Mapping[str, Path]
    max_body_bytes: int
    read_seconds: float
    drain_seconds: float
    log_level: str


def parse_flags(argv: Sequence[str], environ: Mapping[str, str]) -> Flags:
    """Read the flags; like argparse, exit with status 2 and a sentence where they are wrong."""
    parser = _parser()
    given = parser.parse_args([*_from_environment(parser, argv, environ), *argv])
    if given.watch_defaults and (given.defaults or given.namespace_defaults):
        parser.error("--watch-defaults does not go with --defaults or --namespace-defaults")
    offline = not (given.cert_secret or given.cert_dir)
    drain = given.drain_seconds
    return Flags(
        host=given.host,
        port=given.port,
        namespace=given.namespace,
        service=given.service,
        webhook_config=given.webhook_config,
        kubeconfig=given.kubeconfig,
        cert_secret=given.cert_secret,
        cert_dir=given.cert_dir,
        self_signed=given.self_signed,
        watch_defaults=given.watch_defaults,
        watch_namespaces=given.watch_namespaces,
        defaults=given.defaults,
        namespace_defaults=dict(given.namespace_defaults),
        max_body_bytes=int(given.max_body_mib * MIB),
        read_seconds=given.read_seconds,
        drain_seconds=drain if drain is not None else 0.0 if offline else 5.0,
        log_level=given.log_level,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webhook serve",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    # fmt: off
    add("--host", default="", metavar="ADDRESS",
        help="the address to listen on (default: all, IPv4 and IPv6)")
    add("--port", type=_port, default=8443, metavar="PORT",
        help="the port to listen on, 0 for any (default: %(default)s)")
    add("--namespace", default="dind", metavar="NAMESPACE",
        help="the webhook's own namespace, whose ConfigMap dind-defaults is the cluster's "
        "(default: %(default)s)")
    add("--service", default="dind-webhook", metavar="NAME",
        help="the webhook's Service, for whose names a certificate is made (default: %(default)s)")
    add("--webhook-config", default="dind-webhook", metavar="NAME",
        help="the MutatingWebhookConfiguration to write the CA bundle into (default: %(default)s)")
    add("--kubeconfig", type=Path, metavar="FILE",
        help="how to reach the cluster (default: the pod's service account)")
    one = parser.add_mutually_exclusive_group().add_argument
    one("--cert-secret", metavar="NAME",
        help="make a certificate, keep it in this Secret, and renew it")
    one("--cert-dir", type=Path, metavar="FOLDER",
        help="serve tls.crt and tls.key of this folder, and read them again when they change")
    one("--self-signed", type=Path, metavar="FOLDER",
        help="make a certificate for this machine in this folder, and renew it; clients trust "
        "its ca.crt (without any of these three: in memory, and nobody can verify it)")
    add("--watch-defaults", action="store_true",
        help="take the defaults from the cluster's ConfigMaps dind-defaults, as they change")
    add("--watch-namespaces", action="store_true",
        help="follow the namespaces' Pod Security levels, to warn of pods that they will refuse")
    add("--defaults", type=Path, metavar="FILE",
        help="take them from this ConfigMap in a file, as it changes")
    add("--namespace-defaults", type=_namespace_file, action="append", default=[],
        metavar="NAMESPACE=FILE", help="a namespace's ConfigMap in a file; may be repeated")
    add("--max-body-mib", type=_positive, default=4, metavar="MIB",
        help="the largest request (default: %(default)s; the API server's own limit is 3)")
    add("--read-seconds", type=_positive, default=10, metavar="SECONDS",
        help="how long a request may take to arrive (default: %(default)s)")
    add("--drain-seconds", type=_seconds, default=None, metavar="SECONDS",
        help="how long to serve on after SIGTERM, while the cluster takes this replica out of "
        "service (default: 5; 0 without --cert-secret or --cert-dir)")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info",
        help="what to log; each decision is logged at info (default: %(default)s)")
    # fmt: on
    return parser


def _from_environment(
    parser: argparse.ArgumentParser, argv: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """Return the flags that the environment gives and the command line does not."""
    named = {argument.partition("=")[0] for argument in argv}
    flags = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of its flags
        (*_, flag) = action.option_strings
        value = environ.get(ENVIRONMENT_PREFIX + flag.strip("-").replace("-", "_").upper())
        if not value or flag in named:
            continue
        if action.nargs != 0:
            flags.append(f"{flag}={value}")
        elif value == "true":
            flags.append(flag)
        elif value != "false":
            parser.error(f"{flag} in the environment is {value!r}: write true or false")
    return flags


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: write 0 to 65535")
    return port


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is wrong: write a number above 0")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is wrong: write 0 or more seconds")
    return number


def _namespace_file(text: str) -> tuple[str, Path]:
    namespace, equals, path = text.partition("=")
    if not (namespace and equals and path):
        raise argparse.ArgumentTypeError(f"{text} is wrong: write NAMESPACE=FILE")
    return namespace, Path(path)
