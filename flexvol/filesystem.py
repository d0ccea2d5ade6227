"""File systems on slabs: making, recognising, checking, and measuring them."""

import errno
import os

from flexvol import devicemapper, mounts
from flexvol.command import run
from flexvol.errors import CommandError
from flexvol.release import HEALTH_FILE, Contents

EXT4 = "ext4"
XFS = "xfs"

_MAKE = {
    # Docker graphs are many small files: more inodes than usual, no blocks kept for root. Slabs
    # are discarded when deleted; inode tables are written while the pod runs.
    EXT4: ["mkfs.ext4", "-q", "-F", "-i", "8192", "-m", "0", "-E", "nodiscard,lazy_itable_init=1"],
    # overlay2 needs the file type in directory entries (ftype=1).
    XFS: ["mkfs.xfs", "-q", "-f", "-K", "-n", "ftype=1"],
}
_MAKE_ON_ZEROS = {EXT4: ["-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"], XFS: []}
"""Of a new thin volume nothing is written that is zero already."""

_MOUNT_ON_THIN = {EXT4: "noinit_itable", XFS: "nouuid"}
"""ext4(5): the inode tables need no zeros written to them, which would take room of the pool.
xfs(5): a clone carries the UUID of what it was cloned from, which may be mounted too."""

_EXT4_MAGIC_AT, _EXT4_MAGIC, _EXT4_UUID_AT = 1024 + 0x38, b"\x53\xef", 1024 + 0x68
_EXT4_STATE_AT, _EXT4_ERRORS = 1024 + 0x3A, 0x02
"""The kernel's Documentation/filesystems/ext4/super.rst: s_state, "errors detected"."""
_XFS_MAGIC_AT, _XFS_MAGIC, _XFS_UUID_AT = 0, b"XFSB", 32
_XFS_IN_PROGRESS_AT = 126
"""Not 0 until mkfs.xfs has written all the rest (xfs_format.h: sb_inprogress). mkfs.ext4 writes its
superblock last of all (e2fsprogs, lib/ext2fs/closefs.c)."""

_SENSELESS = (errno.EINVAL, errno.EUCLEAN, errno.EBADMSG)
"""What mount(2) answers where it read the device, and it holds no file system or a broken one."""

_READ_BYTES = 4 << 20

_PEEPHOLE = "/mnt"
"""Any directory that is always there: only a child in a mount namespace of its own uses it."""

READABLE = "readable"
OPEN = "open"
INACTIVE = "inactive"
HALF_MADE = "half-made"
UNREADABLE = "unreadable"


def make(device: str, file_system: str, uuid: str, *, zeroed: bool = False) -> None:
    """Make a file system that carries ``uuid``; its superblock is the last thing written.

    Args:
        device: its path.
        file_system: which.
        uuid: what its superblock is to carry.
        zeroed: all of the device is known to be zeros.

    Raises:
        CommandError: it could not be made.
    """
    identity = ["-U", uuid] if file_system == EXT4 else ["-m", f"uuid={uuid}"]
    zeros = _MAKE_ON_ZEROS[file_system] if zeroed else []
    run([*_MAKE[file_system], *zeros, *identity, device])


def mount_options(file_system: str, *, thin: bool) -> str:
    """Return what to mount a slab with."""
    return _MOUNT_ON_THIN[file_system] if thin else ""


def look(device: str, file_system: str, uuid: str) -> str:
    """Tell in what state a device is, without changing anything.

    Args:
        device: its path.
        file_system: the one it should hold.
        uuid: what its superblock should carry; empty not to look.

    Returns:
        ``OPEN`` if the kernel says that it is in use, in whatever mount namespace; ``INACTIVE`` if
        there is no such device, or an LVM command that died left it suspended; ``HALF_MADE`` if it
        was read and carries another UUID; ``UNREADABLE`` if it could not be read, which says
        nothing; else ``READABLE``.
    """
    try:
        fd = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return OPEN
        return INACTIVE if error.errno in (errno.ENOENT, errno.ENXIO) else UNREADABLE
    try:
        if devicemapper.is_suspended(os.fstat(fd).st_rdev):
            return INACTIVE
        made = not uuid or superblock_uuid(os.pread(fd, 2048, 0), file_system) == uuid
    except OSError:
        return UNREADABLE
    finally:
        os.close(fd)
    return READABLE if made else HALF_MADE


def check(device: str, file_system: str, options: str = "") -> bool:
    """Check a file system that nobody uses; return whether it is sound.

    A graph is a cache: what takes more to repair than a journal does is not sound.

    Raises:
        CommandError: it could not be told; the file system may well be sound.
        OSError: as CommandError.
    """
    if file_system == EXT4:
        return _check_ext4(device)
    return _check_xfs(device, options)


