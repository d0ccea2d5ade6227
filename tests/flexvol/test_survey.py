"""What is told of a node: the states of its slabs, and how much may be asked of it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol import filesystem
from flexvol.contract import EXTENT_MIB, MIN_STORAGE_MIB
from flexvol.model import BUSY, DOOMED, FREE, HELD, SPARE, Inventory
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
        "capacity_mib": 1560,
    }
