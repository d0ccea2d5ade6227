"""What LVM says, understood."""

import json

import pytest

from flexvol.devicemapper import device_path, split_device_name
from flexvol.errors import PoolError
from flexvol.lvm_report import parse_report
from flexvol.model import ThinPool, tags_of
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


def volume(name: str, tags: str, **facts: str) -> dict[str, str]:
    """Return one logical volume of a report, by default a linear one."""
    plain = {"lv_name": name, "lv_size": "104857600", "lv_tags": tags, "lv_layout": "linear"}
    return {**plain, "pool_lv": "", "lv_metadata_size": "", **facts}


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


def pool_volume(name: str, **facts: str) -> dict[str, str]:
    """Return a thin pool of a report."""
    plain = {"lv_layout": "thin,pool", "lv_size": "1677721600", "lv_metadata_size": "4194304"}
    return volume(name, "dind.pool=thin", **{**plain, **facts})


def test_a_thin_pool_is_read_and_what_lies_in_it() -> None:
    clone = slab("slab-1", thin=True, base=4)
    in_pool = {"lv_layout": "thin,sparse", "pool_lv": "dind-pool"}
    mine = volume("slab-1", ",".join(sorted(tags_of(clone))), **in_pool)
    inventory = parse_report(report(pool_volume("dind-pool"), mine, volume("own", "", **in_pool)))
    assert inventory.slabs == (clone,)
    assert inventory.pool == ThinPool(extents=400, metadata_extents=1, foreign_extents=25)


@pytest.mark.parametrize(
    "volumes", [[], [pool_volume("admins")], [pool_volume("dind-pool", lv_layout="linear")]]
)
def test_no_other_volume_is_our_pool(volumes: list[dict[str, str]]) -> None:
    assert parse_report(report(*volumes)).pool is None


@pytest.mark.parametrize(("thin", "pool_lv"), [(True, ""), (False, "dind-pool"), (True, "other")])
def test_a_slab_that_lies_elsewhere_than_its_tags_say_is_none(
    thin: bool,  # noqa: FBT001 - parametrized
    pool_lv: str,
) -> None:
    tags = ",".join(sorted(tags_of(slab("slab-1", thin=thin))))
    odd = volume("slab-1", tags, pool_lv=pool_lv)
    assert parse_report(report(pool_volume("dind-pool"), odd)).slabs == ()


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
