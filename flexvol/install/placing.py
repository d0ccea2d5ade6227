"""Installs the driver on a node, or brings what is installed up to date.

The order makes every moment a working one: a bundle is complete before anything names it, and has
answered ``init`` on this very node before the kubelet is shown it; settings are there before the
entry that reads them. What is already right is not touched, so all of it may be done again at any
time.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flexvol import jsontext, settings
from flexvol.bundle.layout import entry, read_description
from flexvol.errors import CommandError
from flexvol.install import entries, nodesettings
from flexvol.install.errors import InstallError
from flexvol.install.host import Host
from flexvol.install.nodesettings import NodeSettings
from flexvol.install.store import ENTRY, Store

Say = Callable[..., None]
"""Tells of one event: its name, and fields by name."""


@dataclass(frozen=True)
class Places:
    """Where things go on the node; the same paths inside a container and on its host.

    Attributes:
        root: the folder of the bundles. On a file system that allows execution.
        plugin_directory: the kubelet's, ``--volume-plugin-dir``.
        settings_file: what the driver reads.
    """

    root: Path = Path("/opt/dind")
    plugin_directory: Path = Path("/usr/libexec/kubernetes/kubelet-plugins/volume/exec")
    settings_file: Path = Path(settings.PATH)


def install(
    source: Path, places: Places, wanted: NodeSettings | None, host: Host, say: Say
) -> None:
    """Install the bundle at ``source`` and make the node's pool.

    Args:
        source: the bundle.
        places: where things go.
        wanted: the node's settings; None to leave the settings file alone.
        host: the node.
        say: told of what was done.

    Raises:
        SlabError: it could not be done; what was installed before works on.
    """
    with exclusively(places.root):
        store = Store(places.root, host.proc)
        bundle = store.put(source)
        _try(bundle, host)
        say("bundle in place", path=str(bundle))
        _point(store, bundle, places, wanted, say)
    said = host.run(bundle / ENTRY, "setup")
    say("pool in place", said=said.strip())


def refresh(places: Places, wanted: NodeSettings, host: Host, say: Say) -> None:
    """Carry out changed settings with the bundle that is installed, and remove those out of use.

    Raises:
        SlabError: it could not be done, or nothing is installed.
    """
    with exclusively(places.root):
        store = Store(places.root, host.proc)
        bundle = store.current()
        if bundle is None:
            raise InstallError(f"no driver is installed in {places.root}", "install it first")
        _point(store, bundle, places, wanted, say)


@contextmanager
def exclusively(root: Path) -> Iterator[None]:
    """Keep other installers of this node out."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _point(
    store: Store, bundle: Path, places: Places, wanted: NodeSettings | None, say: Say
) -> None:
    """Have settings, entries and the link say what they should, and sweep."""
    wanted_drivers = NodeSettings({}).drivers if wanted is None else wanted.drivers
    paths = {entries.entry_path(places.plugin_directory, driver) for driver in wanted_drivers}
    # Pods may still use a name that is no longer wanted: its entry must not be left behind.
    paths |= set(entries.ours(places.plugin_directory, places.root))
    if wanted is not None and nodesettings.write(places.settings_file, wanted.document):
        say("settings written", path=str(places.settings_file))
    for path in sorted(paths):
        if entries.put(path, entry(bundle), places.root):
            say("entry in place", path=str(path))
    store.make_current(bundle)
    for removed in store.sweep():
        say("bundle removed", path=str(removed))


def _try(bundle: Path, host: Host) -> None:
    """Have the bundle answer the kubelet's first call on this node.

    Raises:
        InstallError: it does not run here.
    """
    glibc = read_description(bundle).glibc
    hint = f"it needs glibc {glibc} or newer, and a file system that allows execution at {bundle}"
    try:
        answer = host.run(bundle / ENTRY, "init")
        status = jsontext.loads(answer)
    except (CommandError, ValueError) as error:
        raise InstallError(f"the bundle does not run on this node: {error}", hint) from error
    if not isinstance(status, dict) or status.get("status") != "Success":
        raise InstallError(f"the bundle's answer to init is {answer!r}", hint)
