"""How a slab is recorded in tags."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.model import PHASES, Slab, fits_a_tag, quote, slab_from, tags_of, unquote
from tests.flexvol.make import inventory, slab

ALLOWED = set(string.ascii_letters + string.digits + "_+.-/=!:&#")
"""lvm(8): what a tag may hold."""


@given(st.text())
def test_quoting_is_reversible_and_fits_in_a_tag(text: str) -> None:
    assert set(quote(text)) <= ALLOWED
    assert unquote(quote(text)) == text


@given(st.text(), st.text())
def test_different_texts_are_never_recorded_alike(one: str, other: str) -> None:
    assert (quote(one) == quote(other)) == (one == other)


slabs = st.builds(
    Slab,
    name=st.just("slab-x"),
    extents=st.just(25),
    phase=st.sampled_from(PHASES),
    size_mib=st.integers(1, 1 << 40),
    file_system=st.sampled_from(["ext4", "xfs"]),
    uuid=st.uuids().map(str),
    scope=st.text(max_size=60),
    graph_format=st.text(max_size=60),
    anonymous=st.booleans(),
    holder=st.text(max_size=60),
    release=st.integers(0, 1 << 60),
    uses=st.integers(0, 1 << 60),
    unchecked=st.booleans(),
    used_percent=st.none() | st.integers(0, 100),
    released_at=st.integers(0, 1 << 40),
    thin=st.booleans(),
    base=st.integers(0, 1 << 60),
    mapped_mib=st.integers(0, 1 << 40),
)


@given(slabs)
def test_a_slab_is_what_its_tags_say(original: Slab) -> None:
    tags = tags_of(original)
    assert all(set(tag) <= ALLOWED and not tag.startswith("-") for tag in tags)
    assert slab_from("slab-x", 25, sorted(tags)) == original


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [""],
        ["backup", "owner=admin"],
        ["dind.slab=free"],
        ["dind.slab=free", "dind.size=ten", "dind.fs=ext4", "dind.uuid=u"],
        ["dind.slab=unheard-of", "dind.size=4", "dind.fs=ext4", "dind.uuid=u"],
        ["dind.slab=free", "dind.slab=held", "dind.size=4", "dind.fs=ext4", "dind.uuid=u"],
        ["dind.slab=free", "dind.size=4", "dind.fs=ext4", "dind.uuid=u", "dind.scope=a=ZZ"],
    ],
)
def test_a_volume_whose_tags_do_not_say_what_it_is_is_none_of_ours(tags: list[str]) -> None:
    assert slab_from("slab-x", 25, tags) is None


def test_the_admins_own_tags_do_no_harm() -> None:
    tags = ["owner=admin", *tags_of(slab("a"))]
    assert slab_from("a", 25, tags) == slab("a")


def test_a_value_too_long_for_a_tag_is_told() -> None:
    assert fits_a_tag("x" * 900)
    assert not fits_a_tag("x" * 1000)
    assert not fits_a_tag("~" * 400)


def test_release_numbers_grow_whatever_the_clock_does() -> None:
    assert inventory().next_release() == 1
    assert inventory(slab("a", release=41), slab("b", release=3)).next_release() == 42


def test_only_a_slab_never_released_is_unproven() -> None:
    assert slab("a", release=0, uses=1).unproven
    assert slab("a", release=0, uses=0).unproven
    assert not slab("a", release=1, uses=1).unproven
    assert not slab("a", release=0, uses=2).unproven


@pytest.mark.parametrize(("size_mib", "extents"), [(1, 1), (4, 1), (5, 2), (100, 25)])
def test_sizes_are_rounded_up_to_extents(size_mib: int, extents: int) -> None:
    assert inventory().group.extents_for(size_mib) == extents
