"""The calls that are not the kubelet's: for the admin, and for the node's agent."""

import sys
import time

from flexvol import __version__
from flexvol.conversion import convert
from flexvol.errors import BadCallError, SlabError
from flexvol.jsontext import dumps
from flexvol.log import Log
from flexvol.node import Node
from flexvol.pool import extend
from flexvol.prune import prune, read_selection
from flexvol.reconcile import Deed, reconcile
from flexvol.settings import load
from flexvol.status import report, show
from flexvol.step import unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flexvol.step import Watcher

HELP = """\
slab: keeps Docker graphs warm on LVM volumes, for the pods of this node

  slab setup       make the volume group of the disk that the settings name; takes nothing that is
                   not blank, and says what it found; make the thin pool, where the settings want
                   one, or remove it where they do not
  slab reconcile   put right what the kubelet forgot and what a crash left; safe at any time
  slab status      show every slab and the pool; --json for programs
  slab prune       remove caches that no pod uses; say which:
                     --scope SCOPE     of one scope, as slab status shows it, cache keys and all
                     --unused-for 7d   that nobody has used for so long (m, h, d or w)
                     --all             all of them, spares too
                     --dry-run         only say what would go
  slab version     print the version

The kubelet calls: init, mount DIR JSON, unmount DIR.
Settings: /etc/dind/slab.json (or the file that DIND_SLAB_SETTINGS names)."""


def main(
    arguments: "list[str]", environ: "Mapping[str, str]", watcher: "Watcher" = unwatched
) -> int:
    """Carry out an admin's call, telling ``watcher`` of every step; return the exit status."""
    call = arguments[0]
    if call in ("version", "--version"):
        _say(__version__)
        return 0
    if call not in ("setup", "reconcile", "status", "prune"):
        _say(HELP)
        return 0
    try:
        if call == "status":
            return _status(arguments[1:], environ)
        selection = read_selection(arguments[1:]) if call == "prune" else None
        settings = load(environ)
        node = Node(settings, watcher)
        log = Log(settings.log_file, call=call)
        if selection is not None:
            return _report(node, prune(node, selection, int(time.time()), log))
        return _setup(node, log) if call == "setup" else _report(node, reconcile(node, log))
    except SlabError as error:
        sys.stderr.write(f"slab {call}: {error}\n")
        return 1


def _setup(node: Node, log: Log) -> int:
    with node.decision() as lvm:
        done = [node.provide(lvm), extend(node.settings, lvm)]
    done += convert(node, log, make=True)
    for line in filter(None, done):
        log.info("pool", done=line)
        _say(line)
    with node.decision() as lvm:
        group = lvm.inventory().group
    free_mib = group.free_extents * group.extent_bytes >> 20
    _say(f"volume group {group.name} is ready: {free_mib} MiB free")
    return 0


def _report(node: Node, deeds: "Iterable[Deed]") -> int:
    """Say what is done as it is done; return 1 if anything could not be."""
    failed = False
    for deed in deeds:
        _say(f"{deed.slab or node.settings.volume_group}: {deed.what}")
        failed = failed or deed.failed
    return int(failed)


def _status(arguments: "list[str]", environ: "Mapping[str, str]") -> int:
    if arguments == ["--json"]:
        _say(dumps(report(environ)))
        return 0
    if arguments:
        raise BadCallError(f"{' '.join(arguments)!r} is not understood", "give --json, or nothing")
    show(environ)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