def _check_ext4(device: str) -> bool:
    # e2fsck(8): 1 and 2 are errors corrected, 4 errors left, 8 an operational error.
    corrected, left, operational = (0, 1, 2, 3), 4, 8
    argv = ["e2fsck", "-f", "-p", device]
    status, _ = run(argv, accept=(*corrected, left, operational))
    if status != operational:
        return status in corrected
    # Also what it says where there is no ext4 at all: then the disk itself tells.
    with open(device, "rb") as stream:
        start = stream.read(2048)
    if superblock_uuid(start, EXT4):
        raise CommandError(argv, status, "it could not read or open the device")
    return False


def _check_xfs(device: str, options: str) -> bool:
    try:
        inside(device, XFS, options)  # replays the log, without which there is nothing to check
    except OSError as error:
        # A log full of noise is answered as a failing disk is: then the disk itself tells.
        if error.errno in _SENSELESS or (error.errno == errno.EIO and _reads_to_the_end(device)):
            return False
        raise
    # xfs_repair(8): 1 is corruption, or that it could not do its work.
    corrupt = 1
    look = ["xfs_repair", "-n", device]
    status, _ = run(look, accept=(0, corrupt))
    if status == 0:
        return True
    status, _ = run(["xfs_repair", device], accept=(0, corrupt))
    can_work = status == 0
    if not can_work:
        raise CommandError(look, corrupt, "it could not do its work")
    return False


def _reads_to_the_end(device: str) -> bool:
    """Tell whether a disk gives all that it holds."""
    try:
        with open(device, "rb", buffering=0) as stream:
            while stream.read(_READ_BYTES):
                pass
    except OSError:
        return False
    return True


def has_errors(device: str, file_system: str) -> bool:
    """Tell whether the kernel has met errors in a file system that is mounted no more.

    It notes them in the superblock of ext4, whose journal then may not hold all that it should. An
    xfs is shut down by its first error, and its log is replayed by the next mount.
    """
    if file_system != EXT4:
        return False
    try:
        with open(device, "rb") as stream:
            start = stream.read(2048)
    except OSError:
        return True
    return bool(start[_EXT4_STATE_AT] & _EXT4_ERRORS)


def inside(device: str, file_system: str, options: str = "") -> Contents:
    """Return what a slab holds that is mounted nowhere.

    Raises:
        OSError: it cannot be mounted.
    """

    def work() -> str:
        mounts.mount(device, _PEEPHOLE, file_system, options=options)
        contents = measure(_PEEPHOLE)
        return f"{contents.used_percent} {contents.health}"

    used, _, health = mounts.in_private_namespace(work).partition(" ")
    return Contents(None if used == "None" else float(used), health)


def superblock_uuid(start: bytes, file_system: str) -> str:
    """Return the UUID in the superblock at a device's start, empty if it is not made to the end."""
    if file_system == EXT4:
        magic_at, magic, uuid_at = _EXT4_MAGIC_AT, _EXT4_MAGIC, _EXT4_UUID_AT
    else:
        magic_at, magic, uuid_at = _XFS_MAGIC_AT, _XFS_MAGIC, _XFS_UUID_AT
    if start[magic_at : magic_at + len(magic)] != magic:
        return ""
    if file_system == XFS and start[_XFS_IN_PROGRESS_AT] != 0:
        return ""
    digits = start[uuid_at : uuid_at + 16].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def new_uuid() -> str:
    """Return a random UUID, from the kernel."""
    with open("/proc/sys/kernel/random/uuid", encoding="ascii") as stream:
        return stream.read().strip()


def measure(directory: str) -> Contents:
    """Return how full the file system at a directory is, and what its daemon last said."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return Contents()
    try:
        return Contents(_used_percent(fd), _health(fd))
    finally:
        os.close(fd)


def _used_percent(fd: int) -> "float | None":
    try:
        facts = os.fstatvfs(fd)
    except OSError:
        return None
    totals = ((facts.f_blocks, facts.f_bfree), (facts.f_files, facts.f_ffree))
    return max((100 * (total - free) / total for total, free in totals if total), default=None)


def _health(fd: int) -> str:
    """Read the health file below ``fd``, never through a link: the graph's owner made all of it."""
    folder, name = HEALTH_FILE
    no_links = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        below = os.open(folder, no_links | os.O_DIRECTORY, dir_fd=fd)
        try:
            file = os.open(name, no_links, dir_fd=below)
        finally:
            os.close(below)
        try:
            return os.read(file, 64).decode("ascii", errors="replace").strip()
        finally:
            os.close(file)
    except OSError:
        return ""
