"""Which slab a mount gets of a thin pool, decided without looking at anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.allocator import decide, gives_way
from flexvol.callout import Request
from flexvol.generations import (
    charge_extents,
    limit_extents,
    lineage_of,
    newest,
    newest_of_each,
    promised_extents,
    surplus,
)
from flexvol.model import (
    BUSY,
    DOOMED,
    FREE,
    GENERATION,
    HELD,
    SPARE,
    Inventory,
    Slab,
    ThinPool,
    is_removable,
)
from flexvol.plan import Create, Refuse, Settle, Take, Wait
from tests.flexvol.make import EXTENT_MIB, directory, inventory, request, slab

REQUEST = request(thin=True)


def thin(name: str, size_mib: int = 100, phase: str = GENERATION, **facts: object) -> Slab:
    """Return a volume of the thin pool, by default a generation that takes half of its size."""
    known: dict[str, object] = {"thin": True}
    if phase == GENERATION:
        known["mapped_mib"] = size_mib // 2
    return slab(name, size_mib, phase, **{**known, **facts})


def blank_spare(name: str, size_mib: int = 100) -> Slab:
    return thin(name, size_mib, SPARE, scope="", release=0, uses=0)


def ready_clone(name: str, of: Slab) -> Slab:
    return thin(name, of.size_mib, SPARE, base=of.release, release=0, uses=0)


def held(name: str, size_mib: int = 100) -> Slab:
    return thin(name, size_mib, HELD, holder=directory(name).path, release=0)


def pool(*slabs: Slab, mib: int = 1000, **facts: object) -> Inventory:
    """Return what a node with a thin pool of this size has."""
    return inventory(*slabs).replace(pool=ThinPool(mib // EXTENT_MIB).replace(**facts))


def test_without_a_generation_a_pod_starts_empty() -> None:
    assert decide(REQUEST, pool()) == Create()


def test_the_newest_generation_is_cloned_however_many_others_hold_clones_of_it() -> None:
    old, new = thin("old", release=3), thin("new", release=5)
    assert decide(REQUEST, pool(old, new, held("a"), held("b"))) == Create((), new)


def test_a_ready_clone_of_the_newest_generation_is_taken() -> None:
    old, new = thin("old", release=3), thin("new", release=5)
    stale, ready = ready_clone("stale", old), ready_clone("ready", new)
    assert decide(REQUEST, pool(stale, old, ready, new)) == Take(ready, "warm")
    assert decide(REQUEST, pool(stale, old, new)) == Create((), new)


def test_the_pods_own_clone_comes_first() -> None:
    own = thin("own", phase=HELD, holder=directory().path, release=0, base=5)
    assert decide(REQUEST, pool(thin("new", release=5), own)) == Take(own, "resumed")


@pytest.mark.parametrize(
    "difference",
    [{"scope": "namespace/other"}, {"file_system": "xfs"}, {"graph_format": "docker-28"}],
)
def test_nobody_gets_a_clone_of_another_lineage(difference: dict[str, object]) -> None:
    other = thin("other", release=5).replace(**difference)
    ready = ready_clone("ready", other).replace(**difference)
    assert decide(REQUEST, pool(other, ready)) == Create()


def test_who_asks_for_another_size_starts_empty() -> None:
    assert decide(REQUEST, pool(thin("other", 200, release=5))) == Create()


def test_an_anonymous_slab_starts_empty() -> None:
    assert decide(REQUEST.replace(anonymous=True), pool(thin("new"))) == Create()


def test_a_cache_that_is_only_read_is_warm() -> None:
    new = thin("new")
    reads = REQUEST.replace(anonymous=True, cache_read_only=True)
    assert decide(reads, pool(new)) == Create((), new)
    ready = ready_clone("ready", new)
    assert decide(reads, pool(new, ready)) == Take(ready, "warm")


def test_a_blank_spare_is_for_who_has_no_generation() -> None:
    spare = blank_spare("spare")
    assert decide(REQUEST, pool(spare)) == Take(spare, "spare")
    new = thin("new")
    assert decide(REQUEST, pool(spare, new)) == Create((), new)


def test_a_suspect_is_passed_over_for_an_older_one_and_checked_where_there_is_none() -> None:
    old, suspect = thin("old", release=3), thin("suspect", release=5, unchecked=True)
    assert decide(REQUEST, pool(old, suspect)) == Create((), old)
    assert decide(REQUEST, pool(suspect)) == Settle(suspect)


def test_what_a_clone_could_come_to_is_set_aside_for_it() -> None:
    """400 MiB: 50 for the generation, 100 for each of three clones; no fourth has room."""
    new = thin("new")
    three = [held(name) for name in "abc"]
    assert decide(REQUEST, pool(new, *three[:2], mib=400)) == Create((), new)
    assert isinstance(decide(REQUEST, pool(new, *three, mib=400)), Wait)
    assert decide(REQUEST, pool(new, *three, mib=400, overcommit=1.2)) == Create((), new)


def test_what_a_stranger_has_in_the_pool_is_set_aside_too() -> None:
    assert isinstance(decide(REQUEST, pool(held("a"), mib=300, foreign_extents=50)), Wait)


def test_room_is_made_of_spares_then_old_generations_then_the_least_recently_released() -> None:
    mine, mine_before = thin("mine", release=9), thin("mine-before", release=2)
    theirs = thin("theirs", release=4, scope="namespace/other")
    theirs_before = thin("theirs-before", release=3, scope="namespace/other")
    spare = blank_spare("spare")
    kept = [mine, mine_before, theirs, theirs_before, spare]
    taken = 4 * 52 + 100
    for free, gone in (
        (100, []),
        (8, [spare]),
    ):
        plan = decide(REQUEST, pool(*kept, mib=taken + free))
        assert plan == Create(tuple(gone), mine)
    without_spare = kept[:-1]
    for free, gone in (
        (48, [mine_before]),
        (0, [mine_before, theirs_before]),
    ):
        plan = decide(REQUEST, pool(*without_spare, mib=4 * 52 + free))
        assert plan == Create(tuple(gone), mine)
    plan = decide(REQUEST, pool(mine, theirs, mib=2 * 52 + 48))
    assert plan == Create((theirs,), mine)


def test_nothing_is_removed_where_it_could_not_suffice() -> None:
    full = pool(thin("mine"), blank_spare("spare", 40), held("a", 300), mib=400)
    assert isinstance(decide(REQUEST, full), Wait)


def test_a_generation_that_can_never_be_there_beside_its_clone_gives_way() -> None:
    new = thin("new", mapped_mib=60)
    assert decide(REQUEST, pool(new, mib=150)) == Create((new,))


def test_who_asks_for_more_than_the_pool_is_refused() -> None:
    plan = decide(request(2000, thin=True), pool())
    assert isinstance(plan, Refuse)
    assert "it can never have that much" in plan.reason


@pytest.mark.parametrize("percent", [80.0, 99.0])
def test_full_metadata_makes_room_before_anything_is_added(percent: float) -> None:
    mine, old = thin("mine", release=5), thin("old", release=2)
    crowded = pool(mine, old, metadata_percent=percent)
    assert decide(REQUEST, crowded) == Create((old,), mine)
    plan = decide(REQUEST, pool(mine, held("a"), metadata_percent=percent))
    assert isinstance(plan, Wait)
    assert "metadata" in plan.reason
    assert decide(REQUEST, pool(mine, metadata_percent=79.0)) == Create((), mine)


def test_a_thin_node_leaves_linear_slabs_alone_and_a_linear_one_the_pool() -> None:
    linear, generation = slab("linear"), thin("new")
    assert decide(REQUEST, pool(linear)) == Create()
    both = pool(linear, generation)
    assert decide(request(), both) == Take(linear, "warm")
    assert isinstance(decide(request(), pool(generation)), Wait), "the pool may be removed"


def test_who_waits_for_room_in_the_pool_goes_before_who_comes_later() -> None:
    full = pool(held("a"), mib=150)
    assert gives_way(Create(), [REQUEST], full)
    own = Take(thin("own", phase=HELD, holder=directory().path), "resumed")
    assert not gives_way(own, [REQUEST], full)


def test_only_the_last_generations_of_each_lineage_are_kept() -> None:
    mine = [thin(f"mine-{n}", release=n) for n in (1, 4, 6)]
    theirs = [thin(f"theirs-{n}", release=n, scope="namespace/o") for n in (2, 3)]
    assert surplus([*mine, *theirs], keep=2) == [mine[0]]
    assert surplus([*mine, *theirs], keep=1) == [mine[0], theirs[0], mine[1]]
    assert newest_of_each([*mine, *theirs]) == [mine[2], theirs[1]]


def test_a_suspect_is_kept_until_it_is_checked_unless_a_newer_one_is_sound() -> None:
    old, suspect = thin("old", release=3), thin("suspect", release=5, unchecked=True)
    assert surplus([old, suspect], keep=1) == []
    assert surplus([thin("new", release=6), old, suspect], keep=2) == [suspect]


def test_a_number_that_a_clone_names_is_never_given_again() -> None:
    """Its generation may be gone, and the clone must not be taken for one of another."""
    assert inventory(held("a").replace(base=7), thin("old", release=3)).next_release() == 8


@st.composite
def pools(draw: st.DrawFn) -> Inventory:
    """Draw a pool that is not over-promised, and what lies in it."""
    slabs: list[Slab] = []
    for number in range(draw(st.integers(0, 8))):
        phase = draw(st.sampled_from([HELD, SPARE, DOOMED, BUSY, GENERATION]))
        size_mib = draw(st.sampled_from([100, 200, 400]))
        slabs.append(
            thin(
                f"slab-{number}",
                size_mib,
                phase,
                release=number + 1 if phase == GENERATION else 0,
                base=draw(st.integers(0, 8)) if phase != GENERATION else 0,
                mapped_mib=draw(st.integers(1, size_mib)) if phase == GENERATION else 0,
                scope=draw(st.sampled_from(["namespace/team", "namespace/other"])),
                holder=directory(f"pod-{number}").path if phase == HELD else "",
                unchecked=draw(st.booleans()),
                orphaned=phase == HELD and draw(st.booleans()),
            )
        )
    there = pool(*slabs)
    mib = promised_extents(there) * EXTENT_MIB + draw(st.integers(0, 600))
    percent = draw(st.sampled_from([None, 10.0, 85.0]))
    return pool(*slabs, mib=mib, metadata_percent=percent)


REQUESTS = [
    REQUEST.replace(size_mib=size_mib, anonymous=anonymous)
    for size_mib in (100, 200, 400)
    for anonymous in (True, False)
]


@given(pools(), st.sampled_from(REQUESTS))
def test_whatever_there_is_the_pool_is_never_promised_twice(
    there: Inventory, asked: Request
) -> None:
    size_mib = asked.size_mib
    plan = decide(asked, there)
    if isinstance(plan, Create):
        assert all(is_removable(gone) for gone in plan.removals)
        assert plan.origin not in plan.removals
        left = there.replace(slabs=tuple(s for s in there.slabs if s not in plan.removals))
        made = promised_extents(left) + there.group.extents_for(size_mib)
        assert made <= limit_extents(there)
        gained = sum(charge_extents(slab, there) for slab in plan.removals)
        for slab in plan.removals[: -1 if there.pool.metadata_percent == 85.0 else None]:  # type: ignore[union-attr] # it has a pool
            short = gained - charge_extents(slab, there)
            room = limit_extents(there) - promised_extents(there)
            assert room + short < there.group.extents_for(size_mib), "one more than it takes"
        if plan.origin is not None:
            assert not asked.anonymous
            assert plan.origin == newest(there.slabs, lineage_of(plan.origin))
            assert (plan.origin.scope, plan.origin.size_mib) == (asked.scope, size_mib)
    elif isinstance(plan, Take):
        assert plan.slab.phase == SPARE
        assert plan.slab.base == 0 or plan.slab.scope == asked.scope
    elif isinstance(plan, Settle):
        assert plan.slab.unchecked
        assert plan.slab.phase == GENERATION


def test_free_is_no_state_of_a_thin_volume() -> None:
    assert decide(REQUEST, pool(thin("odd", phase=FREE))) == Create()
