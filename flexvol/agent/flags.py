"""The agent's command line."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flexvol.install.placing import Places

DESCRIPTION = """\
Keep this node's slabs in order, serve metrics, and tell the cluster what the node has to offer.
SIGHUP: begin the next round at once. SIGTERM: end; what the cluster was told stays."""


@dataclass(frozen=True)
class Flags:
    """The settings of one agent; the parser's help says what each means."""

    node: str
    kubeconfig: Path | None
    port: int
    interval_seconds: float
    places: Places
    settings_from: Path | None
    host_pid: int | None
    log_level: str
    withdraw: bool


def parse_flags(argv: Sequence[str], environ: Mapping[str, str]) -> Flags:
    """Read the flags; like argparse, exit with status 2 and a sentence where they are wrong."""
    parser = _parser(environ)
    given = parser.parse_args(argv)
    if given.command == "withdraw" and not given.node:
        parser.error("--node is missing: which node is to be withdrawn?")
    return Flags(
        node=given.node,
        kubeconfig=given.kubeconfig,
        port=given.port,
        interval_seconds=given.interval,
        places=Places(given.root, given.plugin_dir),
        settings_from=given.settings_from,
        host_pid=given.host_pid,
        log_level=given.log_level,
        withdraw=given.command == "withdraw",
    )


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flexvol agent",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    places = Places()
    add = parser.add_argument
    # fmt: off
    add("command", nargs="?", choices=("run", "withdraw"), default="run",
        help="run, or take from the node all that an agent told of it (default: %(default)s)")
    add("--node", default=environ.get("NODE_NAME", ""), metavar="NAME",
        help="the node's name in the cluster (default: the environment's NODE_NAME; without "
        "either, the cluster is told nothing)")
    add("--kubeconfig", type=Path, metavar="FILE",
        help="how to reach the cluster (default: the pod's service account)")
    add("--port", type=_port, default=9841, metavar="PORT",
        help="where to serve /metrics, /healthz and /readyz, 0 for any (default: %(default)s)")
    add("--interval", type=_seconds, default=30, metavar="SECONDS",
        help="between two rounds (default: %(default)s)")
    add("--root", type=Path, default=places.root, metavar="FOLDER",
        help="where the driver is installed (default: %(default)s)")
    add("--plugin-dir", type=Path, default=places.plugin_directory, metavar="FOLDER",
        help="the kubelet's --volume-plugin-dir (default: %(default)s)")
    add("--settings-from", type=Path, metavar="FOLDER",
        help="the node's settings, one key a file, as a ConfigMap is mounted: carried out as they "
        "change (without it, the settings file is left as it is)")
    add("--host-pid", type=int, metavar="PID",
        help="in a container: a process that lives in the host's namespaces, usually 1")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info",
        help="what to log (default: %(default)s)")
    # fmt: on
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: write 0 to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is wrong: write a number above 0, up to 3600")
    return seconds
