"""Where the disk comes from: a volume group made of blank devices, or of one file.

Runs under the decision lock, for ``setup`` and for the first mount that finds no volume group. What
is not blank is never taken: a device is blank if nobody holds it and its first and last MiB, where
every partition table and file system keeps its mark, are nothing but zeros.
"""

import errno
import os
import stat

from flexvol.command import run
from flexvol.errors import PoolError
from flexvol.settings import PATH, Settings
from flexvol.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.lvm import Lvm
    from flexvol.step import Watcher

_MIB = 1 << 20


def provide(settings: Settings, lvm: "Lvm", watcher: "Watcher") -> str:
    """Make the volume group, or bring it back after a reboot; return what was done.

    Does nothing where it is there. A crash on the way leaves what the next call takes up.

    Raises:
        PoolError: the settings name no disk, or one that may not be taken.
        CommandError: a command failed.
    """
    group = settings.volume_group
    if settings.file:
        device = _attached(settings, watcher)
        if lvm.exists():
            lvm.activate_all()
            return f"{settings.file} is attached as {device}"
        devices: tuple[str, ...] = (device,)
    else:
        if lvm.exists():
            return ""
        devices = settings.devices
    if not devices:
        raise PoolError(
            f"there is no volume group {group}, and the settings name no disk to make it of",
            f"name a blank device, or a file and its size, in {PATH}",
        )
    ours = lvm.unused_physical_volumes()
    for device in devices:
        if os.path.realpath(device) not in ours:
            refuse_unless_blank(device)
    lvm.make_group(devices)
    return f"volume group {group} is made of {', '.join(devices)}"


def extend(settings: Settings, lvm: "Lvm") -> str:
    """Add the devices that the settings name and the volume group lacks; return what was done.

    Raises:
        PoolError: one of them may not be taken; none is added.
    """
    known = {os.path.realpath(device) for device in lvm.inventory().group.devices}
    new = [device for device in settings.devices if os.path.realpath(device) not in known]
    for device in new:
        refuse_unless_blank(device)
    if not new:
        return ""
    lvm.extend_group(new)
    return f"volume group {settings.volume_group} is extended by {', '.join(new)}"


def refuse_unless_blank(device: str) -> None:
    """Raise unless a device is there, is held by nobody, and is blank.

    Raises:
        PoolError: it is not; the message says what was found.
    """
    try:
        if not stat.S_ISBLK(os.stat(device).st_mode):
            raise PoolError(f"{device} is not a block device")
        fd = os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise PoolError(
                f"{device} is in use: it or a part of it is mounted, or in LVM, RAID or swap",
                "name another device",
            ) from error
        raise PoolError(f"{device} cannot be opened: {error.strerror}") from error
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        for start in (0, max(0, size - _MIB)):
            if os.pread(fd, _MIB, start).strip(b"\0"):
                raise PoolError(
                    f"{device} is not blank: it holds {_signature(device)}",
                    "name another device; if nobody needs what it holds, erase it: "
                    f"blkdiscard --zeroout {device}",
                )
    finally:
        os.close(fd)


def _signature(device: str) -> str:
    """Say what a device holds, for people: nothing is decided by it."""
    ambivalent, nothing = 8, 2
    argv = ["blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "value", device]
    _, text = run(argv, changes=False, accept=(0, nothing, ambivalent))
    return " ".join(text.split()) or "data of a kind that blkid does not know"


def _attached(settings: Settings, watcher: "Watcher") -> str:
    """Return the loop device of the pool's file, making the file and attaching it as needed."""
    path = settings.file
    if not os.path.exists(path):
        with Step(watcher, "allocate"):
            _allocate(path, settings.file_size_mib * _MIB, sparse=settings.sparse)
    _, text = run(["losetup", "--associated", path, "--noheadings", "--output", "NAME"])
    if not text.split():
        with Step(watcher, "losetup"):
            _, text = run(["losetup", "--find", "--show", path])
    device = text.split()[0]
    if not settings.sparse:
        _forbid_discards(device)
    return device


def _allocate(path: str, size: int, *, sparse: bool) -> None:
    """Make the pool's file; it has its name only once it is whole."""
    draft = f"{path}.new"
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if sparse:
            os.ftruncate(fd, size)
        else:
            os.posix_fallocate(fd, 0, size)
        os.fsync(fd)
        os.rename(draft, path)
    except OSError as error:
        os.unlink(draft)
        raise PoolError(
            f"{path} cannot be made {size // _MIB} MiB large: {error.strerror}",
            "give it less, or another place",
        ) from error
    finally:
        os.close(fd)


def _forbid_discards(device: str) -> None:
    """Keep a file allocated in full that way: a discard would punch holes into it.

    The node's disk could then fill up under the slabs and break them all.
    """
    limit = f"/sys/block/{os.path.basename(device)}/queue/discard_max_bytes"
    with open(limit, "w", encoding="ascii") as stream:
        stream.write("0")
