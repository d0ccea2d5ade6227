"""Mounting, without ``mount``: the system calls, and what the kernel says is mounted.

A process less for every call. The sources of the constants: mount(2), umount(2), unshare(2),
syncfs(2).
"""

import os

from flexvol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MS_RDONLY = 0x1
MS_NOATIME = 0x400
MS_REC = 0x4000
MS_PRIVATE = 0x40000
UMOUNT_NOFOLLOW = 0x8
CLONE_NEWNS = 0x20000

_OCTAL = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class Mount(Record):
    """One line of the mount table: what is mounted at ``directory``.

    Attributes:
        directory: the mount point.
        device: the device's number, ``major:minor``.
    """

    directory: str
    device: str


def mount(
    device: str, directory: str, file_system: str, *, read_only: bool = False, options: str = ""
) -> None:
    """Mount a device at a directory, with the file system's own ``options``.

    Raises:
        OSError: the kernel's reason.
    """
    flags = MS_NOATIME | (MS_RDONLY if read_only else 0)
    arguments = (device.encode(), os.fsencode(directory), file_system.encode(), flags)
    _call("mount", *arguments, options.encode() or None)


def unmount(directory: str) -> None:
    """Unmount what is mounted at a directory; never lazily.

    Raises:
        OSError: the kernel's reason; EBUSY while anything in this mount namespace uses it.
    """
    _call("umount2", os.fsencode(directory), UMOUNT_NOFOLLOW)


def sync(fd: int) -> None:
    """Have all that was written to the file system that ``fd`` is open in be on its device.

    Raises:
        OSError: the device failed.
    """
    _call("syncfs", fd)


def in_private_namespace(work: "Callable[[], str]") -> str:
    """Run ``work`` in a child with a mount namespace of its own and return what it returned.

    Whatever it mounts is seen by no other process, and is gone with the child, however that ends.

    Raises:
        OSError: the child could not do it.
    """
    out, out_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 255
        try:
            _call("unshare", CLONE_NEWNS)
            _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
            os.write(out_end, work().encode())
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    os.close(out_end)
    with open(out, encoding="utf-8") as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status) if status > 0 else "it was killed")
    return text


def mounted_at(directory: str) -> "list[Mount]":
    """Return what is mounted at a directory in this mount namespace, the topmost last."""
    real = os.path.realpath(directory)
    return [mount for mount in _mount_table() if mount.directory == real]


def _mount_table() -> "list[Mount]":
    table = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            _, _, device, _, directory, _ = line.split(" ", 5)
            if "\\" in directory:
                for escaped, plain in _OCTAL.items():
                    directory = directory.replace(escaped, plain)
            table.append(Mount(directory, device))
    return table


def _call(name: str, *arguments: "bytes | int | None") -> None:
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.restype = ctypes.c_int
    typed = [ctypes.c_ulong(item) if isinstance(item, int) else item for item in arguments]
    if function(*typed) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
