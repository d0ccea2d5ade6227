"""``python -m flexvol.install``: the installer of a node."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from flexvol import jsontext
from flexvol.errors import SlabError
from flexvol.install import clearing, nodesettings, placing, removing
from flexvol.install.host import Host
from flexvol.install.placing import Places

BUNDLE = Path("/usr/lib/dind/bundle")
"""Where the image has the bundle."""


def start(arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Carry out one command and exit: 0 if it was done, 1 if not, saying why on stderr."""
    given = parser().parse_args(arguments)
    try:
        given.act(given, environ)
    except SlabError as error:
        sys.stderr.write(f"install: {error}\n")
        sys.exit(1)
    sys.exit(0)


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(jsontext.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _install(given: argparse.Namespace, _environ: Mapping[str, str]) -> None:
    wanted = nodesettings.read(given.settings_from) if given.settings_from else None
    placing.install(given.bundle, _places(given), wanted, Host(given.host_pid), _say)


def _remove(given: argparse.Namespace, _environ: Mapping[str, str]) -> None:
    removing.remove(
        _places(given),
        Host(given.host_pid),
        _say,
        purge=given.purge,
        patience_seconds=given.wait,
    )


def _clear(given: argparse.Namespace, environ: Mapping[str, str]) -> None:
    clearing.clear(environ, pool=given.pool)


def _places(given: argparse.Namespace) -> Places:
    return Places(given.root, given.plugin_dir)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="install", description="Install the driver on this node, or remove it."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    install = commands.add_parser("install", help="put the driver in place and make the pool")
    install.set_defaults(act=_install)
    install.add_argument(
        "--bundle", type=Path, default=BUNDLE, help="the bundle (default: %(default)s)"
    )
    install.add_argument(
        "--settings-from",
        type=Path,
        metavar="FOLDER",
        help="the node's settings, one key a file, as a ConfigMap is mounted; without it, the "
        "settings file is left as it is",
    )
    remove = commands.add_parser("remove", help="take the driver away again")
    remove.set_defaults(act=_remove)
    remove.add_argument("--purge", action="store_true", help="remove the pool too: every cache")
    remove.add_argument(
        "--wait",
        type=float,
        default=0,
        metavar="SECONDS",
        help="how long to wait for pods that use a slab (default: %(default)s)",
    )
    for command in (install, remove):
        _add_places(command)
    clear = commands.add_parser("clear", help="remove what the driver itself left; used by remove")
    clear.set_defaults(act=_clear)
    clear.add_argument("--pool", action="store_true", help="remove the pool too")
    return top


def _add_places(command: argparse.ArgumentParser) -> None:
    default = Places()
    command.add_argument(
        "--plugin-dir",
        type=Path,
        default=default.plugin_directory,
        help="the kubelet's --volume-plugin-dir (default: %(default)s)",
    )
    command.add_argument(
        "--root",
        type=Path,
        default=default.root,
        help="where bundles are kept, on a file system that allows execution "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--host-pid",
        type=int,
        metavar="PID",
        help="in a container: a process that lives in the host's namespaces, usually 1",
    )


if __name__ == "__main__":
    start(sys.argv[1:], os.environ)
