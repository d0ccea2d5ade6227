"""What LVM says, understood."""

import json

import pytest

from flexvol.errors import PoolError
from flexvol.lvm import device_path, parse_report, split_device_name
from flexvol.model import tags_of
from tests.flexvol.make import slab

GROUP = {
    "vg_name": "dind",
    "vg_uuid": "iREsFh-EwUQ-xYI2-B15p-uTZ5-CCed-E0Tp3O",
    "vg_seqno": "3",
    "vg_extent_size": "4194304",
    "vg_extent_count": "511",
    "vg_free_count": "383",
    "vg_mda_free": "519680",
    "vg_missing_pv_count": "0",
}


def report(*volumes: dict[str, str], **changes: str) -> str:
    """Return a report as lvm2 2.03 writes it."""
    group = {**GROUP, **changes}
    sections = {"vg": [group], "pv": [{"pv_name": "/dev/loop0"}], "lv": list(volumes), "seg": []}
    return json.dumps({"report": [sections]})


def volume(name: str, tags: str) -> dict[str, str]:
    """Return one logical volume of a report."""
    return {"lv_name": name, "lv_size": "104857600", "lv_tags": tags}


def test_slabs_and_room_are_read() -> None:
    mine = volume("slab-1", ",".join(sorted(tags_of(slab("slab-1")))))
    inventory = parse_report(report(mine))
    assert inventory.slabs == (slab("slab-1"),)
    assert inventory.group.free_extents == 383
    assert inventory.group.seqno == 3
    assert inventory.group.devices == ("/dev/loop0",)


def test_the_admins_volumes_are_no_slabs() -> None:
    inventory = parse_report(report(volume("home", ""), volume("slab-x", "backup,daily")))
    assert inventory.slabs == ()


def test_a_missing_disk_is_an_error_that_names_the_volume_group() -> None:
    with pytest.raises(PoolError, match=r"2 disk.s. of volume group dind are missing"):
        parse_report(report(vg_missing_pv_count="2"))


@pytest.mark.parametrize("text", ["", "{}", '{"report": []}', report().replace("511", "many")])
def test_a_report_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(PoolError, match="not understood"):
        parse_report(text)


@pytest.mark.parametrize(
    ("group", "name", "path"),
    [
        ("dind", "slab-1", "/dev/mapper/dind-slab--1"),
        ("my-vg", "a-b-c", "/dev/mapper/my--vg-a--b--c"),
    ],
)
def test_device_names_are_made_and_taken_apart(group: str, name: str, path: str) -> None:
    assert device_path(group, name) == path
    assert split_device_name(path.removeprefix("/dev/mapper/")) == (group, name)


@pytest.mark.parametrize("name", ["", "loop0", "a-b-c", "crypt"])
def test_other_device_names_are_none_of_lvms(name: str) -> None:
    assert split_device_name(name) is None
