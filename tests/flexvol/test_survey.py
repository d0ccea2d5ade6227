"""What is told of a node: the states of its slabs, and how much may be asked of it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol import filesystem
from flexvol.contract import EXTENT_MIB, MIN_STORAGE_MIB
from flexvol.model import BUSY, DOOMED, FREE, GENERATION, HELD, SPARE, Inventory, ThinPool
from flexvol.status import summary
from flexvol.survey import STATES, Survey, capacity_mib, document, state_of
from tests.flexvol.make import inventory, slab

READABLE, OPEN = filesystem.READABLE, filesystem.OPEN


@pytest.mark.parametrize(
    ("facts", "device", "state"),
    [
        ({"phase": HELD}, OPEN, "in use"),
        ({"phase": FREE}, OPEN, "in use"),
        ({"phase": BUSY}, OPEN, "busy"),
        ({"phase": HELD}, filesystem.HALF_MADE, "half-made"),
        ({"phase": HELD}, READABLE, "reserved"),
        ({"phase": HELD, "orphaned": True}, READABLE, "unclean"),
        ({"phase": FREE, "unchecked": True}, READABLE, "unclean"),
        ({"phase": FREE}, READABLE, "free"),
        ({"phase": FREE}, filesystem.INACTIVE, "free"),
        ({"phase": SPARE}, READABLE, "spare"),
        ({"phase": DOOMED}, READABLE, "doomed"),
        ({"phase": BUSY}, READABLE, "busy"),
        ({"phase": GENERATION}, READABLE, "generation"),
        ({"phase": GENERATION}, OPEN, "generation"),
        ({"phase": GENERATION, "unchecked": True}, READABLE, "unclean"),
    ],
)
def test_a_slab_is_in_the_state_that_record_and_kernel_tell(
    facts: dict[str, object], device: str, state: str
) -> None:
    assert state_of(slab("a").replace(**facts), device) == state
    assert state in STATES


def test_with_lvms_own_extents_all_that_is_there_may_be_asked_for() -> None:
    assert capacity_mib(inventory(slab("a", 400), slab("b", 100), free_mib=1000)) == 1500


def test_what_is_still_open_somewhere_is_no_room_for_anyone() -> None:
    assert capacity_mib(inventory(slab("a", 400, BUSY), free_mib=1000)) == 1000


def test_an_admins_own_volumes_are_no_room() -> None:
    shared = inventory(free_mib=1000)
    shared = shared.replace(group=shared.group.replace(extents=1000))
    assert capacity_mib(shared) == 1000


def with_extents_of(extent_kib: int, extents: int) -> Inventory:
    empty = inventory()
    group = empty.group.replace(extent_bytes=extent_kib << 10, free_extents=extents)
    return empty.replace(group=group)


@given(
    extent_kib=st.one_of(
        st.integers(0, 14).map(lambda power: 1 << power),
        st.integers(1, 200).map(lambda times: times * 128),
    ),
    extents=st.integers(0, 5000),
    seed=st.integers(),
)
def test_whatever_fits_the_capacity_fits_the_pool(extent_kib: int, extents: int, seed: int) -> None:
    pool = with_extents_of(extent_kib, extents)
    left_mib, left_extents = capacity_mib(pool), extents
    sizes = Random(seed)  # noqa: S311 - sizes of slabs
    while left_mib >= MIN_STORAGE_MIB:
        asked = sizes.randrange(MIN_STORAGE_MIB, left_mib + 1, EXTENT_MIB)
        left_mib -= asked
        left_extents -= pool.group.extents_for(asked)
    assert left_extents >= 0


def test_the_document_adds_up() -> None:
    found = inventory(slab("a", 400, HELD), slab("b", 100), slab("c", 60, SPARE), free_mib=1000)
    pool = document(Survey(found, ("in use", "free", "spare"), (7, 12, None)))["pool"]
    assert pool == {
        "volume_group": "dind",
        "size_bytes": 1560 << 20,
        "free_bytes": 1000 << 20,
        "reclaimable_bytes": 160 << 20,
        "provisioning": "linear",
        "capacity_mib": 1560,
    }


def test_the_document_of_a_thin_pool_tells_what_is_promised() -> None:
    generation = slab("g", 400, GENERATION, thin=True, mapped_mib=100)
    clone = slab("c", 400, HELD, thin=True, base=1)
    linear = slab("l", 40)
    found = inventory(generation, clone, linear).replace(pool=ThinPool(250, metadata_percent=11.0))
    survey = Survey(found, ("generation", "in use", "free"), (9, None, None), "thin", 12.5)
    told = document(survey)
    assert told["pool"] == {
        "volume_group": "dind",
        "size_bytes": 1000 << 20,
        "free_bytes": 500 << 20,
        "reclaimable_bytes": 100 << 20,
        "provisioning": "thin",
        "capacity_mib": 900,
        "data_percent": 12.5,
        "metadata_percent": 11.0,
    }
    assert [row["size_bytes"] >> 20 for row in told["slabs"]] == [100, 400, 40]  # type: ignore[attr-defined] # JSON


def test_all_that_is_told_the_scheduler_fits_beside_the_largest_generation() -> None:
    generation = slab("g", 400, GENERATION, thin=True, mapped_mib=100)
    pool = ThinPool(250)
    assert capacity_mib(inventory().replace(pool=pool), thin=True) == 1000
    assert capacity_mib(inventory(generation).replace(pool=pool), thin=True) == 900
    assert capacity_mib(inventory().replace(pool=pool.replace(overcommit=1.5)), thin=True) == 1500
    busy = slab("b", 200, BUSY, thin=True)
    assert capacity_mib(inventory(busy).replace(pool=pool), thin=True) == 800
    assert capacity_mib(inventory(), thin=True) == 0


@pytest.mark.parametrize(
    ("pool", "line"),
    [
        (None, "no thin pool: run slab setup"),
        (ThinPool(250, fault="it is read-only"), "cannot be written to: it is read-only"),
        (ThinPool(250, metadata_percent=11.0), "12 % of its data and 11 % of its metadata in use"),
    ],
)
def test_people_are_told_how_the_thin_pool_is(pool: ThinPool | None, line: str) -> None:
    found = inventory().replace(pool=pool)
    first, second = summary(Survey(found, (), (), "thin", 12.4)).splitlines()
    assert line in first
    assert second.startswith("volume group dind: ")
