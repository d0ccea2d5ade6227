"""Removes what the driver itself left on the node: its log, its locks and, if asked to, the pool.

Runs where LVM and the kubelet run. A volume group is removed only if the settings name the disk it
was made of, and never while it holds a volume that is not ours; of others only the slabs go.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from flexvol.command import run
from flexvol.errors import CommandError, SettingsError
from flexvol.install.errors import InstallError
from flexvol.lvm import Lvm
from flexvol.node import Node
from flexvol.settings import Settings, load

_MIB = 1 << 20


def clear(environ: Mapping[str, str], *, pool: bool) -> None:
    """Remove log and locks and, with ``pool``, every slab and the volume group they lie in.

    Raises:
        InstallError: the settings cannot be read, so that nobody knows which pool is meant; or a
            slab is in use, or the volume group holds volumes of others.
        CommandError: a command failed.
    """
    try:
        settings = load(environ)
    except SettingsError as error:
        if pool:
            raise InstallError(f"which pool to remove is not known: {error}") from error
        settings = Settings()
    if pool:
        _remove_pool(settings)
    for path in (settings.log_file, f"{settings.log_file}.1"):
        Path(path).unlink(missing_ok=True)
    shutil.rmtree(settings.run_dir, ignore_errors=True)


def _remove_pool(settings: Settings) -> None:
    devices: tuple[str, ...] = ()
    made_by_us = bool(settings.devices or settings.file)
    with Node(settings).decision() as lvm:
        if lvm.exists():
            devices = _remove_slabs(lvm)
            if made_by_us:
                _remove_group(settings.volume_group)
    if made_by_us:
        for device in devices:
            run(["lvm", "pvremove", "--quiet", device])
            _make_blank(device)
    if settings.file:
        _remove_file(settings.file)


def _remove_slabs(lvm: Lvm) -> tuple[str, ...]:
    """Remove every slab and return the devices of the volume group."""
    inventory = lvm.inventory()
    if inventory.slabs:
        try:
            lvm.remove(inventory.slabs)
        except CommandError as error:
            raise InstallError(f"the slabs cannot be removed: {error}", "end their pods") from error
    if inventory.pool is not None:
        lvm.remove_pool()
    return inventory.group.devices


def _remove_group(group: str) -> None:
    # Without --force and with nobody to answer, LVM keeps a volume group that still holds volumes.
    try:
        run(["lvm", "vgremove", "--quiet", group])
    except CommandError as error:
        raise InstallError(
            f"volume group {group} stays, its slabs are gone: {error}",
            "it holds volumes that are not slabs: move them, or remove it by hand",
        ) from error


def _make_blank(device: str) -> None:
    """Erase what LVM and slabs left where ``setup`` looks for signs of use."""
    fd = os.open(device, os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        for start in (0, max(0, size - _MIB)):
            os.pwrite(fd, bytes(min(_MIB, size)), start)
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_file(path: str) -> None:
    _, text = run(["losetup", "--associated", path, "--noheadings", "--output", "NAME"])
    for device in text.split():
        run(["losetup", "--detach", device])
    if os.path.exists(path):
        os.unlink(path)
