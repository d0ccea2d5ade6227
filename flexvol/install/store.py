"""The node's bundles: each in a folder named by its content, removed once nothing runs from it.

<root>/0.1.0-4f1d0c9a2b7e/     a bundle, and in it ``entry``, what the kubelet runs
<root>/slab                    a link to the entry of the newest; for people and the agent
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from flexvol.bundle.layout import PYTHON, Description, contents, entry, read_description
from flexvol.install import files
from flexvol.install.errors import InstallError

ENTRY = "entry"
CURRENT = "slab"
GRACE_SECONDS = 60.0
"""How long a bundle is kept after the last entry stopped naming it: a call that has just begun may
not have reached its interpreter yet."""


class Store:
    """The folder that holds the bundles of one node.

    Args:
        root: the folder; made if absent.
        proc: where the kernel shows the processes of the whole node.
    """

    def __init__(self, root: Path, proc: Path = Path("/proc")) -> None:
        self.root = root
        self._proc = proc

    def put(self, source: Path) -> Path:
        """Copy a bundle into the store, if it is not there already, and return where it is.

        Raises:
            BundleError: ``source`` is not a bundle.
            InstallError: it is, but damaged.
        """
        description = read_description(source)
        _check(source, description)
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        target = self.root / description.name
        damaged = 0
        while target.exists():
            if _is_whole(target, description):
                return target
            damaged += 1
            target = self.root / f"{description.name}.{damaged}"
        self._copy(source, target)
        return target

    def current(self) -> Path | None:
        """Return the bundle that was made the current one last, if any."""
        link = self.root / CURRENT
        return link.readlink().parent if link.is_symlink() else None

    def make_current(self, bundle: Path) -> None:
        """Have the link for people and the agent lead to ``bundle``; entries come before it."""
        files.link(self.root / CURRENT, bundle / ENTRY)

    def sweep(self, now: float | None = None) -> list[Path]:
        """Remove the bundles that nothing uses any more, and return them.

        Args:
            now: seconds since the epoch, if not the clock's.
        """
        link = self.root / CURRENT
        if not link.is_symlink():
            return []
        superseded_at = link.lstat().st_mtime
        if (time.time() if now is None else now) - superseded_at < GRACE_SECONDS:
            return []
        kept = self.current()
        removed = [path for path in self.bundles() if path != kept and not self.runs(path)]
        for path in removed:
            remove_tree(path)
        for leftover in self.root.glob(".*.new"):
            remove_tree(leftover)
        return removed

    def bundles(self) -> list[Path]:
        """Return every bundle in the store, ordered by name."""
        if not self.root.is_dir():
            return []
        return sorted(
            path for path in self.root.iterdir() if (path / PYTHON).exists() and path.is_dir()
        )

    def runs(self, bundle: Path) -> bool:
        """Tell whether any process of the node runs from ``bundle``."""
        python = (bundle / PYTHON).stat()
        return any(facts == (python.st_dev, python.st_ino) for facts in self._programs())

    def _programs(self) -> Iterator[tuple[int, int]]:
        for exe in self._proc.glob("[0-9]*/exe"):
            try:
                facts = exe.stat()
            except OSError:
                continue  # a kernel thread, or it ended
            yield facts.st_dev, facts.st_ino

    def _copy(self, source: Path, target: Path) -> None:
        text = entry(target)
        new = files.temporary(target)
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(source, new, symlinks=True)
        (new / ENTRY).write_text(text)
        (new / ENTRY).chmod(0o755)
        for path in (new, *new.rglob("*")):
            is_program = path.is_file() and path.stat().st_mode & 0o111 and ".so" not in path.name
            files.label(path, files.PROGRAM_TYPE if is_program else files.LIBRARY_TYPE)
        files.flush_tree(new)
        new.rename(target)
        files.flush(self.root)


def remove_tree(path: Path) -> None:
    """Remove a folder; its name goes first, so that half of it is never taken for a whole."""
    gone = path if path.name.startswith(".") else files.temporary(path)
    if gone != path:
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
    shutil.rmtree(gone)


def _check(source: Path, description: Description) -> None:
    found = dict(contents(source))
    wrong = sorted(
        name
        for name in description.files.keys() | found.keys()
        if description.files.get(name) != found.get(name)
    )
    if wrong:
        raise InstallError(
            f"the bundle at {source} is damaged: {', '.join(wrong[:5])}", "build it again"
        )


def _is_whole(bundle: Path, description: Description) -> bool:
    found = dict(contents(bundle))
    return (
        found.pop(ENTRY, None) is not None
        and found == dict(description.files)
        and (bundle / ENTRY).read_text() == entry(bundle)
    )
