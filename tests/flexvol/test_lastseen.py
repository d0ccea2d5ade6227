"""The remembered inventory counts only while the disks say the same."""

from pathlib import Path

import pytest

from flexvol.lastseen import LastSeen
from flexvol.metadata_area import read_seqno
from flexvol.model import Inventory, ThinPool
from tests.flexvol.make import inventory, slab

UUID = "iREsFh-EwUQ-xYI2-B15p-uTZ5-CCed-E0Tp3O"
AREA = 4096


def write_disk(path: Path, seqno: int, *, uuid: str = UUID, ignored: int = 0) -> None:
    """Write what LVM writes at the start of a physical volume (lib/format_text/layout.h)."""
    text = f'dind {{\nid = "{uuid}"\nseqno = {seqno}\nformat = "lvm2"\n}}\n'.encode()
    label = b"LABELONE" + (1).to_bytes(8, "little") + bytes(4) + (32).to_bytes(4, "little")
    label += b"LVM2 001"
    areas = [(1 << 20, 0), (0, 0), (AREA, 1 << 19), (0, 0)]
    header = b"u" * 32 + (1 << 30).to_bytes(8, "little")
    header += b"".join(number.to_bytes(8, "little") for area in areas for number in area)
    area = bytes(4) + b" LVM2 x[5A%r0N*>" + (1).to_bytes(4, "little")
    area += AREA.to_bytes(8, "little") + (1 << 19).to_bytes(8, "little")
    area += (512).to_bytes(8, "little") + len(text).to_bytes(8, "little")
    area += bytes(4) + ignored.to_bytes(4, "little")
    disk = bytearray(1 << 20)
    disk[512 : 512 + len(label + header)] = label + header
    disk[AREA : AREA + len(area)] = area
    disk[AREA + 512 : AREA + 512 + len(text)] = text
    path.write_bytes(disk)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A physical volume whose metadata has been changed seven times."""
    path = tmp_path / "disk"
    write_disk(path, 7)
    return path


@pytest.fixture
def seen(disk: Path) -> Inventory:
    """The inventory that was read from it."""
    original = inventory(slab("a"), slab("b", phase="held", holder="/k/pods/p/volumes/d~s/g"))
    group = original.group.replace(uuid=UUID, seqno=7, devices=(str(disk),))
    return original.replace(group=group)


def test_what_was_kept_is_recalled(tmp_path: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    assert last.keep(seen)
    assert last.recall("dind") == seen


def test_a_thin_pool_is_recalled_too(tmp_path: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    with_pool = seen.replace(pool=ThinPool(400, 1, 25))
    assert last.keep(with_pool)
    assert last.recall("dind") == with_pool


def test_nothing_is_recalled_of_another_volume_group(tmp_path: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    last.keep(seen)
    assert last.recall("other") is None


def test_a_change_by_anyone_makes_it_worthless(tmp_path: Path, disk: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    last.keep(seen)
    write_disk(disk, 8)
    assert last.recall("dind") is None


def test_another_volume_group_of_the_same_name_makes_it_worthless(
    tmp_path: Path, disk: Path, seen: Inventory
) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    last.keep(seen)
    write_disk(disk, 7, uuid="another")
    assert last.recall("dind") is None


def test_what_the_disks_do_not_say_is_not_kept(tmp_path: Path, disk: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    write_disk(disk, 9)
    assert not last.keep(seen)
    assert last.recall("dind") is None


def test_forgotten_is_forgotten(tmp_path: Path, seen: Inventory) -> None:
    last = LastSeen(str(tmp_path / "inventory"))
    last.keep(seen)
    last.forget()
    last.forget()
    assert last.recall("dind") is None


@pytest.mark.parametrize("kept_bytes", [0, 1, 20, 100, -1, -4])
def test_a_file_cut_short_is_not_believed(tmp_path: Path, seen: Inventory, kept_bytes: int) -> None:
    path = tmp_path / "inventory"
    last = LastSeen(str(path))
    last.keep(seen)
    path.write_text(path.read_text()[:kept_bytes])
    assert last.recall("dind") is None


def test_the_sequence_number_is_read_from_the_disk(disk: Path) -> None:
    assert read_seqno(str(disk)) == (UUID, 7)


@pytest.mark.parametrize("at", [512, 536, 532, AREA + 4, AREA + 40, AREA + 520])
def test_whatever_looks_unusual_is_not_known(disk: Path, at: int) -> None:
    content = bytearray(disk.read_bytes())
    content[at : at + 8] = b"\xff" * 8
    disk.write_bytes(content)
    assert read_seqno(str(disk)) is None


def test_a_disk_that_keeps_no_metadata_is_not_known(disk: Path) -> None:
    write_disk(disk, 7, ignored=1)
    assert read_seqno(str(disk)) is None


def test_a_blank_or_an_absent_disk_is_not_known(tmp_path: Path) -> None:
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(1 << 16))
    assert read_seqno(str(blank)) is None
    assert read_seqno(str(tmp_path / "absent")) is None
