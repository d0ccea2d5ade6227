"""The only door to processes: fixed environment, no shell, errors typed, time bounded.

What a command prints is read whole. Nothing is decided by its words, only by its exit status and by
the JSON that was asked for. ``subprocess`` is not used: importing it costs a tenth of a call.
"""

import os
import select

from flexvol.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1"}

PATIENCE_SECONDS = 300.0
"""How long a command may take. One that only reads is then killed; one that changes something is
left to end by itself, and holds the locks it inherited until it does."""

_PACKAGES = {"lvm": "lvm2", "mkfs.ext4": "e2fsprogs", "e2fsck": "e2fsprogs"}
_PACKAGES |= {"mkfs.xfs": "xfsprogs", "xfs_repair": "xfsprogs", "losetup": "util-linux"}


def run(
    argv: "list[str]",
    *,
    stdin: "int | None" = None,
    changes: bool = True,
    patience_seconds: float = PATIENCE_SECONDS,
    accept: "Sequence[int]" = (0,),
) -> "tuple[int, str]":
    """Run a command to its end and return its exit status and what it wrote to stdout.

    Args:
        argv: the program, found in ``PATH``, and its arguments.
        stdin: a lock's descriptor to hand down, for LVM's commands: they close every descriptor
            they inherit but the first three. Nothing to read, where there is none.
        changes: whether it changes anything, and so must not be killed when it is late.
        patience_seconds: how long to wait for it.
        accept: exit statuses that are not errors.

    Raises:
        CommandError: it is not installed, ended with another status, or did not end in time.
    """
    source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else stdin
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((source, out_end, err_end))]
    try:
        pid = os.posix_spawnp(argv[0], argv, ENVIRONMENT, file_actions=actions)
    except OSError as error:
        os.close(out)
        os.close(err)
        package = _PACKAGES.get(argv[0])
        hint = f"install {package}" if package and isinstance(error, FileNotFoundError) else ""
        raise CommandError(argv, None, f"it cannot be started: {error.strerror}", hint) from error
    finally:
        os.close(out_end)
        os.close(err_end)
        if stdin is None:
            os.close(source)
    texts = _read_all((out, err), patience_seconds)
    if texts is None:
        if not changes:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        raise CommandError(argv, None, f"it still runs after {patience_seconds:.0f} s")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    stdout, stderr = texts
    if status not in accept:
        raise CommandError(argv, status, stderr or stdout)
    return status, stdout


def _read_all(sources: "tuple[int, int]", patience_seconds: float) -> "list[str] | None":
    """Return all that comes from two pipes, or None if they are not closed in time."""
    poll = select.poll()
    pieces: dict[int, list[bytes]] = {}
    for fd in sources:
        poll.register(fd, select.POLLIN)
        pieces[fd] = []
    open_fds = set(sources)
    try:
        while open_fds:
            ready = poll.poll(patience_seconds * 1000)
            if not ready:
                return None
            for fd, _ in ready:
                piece = os.read(fd, 1 << 16)
                pieces[fd].append(piece)
                if not piece:
                    poll.unregister(fd)
                    open_fds.remove(fd)
    finally:
        for fd in sources:
            os.close(fd)
    return [b"".join(pieces[fd]).decode(errors="replace") for fd in sources]
