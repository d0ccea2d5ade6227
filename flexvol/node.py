"""This very node: the few verbs that a plan needs, each one step.

What a step changes outlives the call; what lies between two steps does not.
"""

import binascii
import os
import time

from flexvol import blocks, devicemapper, filesystem, mounts
from flexvol.devicemapper import device_path, split_device_name
from flexvol.errors import BadCallError
from flexvol.lastseen import LastSeen
from flexvol.lock import Lock, Locks
from flexvol.lvm import Lvm
from flexvol.model import HELD, NAME_PREFIX, POOL_NAME, Inventory, Slab
from flexvol.record import Record
from flexvol.release import Contents
from flexvol.settings import Settings
from flexvol.step import Step, unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flexvol.callout import VolumeDirectory
    from flexvol.step import Watcher

_MOUNTING_SECONDS = 60.0

_CLOSING_SECONDS = 1.0
"""How long a slab may seem open after its last unmount: the kernel closes it a little later."""


class Mounted(Record):
    """The slab that is mounted at a directory.

    Attributes:
        group: its volume group.
        name: its logical volume.
        thin: it is a volume of a thin pool.
    """

    group: str
    name: str
    thin: bool = False


class Node:
    """The node.

    Args:
        settings: its own.
        watcher: told of every step.
    """

    def __init__(self, settings: Settings, watcher: "Watcher" = unwatched) -> None:
        self.settings = settings
        self.locks = Locks(settings.run_dir)
        self._watcher = watcher

    def volume_lock(self, directory: "VolumeDirectory") -> Lock:
        """Take the lock of a volume's directory, after another call for it if need be.

        Raises:
            BusyError: the other call takes longer than waiting for room and mounting may take.
        """
        # Its own name may be longer than a file's name can be.
        name = f"{directory.pod_uid[:64]}-{binascii.crc32(directory.path.encode()):08x}"
        return self.locks.volume(name, self.settings.wait_seconds + _MOUNTING_SECONDS)

    def decision(self) -> Lvm:
        """Take the decision lock and return the volume group, for as long as it is held.

        Raises:
            BusyError: the lock cannot be had.
        """
        lock = self.locks.decision()
        last_seen = LastSeen(f"{self.settings.run_dir}/inventory")
        return Lvm(self.settings.volume_group, last_seen, lock, self._watcher)

    def provide(self, lvm: Lvm) -> str:
        """Make the volume group, or bring it back after a reboot; return what was done.

        Raises:
            SlabError: as ``pool.provide``.
        """
        from flexvol import pool

        return pool.provide(self.settings, lvm, self._watcher)

    def of_group(self, group: str) -> "Node":
        """Return the node with another volume group: what is mounted says which one it is of."""
        if group == self.settings.volume_group:
            return self
        return Node(self.settings.replace(volume_group=group), self._watcher)

    def observe(self, inventory: Inventory) -> Inventory:
        """Return the inventory with what LVM does not record.

        The kubelet's directories tell who is orphaned, the kernel how the thin pool is.
        """
        pool = inventory.pool
        if pool is not None:
            status = self.pool_status() or devicemapper.PoolStatus()
            pool = pool.replace(
                overcommit=self.settings.overcommit,
                metadata_percent=status.metadata_percent,
                fault=status.fault,
            )
        return inventory.replace(
            slabs=tuple(
                slab.replace(orphaned=True) if _is_orphaned(slab) else slab
                for slab in inventory.slabs
            ),
            pool=pool,
        )

    def pool_status(self) -> "devicemapper.PoolStatus | None":
        """Return the state of the thin pool, None where it is not there or not active."""
        # LVM keeps the target under a name of its own, and maps the pool's own name to it.
        path = device_path(self.settings.volume_group, POOL_NAME)
        return devicemapper.pool_status(f"{os.path.basename(path)}-tpool")

    def device(self, slab: Slab) -> str:
        """Return the path of a slab's device."""
        return device_path(self.settings.volume_group, slab.name)

    def look(self, slab: Slab, *, patience_seconds: float = 0.0) -> str:
        """Tell in what state a slab's device is, as ``filesystem.look`` does.

        Args:
            slab: which.
            patience_seconds: how long to look again where it is open.
        """
        uuid = slab.uuid if slab.unproven else ""
        deadline = time.monotonic() + patience_seconds
        while True:
            state = filesystem.look(self.device(slab), slab.file_system, uuid)
            if state != filesystem.OPEN or time.monotonic() >= deadline:
                return state
            time.sleep(0.02)

    def is_open(self, slab: Slab) -> bool:
        """Tell whether a slab is still open anywhere, a moment after it was unmounted."""
        return self.look(slab, patience_seconds=_CLOSING_SECONDS) == filesystem.OPEN

    def make(self, slab: Slab) -> None:
        """Make a slab's file system."""
        with Step(self._watcher, "mkfs"):
            filesystem.make(self.device(slab), slab.file_system, slab.uuid, zeroed=slab.thin)

    def check(self, slab: Slab) -> bool:
        """Check a slab's file system; return whether it is sound."""
        with Step(self._watcher, "fsck"):
            return filesystem.check(self.device(slab), slab.file_system, _options(slab))

    def has_errors(self, slab: Slab) -> bool:
        """Tell whether the kernel has met errors in a slab that is mounted no more."""
        return filesystem.has_errors(self.device(slab), slab.file_system)

    def inside(self, slab: Slab) -> Contents:
        """Return what a slab holds that is mounted nowhere."""
        return filesystem.inside(self.device(slab), slab.file_system, _options(slab))

    def mapped_mib(self, slab: Slab) -> int:
        """Return how much of the pool a thin volume takes, once all of it is on the disk.

        Raises:
            OSError: the disk failed.
        """
        device = self.device(slab)
        blocks.flush(device)
        mapped = devicemapper.mapped_mib(os.path.basename(device))
        # Where it cannot be told, as much as there is: more is never set aside than it takes.
        return slab.size_mib if mapped is None else max(1, mapped)

    def trim(self, directory: "VolumeDirectory") -> None:
        """Give the pool back what the slab mounted at a volume's directory does not use."""
        with Step(self._watcher, "trim"):
            blocks.trim(directory.path)

    def can_discard(self, slab: Slab) -> bool:
        """Tell whether a slab's blocks can be discarded."""
        return blocks.can_discard(self.device(slab))

    def discard(self, slab: Slab) -> None:
        """Have the disk forget what a slab holds."""
        with Step(self._watcher, "discard"):
            blocks.discard(self.device(slab))

    def mount(self, slab: Slab, directory: "VolumeDirectory", *, read_only: bool) -> None:
        """Mount a slab at a volume's directory."""
        _refuse_links(directory)
        os.makedirs(directory.path, mode=0o750, exist_ok=True)
        with Step(self._watcher, "mount"):
            mounts.mount(
                self.device(slab),
                directory.path,
                slab.file_system,
                read_only=read_only,
                options=_options(slab),
            )

    def unmount(self, directory: "VolumeDirectory") -> None:
        """Unmount what is mounted at a volume's directory."""
        with Step(self._watcher, "umount"):
            mounts.unmount(directory.path)

    def measure(self, directory: "VolumeDirectory") -> Contents:
        """Return what the slab holds that is mounted at a volume's directory."""
        return filesystem.measure(directory.path)

    def used_percent(self, slab: Slab) -> "int | None":
        """Return how full a slab is, as far as it is known: now, or when it was last released."""
        if slab.phase != HELD:
            return slab.used_percent
        found = mounts.mounted_at(slab.holder)
        name = os.path.basename(self.device(slab))
        if not found or _device_mapper_name(found[-1].device) != name:
            return slab.used_percent
        used = filesystem.measure(slab.holder).used_percent
        return None if used is None else round(used)

    def mounted_at(self, directory: "VolumeDirectory") -> "Mounted | bool":
        """Return the slab mounted at a directory, True if something else is, False if nothing.

        Raises:
            BadCallError: a link leads from it to where perhaps another pod's volume is.
        """
        _refuse_links(directory)
        found = mounts.mounted_at(directory.path)
        if not found:
            return False
        names = split_device_name(_device_mapper_name(found[-1].device))
        if names is None or not names[1].startswith(NAME_PREFIX):
            return True
        return Mounted(*names, thin=_lies_in_a_thin_pool(found[-1].device))


