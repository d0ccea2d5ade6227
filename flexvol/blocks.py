"""Blocks that are given back to what lies below, and blocks that are made sure of."""

import fcntl
import os

from flexvol import mounts

_BLKDISCARD = 0x1277
"""linux/fs.h: _IO(0x12, 119)."""

_FITRIM = 0xC0185879
"""linux/fs.h: _IOWR('X', 121, struct fstrim_range): start, length, least length, 8 bytes each."""


def can_discard(device: str) -> bool:
    """Tell whether the disk below a device can be told to forget blocks."""
    try:
        number = os.stat(device).st_rdev
        queue = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/queue/discard_max_bytes"
        with open(queue, encoding="ascii") as stream:
            return int(stream.read()) > 0
    except (OSError, ValueError):
        return False


def discard(device: str) -> None:
    """Tell the disk to forget all of a device.

    Raises:
        OSError: it is in use, or the disk failed.
    """
    fd = os.open(device, os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        fcntl.ioctl(fd, _BLKDISCARD, (0).to_bytes(8, "little") + size.to_bytes(8, "little"))
    finally:
        os.close(fd)


def trim(directory: str) -> None:
    """Discard what the file system at a directory does not use.

    Raises:
        OSError: it cannot, or the disk failed.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounts.sync(fd)  # what was deleted a moment ago is not free before
        everything = bytes(8) + b"\xff" * 8 + bytes(8)
        fcntl.ioctl(fd, _FITRIM, everything)
    finally:
        os.close(fd)


def flush(device: str) -> None:
    """Have all that was written to a device be on the disk, a thin pool's metadata too.

    Raises:
        OSError: the disk failed.
    """
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
