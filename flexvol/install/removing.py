"""Takes the driver away from a node, in the order that leaves no pod stuck.

A pod cannot end while its volume's driver is missing: the kubelet would ask for ever. So nothing is
removed as long as any slab is mounted.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from flexvol.bundle.layout import FLAGS, INSTALLER, PROGRAM, PYTHON
from flexvol.errors import CommandError
from flexvol.install import entries
from flexvol.install.errors import InstallError
from flexvol.install.host import Host
from flexvol.install.placing import Places, Say, exclusively
from flexvol.install.store import CURRENT, Store, remove_tree

NOTICE_SECONDS = 5.0
"""How long the kubelet is given to see that an entry is gone before its folder goes. It looks for
changes whenever it handles any volume, several times a second."""

POLL_SECONDS = 1.0


def remove(
    places: Places,
    host: Host,
    say: Say,
    *,
    purge: bool = False,
    patience_seconds: float = 0,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Remove entries, settings and bundles.

    Args:
        places: where they are.
        host: the node.
        say: told of what was done.
        purge: remove the pool as well, with every slab.
        patience_seconds: how long to wait for pods that still use a slab.
        pause: sleeps.

    Raises:
        InstallError: slabs are in use still; nothing was removed.
        SlabError: a step failed; it can be done again.
    """
    with exclusively(places.root):
        store = Store(places.root, host.proc)
        found = entries.ours(places.plugin_directory, places.root)
        _wait_for_pods(host, found, say, patience_seconds, pause)
        for path in found:
            entries.remove(path)
            say("entry removed", path=str(path))
        if found:
            pause(NOTICE_SECONDS)
        for path in found:
            entries.remove_folder(path)
        current = store.current()
        if current is not None:
            program = PROGRAM.format(module=INSTALLER)
            words = ["clear", *(["--pool"] if purge else [])]
            host.run(current / PYTHON, FLAGS, "-c", program, *words)
            say("pool removed" if purge else "pool kept")
        places.settings_file.unlink(missing_ok=True)
        _remove_bundles(store, say, pause)
    shutil.rmtree(places.root, ignore_errors=True)
    for folder in (places.root, places.settings_file.parent):
        _remove_folder(host, folder)


def _wait_for_pods(
    host: Host,
    found: list[Path],
    say: Say,
    patience_seconds: float,
    pause: Callable[[float], None],
) -> None:
    folders = frozenset(path.parent.name for path in found)
    waited_seconds = 0.0
    told: list[str] = []
    while places := host.mounted_volumes(folders):
        if waited_seconds >= patience_seconds:
            raise InstallError(
                f"{len(places)} slabs are in use: {', '.join(places[:5])}",
                "end these pods first: without the driver they could not end",
            )
        if places != told:
            say("waiting for pods to end", mounted=places)
            told = places
        pause(POLL_SECONDS)
        waited_seconds += POLL_SECONDS


def _remove_bundles(store: Store, say: Say, pause: Callable[[float], None]) -> None:
    for bundle in store.bundles():
        while store.runs(bundle):
            pause(POLL_SECONDS)
        remove_tree(bundle)
        say("bundle removed", path=str(bundle))
    (store.root / CURRENT).unlink(missing_ok=True)


def _remove_folder(host: Host, folder: Path) -> None:
    """Remove a folder if it is empty; on the host, since in a container it may be a mount point."""
    try:
        host.run("rmdir", folder)
    except CommandError:
        return