def _options(slab: Slab) -> str:
    return filesystem.mount_options(slab.file_system, thin=slab.thin)


def _is_orphaned(slab: Slab) -> bool:
    """Tell whether the directory of a held slab's pod is gone (and not all of the kubelet's)."""
    if slab.phase != HELD:
        return False
    pod_directory = slab.holder.rsplit("/", 3)[0]
    try:
        os.lstat(pod_directory)
    except FileNotFoundError:
        return os.path.isdir(os.path.dirname(pod_directory))
    except OSError:
        pass
    return False


def _refuse_links(directory: "VolumeDirectory") -> None:
    """Raise if any part of a directory below the kubelet's root is a symbolic link."""
    path = directory.path
    while path != directory.root:
        if os.path.islink(path):
            raise BadCallError(f"{path} is a symbolic link", "the kubelet lays none there")
        path = os.path.dirname(path)


def _lies_in_a_thin_pool(device: str) -> bool:
    """Tell whether a device lies on LVM's device of a thin pool."""
    below = f"/sys/dev/block/{device}/slaves"
    try:
        slaves = os.listdir(below)
    except OSError:
        return False
    return any(_name_of(f"{below}/{slave}").endswith("-tpool") for slave in slaves)


def _device_mapper_name(device: str) -> str:
    return _name_of(f"/sys/dev/block/{device}")


def _name_of(folder: str) -> str:
    try:
        with open(f"{folder}/dm/name", encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""
