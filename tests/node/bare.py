"""A root file system with glibc, named programs and the driver's bundle: no Python, no shell."""

import os
import shutil
import subprocess
from pathlib import Path

from flexvol.bundle.build import build
from flexvol.install.store import ENTRY, Store
from tests.node.host import run

MIRRORED = ("/dev", "/proc", "/sys", "/run", "/etc/lvm", "/tmp")  # noqa: S108 - the guest's own
"""What the kernel shows and the tests' disks and settings lie in."""


class BareRoot:
    """The root.

    Args:
        path: an empty folder for it.
        programs: what is installed, as ``lvm``; the libraries they need come along.
    """

    def __init__(self, path: Path, *programs: str) -> None:
        self.path = path
        for place in MIRRORED:
            self.inside(place).mkdir(parents=True, exist_ok=True)
            run("mount", "--rbind", place, str(self.inside(place)))
        for program in programs:
            self._install(program)
        self.add(Path("/bin/true"))
        source = path / "bundle"
        build(source)
        # Where it will be once this is the root; the entry names that place.
        bundle = Store(self.inside("/opt/dind")).put(source)
        shutil.rmtree(source)
        self.bundle = Path("/") / bundle.relative_to(path)
        entry = bundle / ENTRY
        entry.write_text(entry.read_text().replace(str(path), "", 1))
        self.command = ("chroot", str(path), str(self.bundle / ENTRY))

    def inside(self, path: str | Path) -> Path:
        """Return where a path of this root lies in ours."""
        return self.path / str(path).lstrip("/")

    def add(self, path: Path) -> None:
        """Copy a program or library and the libraries it needs, each to its own place."""
        target = self.inside(path)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.resolve(), target)
        for word in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.split():
            if word.startswith("/"):
                self.add(Path(word))

    def remove(self, program: str) -> None:
        """Uninstall a program."""
        for folder in ("/usr/sbin", "/usr/bin"):
            self.inside(folder).joinpath(program).unlink(missing_ok=True)

    def close(self) -> None:
        """Take the mounts away."""
        for place in reversed(MIRRORED):
            run("umount", "--recursive", str(self.inside(place)))

    def _install(self, program: str) -> None:
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert found is not None, program
        self.add(Path("/usr/sbin") / Path(found).name)


def executables(root: Path) -> set[str]:
    """Return the names of all files that may be executed, on this file system alone."""
    found = set()
    device = root.stat().st_dev
    for folder, folders, names in os.walk(root):
        folders[:] = [one for one in folders if (Path(folder) / one).lstat().st_dev == device]
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink() and os.access(path, os.X_OK):
                found.add("/" + str(path.relative_to(root)))
    return found
