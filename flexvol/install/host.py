"""The host that a container runs on: commands in its namespaces, its mounts.

LVM must run where udev, the host's ``/run`` and its mounts are; so does everything of ours that
calls it. Needs a privileged container in the host's process namespace. Source: nsenter(1).
"""

from pathlib import Path

from flexvol.command import run
from flexvol.errors import CommandError

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
PATIENCE_SECONDS = 3600.0
"""Filling a large file for the pool takes as long as the disk does."""


class Host:
    """The host's namespaces.

    Args:
        pid: a process of the host's that lives in them, 1 in a DaemonSet; None to stay in our own.
        proc: where the kernel shows the host's processes.
    """

    def __init__(self, pid: int | None, proc: Path = Path("/proc")) -> None:
        self._pid = pid
        self.proc = proc

    def run(self, *argv: str | Path) -> str:
        """Run a command on the host and return what it wrote to stdout.

        Raises:
            CommandError: it failed, or is not there.
        """
        words = [str(word) for word in argv]
        way: list[str] = []
        if self._pid is not None:
            way = ["nsenter", "--target", str(self._pid), *NAMESPACES, "--"]
        try:
            return run([*way, *words], patience_seconds=PATIENCE_SECONDS)[1]
        except CommandError as error:
            if error.status is None:
                raise
            raise CommandError(words, error.status, error.stderr, error.hint) from error

    def path(self, path: Path) -> Path:
        """Return where a path of the host is seen from here; its links must not be absolute."""
        if self._pid is None:
            return path
        return self.proc / str(self._pid) / "root" / path.relative_to("/")

    def mounted_volumes(self, folders: frozenset[str]) -> list[str]:
        """Return where volumes are mounted of drivers with these folder names.

        The kubelet mounts a volume at ``…/volumes/<driver's folder>/<name>``.
        """
        mounts = (self.proc / (str(self._pid) if self._pid else "self") / "mounts").read_text()
        places = [line.split()[1] for line in mounts.splitlines()]
        return sorted(place for place in places if Path(place).parent.name in folders)
