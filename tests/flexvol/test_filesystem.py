"""Superblocks, as mkfs writes them."""

from pathlib import Path

import pytest

from flexvol import filesystem
from flexvol.filesystem import HALF_MADE, INACTIVE, READABLE

UUID = "0f7bd0a6-6d2c-4c1e-9d0a-1b6f3c2f9a55"


def start_of(file_system: str, uuid: str) -> bytes:
    """Return the first 2 KiB of a file system: magic number and UUID at their places."""
    start = bytearray(2048)
    raw = bytes.fromhex(uuid.replace("-", ""))
    if file_system == "ext4":
        start[1024 + 0x38 : 1024 + 0x3A] = b"\x53\xef"
        start[1024 + 0x68 : 1024 + 0x78] = raw
    else:
        start[:4] = b"XFSB"
        start[32:48] = raw
    return bytes(start)


@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
def test_a_superblocks_uuid_is_read(file_system: str) -> None:
    assert filesystem.superblock_uuid(start_of(file_system, UUID), file_system) == UUID
    other = "xfs" if file_system == "ext4" else "ext4"
    assert filesystem.superblock_uuid(start_of(file_system, UUID), other) == ""
    assert filesystem.superblock_uuid(b"", file_system) == ""


def test_xfs_is_not_made_while_its_superblock_says_so() -> None:
    start = bytearray(start_of("xfs", UUID))
    start[126] = 1
    assert filesystem.superblock_uuid(bytes(start), "xfs") == ""


def test_a_device_is_half_made_until_it_carries_its_own_uuid(tmp_path: Path) -> None:
    device = tmp_path / "device"
    assert filesystem.look(str(device), "ext4", UUID) == INACTIVE
    device.write_bytes(bytes(4096))
    assert filesystem.look(str(device), "ext4", UUID) == HALF_MADE
    device.write_bytes(start_of("ext4", filesystem.new_uuid()))
    assert filesystem.look(str(device), "ext4", UUID) == HALF_MADE
    device.write_bytes(start_of("ext4", UUID))
    assert filesystem.look(str(device), "ext4", UUID) == READABLE


def test_a_proven_slab_is_not_half_made_whatever_its_device_holds(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.write_bytes(bytes(4096))
    assert filesystem.look(str(device), "ext4", "") == READABLE
