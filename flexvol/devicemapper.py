"""What the kernel's device-mapper says of a device, without ``dmsetup``: one ioctl. And names.

Sources: linux/dm-ioctl.h for the call; the kernel's admin-guide/device-mapper/thin-provisioning.rst
for the status lines of ``thin`` and ``thin-pool``.
"""

import fcntl
import os
import sys

from flexvol.record import Record

_CONTROL = "/dev/mapper/control"
_TABLE_STATUS = 0xC138FD0C
"""_IOWR(0xfd, 12, struct dm_ioctl), which is 312 bytes long."""

_HEADER_BYTES, _SPEC_BYTES, _BUFFER_BYTES = 312, 40, 4096
_NAME_AT, _NAME_BYTES = 48, 128

_SECTORS_PER_MIB = 2048


class PoolStatus(Record):
    """The state of a thin pool.

    Attributes:
        metadata_percent: of its metadata in use.
        data_percent: of its data in use.
        fault: why it cannot be written to; empty where it can.
    """

    metadata_percent: "float | None" = None
    data_percent: "float | None" = None
    fault: str = ""


def pool_status(name: str) -> "PoolStatus | None":
    """Return the state of a thin pool, None where there is no such device.

    Args:
        name: device-mapper's, of the device that carries the target ``thin-pool``.
    """
    words = _status(name, "thin-pool")
    if words is None:
        return None
    try:
        metadata, data, mode = _percent(words[1]), _percent(words[2]), words[4]
        needs_check = "needs_check" in words[5:]
    except (IndexError, ValueError, ZeroDivisionError):
        return PoolStatus(fault=f"the kernel says {' '.join(words)!r} of it")
    faults = [] if mode == "rw" else [{"ro": "it is read-only"}.get(mode, "its data is full")]
    if needs_check:
        faults.append("its metadata must be repaired")
    return PoolStatus(metadata, data, " and ".join(faults))


def mapped_mib(name: str) -> "int | None":
    """Return how much of its pool a thin volume takes, in whole MiB, None if it cannot be told."""
    words = _status(name, "thin")
    try:
        return None if words is None else -(-int(words[0]) // _SECTORS_PER_MIB)
    except (IndexError, ValueError):
        return None


def is_suspended(number: int) -> bool:
    """Tell whether a device is suspended: whoever reads it would hang until it is not.

    Args:
        number: the device's, as ``stat`` has it.
    """
    path = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/dm/suspended"
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip() == "1"
    except OSError:
        return False


def _percent(text: str) -> float:
    used, total = text.split("/")
    return 100 * int(used) / int(total)


def _status(name: str, kind: str) -> "list[str] | None":
    """Return the words of a device's status; None if it is not there or of another kind."""
    buffer = bytearray(_BUFFER_BYTES)
    major, minor, patch = 4, 0, 0
    header = (major, minor, patch, _BUFFER_BYTES, _HEADER_BYTES)
    buffer[:20] = b"".join(number.to_bytes(4, sys.byteorder) for number in header)
    encoded = name.encode()[: _NAME_BYTES - 1]
    buffer[_NAME_AT : _NAME_AT + len(encoded)] = encoded
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(control, _TABLE_STATUS, buffer)
        finally:
            os.close(control)
    except OSError:
        return None
    start, targets = (int.from_bytes(buffer[at : at + 4], sys.byteorder) for at in (16, 20))
    target = bytes(buffer[start + 24 : start + _SPEC_BYTES]).split(b"\0")[0].decode()
    if targets != 1 or target != kind:
        return None
    return buffer[start + _SPEC_BYTES :].split(b"\0")[0].decode().split()


def device_path(group: str, name: str) -> str:
    """Return the device of a logical volume; device-mapper doubles the hyphens of both names."""
    return f"/dev/mapper/{group.replace('-', '--')}-{name.replace('-', '--')}"


def split_device_name(name: str) -> "tuple[str, str] | None":
    """Return (volume group, logical volume) of a device-mapper name, None if it is not LVM's."""
    group, hyphen, volume = name.replace("--", "\0").partition("-")
    if not hyphen or "-" in volume:
        return None
    return group.replace("\0", "-"), volume.replace("\0", "-")
