"""The entries in the kubelet's plugin directory: one small executable for each driver name.

The kubelet watches that directory. Any event on a name there that does not begin with a dot makes
it probe again, and a driver whose first ``init`` fails may not be asked again for minutes. So an
entry appears there only whole, a new driver's folder only with its entry in it, and an entry that
is already right is not touched. Source: docs/flexvolume.md.
"""

import re
from pathlib import Path

from flexvol.install import files
from flexvol.install.errors import InstallError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_BEFORE = "before-dind"


def entry_path(plugin_directory: Path, driver: str) -> Path:
    """Return where the executable of a driver lies, ``dind~slab/slab`` for ``dind/slab``.

    Raises:
        InstallError: it is not a driver's name.
    """
    if not _NAME.fullmatch(driver):
        raise InstallError(
            f"{driver!r} is not a driver's name", "write vendor and driver, as in dind/slab"
        )
    vendor, _, name = driver.partition("/")
    return plugin_directory / f"{vendor}~{name}" / name


def put(path: Path, text: str, root: Path) -> bool:
    """Put an entry in place and return whether that changed anything.

    Another driver's executable at that place is kept beside it, under a dot-name.

    Args:
        path: where, as ``entry_path`` says.
        text: the executable.
        root: the folder of the bundles; an entry that runs from there is ours.
    """
    path.parent.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.parent.exists():
        files.write_in_new_folder(path, text, 0o755, files.PROGRAM_TYPE)
        return True
    if path.exists() and not is_ours(path, root):
        kept = path.with_name(f".{path.name}.{_BEFORE}")
        kept.unlink(missing_ok=True)
        kept.hardlink_to(path)
    return files.write(path, text, 0o755, files.PROGRAM_TYPE)


def ours(plugin_directory: Path, root: Path) -> list[Path]:
    """Return every entry that runs a bundle from ``root``, ordered by path."""
    found = (path / path.name.partition("~")[2] for path in plugin_directory.glob("[!.]*~*"))
    return sorted(path for path in found if is_ours(path, root))


def is_ours(path: Path, root: Path) -> bool:
    """Tell whether an executable runs a bundle from ``root``."""
    try:
        with path.open("rb") as stream:
            first = stream.readline(4096)
    except OSError:
        return False
    return first.startswith(f"#!{root}/".encode())


def remove(path: Path) -> None:
    """Remove an entry; its folder stays for ``remove_folder``."""
    path.unlink(missing_ok=True)
    files.flush(path.parent)


def remove_folder(path: Path) -> None:
    """Remove the folder of a removed entry, if nothing else is in it.

    Not at once: the kubelet takes the folder's end for a change of the driver, and must have seen
    the end of the entry before.
    """
    try:
        path.parent.rmdir()
    except OSError:
        return
    files.flush(path.parent.parent)
