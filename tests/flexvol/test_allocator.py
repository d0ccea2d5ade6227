"""Which slab a mount gets, decided without looking at anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.allocator import decide, gives_way
from flexvol.callout import Request
from flexvol.model import (
    BUSY,
    DOOMED,
    FREE,
    HELD,
    METADATA_BYTES_PER_SLAB,
    PHASES,
    SPARE,
    Inventory,
    Slab,
)
from flexvol.plan import Create, Plan, Refuse, Settle, Take, Wait
from tests.flexvol.make import directory, inventory, request, slab


def test_the_pods_own_slab_comes_first() -> None:
    own = slab("own", phase=HELD, holder=directory().path)
    assert decide(request(), inventory(slab("warm", release=9), own)) == Take(own, "resumed")


def test_the_slab_of_the_same_pods_other_volume_is_not_its_own() -> None:
    other = slab("other", phase=HELD, holder=directory(volume="second").path)
    assert decide(request(), inventory(other, free_mib=100)) == Create()


def test_the_most_recently_released_slab_is_taken() -> None:
    slabs = [slab("a", release=3), slab("b", release=12), slab("c", release=7)]
    assert decide(request(), inventory(*slabs)) == Take(slabs[1], "warm")


@pytest.mark.parametrize(
    "difference",
    [
        {"scope": "namespace/other"},
        {"graph_format": "docker-28"},
        {"file_system": "xfs"},
        {"size_mib": 104},
        {"anonymous": True},
        {"phase": BUSY},
        {"phase": DOOMED},
        {"phase": HELD, "holder": "/k/pods/other/volumes/d~s/g"},
    ],
    ids=str,
)
def test_a_slab_that_differs_is_not_taken(difference: dict[str, object]) -> None:
    other = slab("other").replace(**difference)
    assert decide(request(), inventory(other, free_mib=100)) == Create()


def test_an_anonymous_volume_never_gets_a_used_slab() -> None:
    assert decide(request(anonymous=True), inventory(slab("a"), free_mib=100)) == Create()


def test_a_slab_not_released_in_order_is_checked_first() -> None:
    unchecked = slab("a", unchecked=True)
    assert decide(request(), inventory(unchecked)) == Settle(unchecked)


def test_a_slab_whose_pod_is_gone_is_checked_and_then_free() -> None:
    orphan = slab("a", phase=HELD, holder="/k/pods/gone/volumes/d~s/g", orphaned=True)
    assert decide(request(), inventory(orphan)) == Settle(orphan)


def test_a_free_slab_is_preferred_to_an_orphan() -> None:
    orphan = slab("a", phase=HELD, holder="/gone", orphaned=True, release=9)
    free = slab("b", release=2)
    assert decide(request(), inventory(orphan, free)) == Take(free, "warm")


def test_a_spare_is_preferred_to_a_new_slab() -> None:
    spare = slab("s", phase=SPARE, scope="", uses=0, release=0)
    assert decide(request(), inventory(spare, free_mib=500)) == Take(spare, "spare")


def test_a_spare_of_another_size_is_left() -> None:
    spare = slab("s", 200, phase=SPARE, scope="", uses=0, release=0)
    assert decide(request(), inventory(spare, free_mib=500)) == Create()


def test_room_is_counted_in_whole_extents() -> None:
    assert decide(request(101), inventory(free_mib=104)) == Create()
    assert isinstance(decide(request(101), inventory(free_mib=100)), Refuse)


def test_doomed_slabs_go_first_then_spares_then_the_oldest() -> None:
    old = slab("old", release=1, scope="namespace/other")
    new = slab("new", release=2, scope="namespace/other")
    spare = slab("spare", 40, phase=SPARE, release=0)
    doomed = slab("doomed", 40, phase=DOOMED, release=8)
    everything = inventory(new, old, spare, doomed)
    assert decide(request(40), everything) == Take(spare, "spare")
    assert decide(request(36), everything) == Create((doomed,))
    assert decide(request(80), everything) == Create((doomed, spare))
    assert decide(request(160), everything) == Create((doomed, spare, old))


def test_what_a_larger_one_makes_needless_is_kept() -> None:
    small = slab("small", 40, release=1, scope="namespace/other")
    large = slab("large", 400, release=2, scope="namespace/other")
    assert decide(request(400), inventory(small, large)) == Create((large,))


def test_nothing_is_removed_where_it_would_not_suffice() -> None:
    held = slab("held", 400, phase=HELD, holder="/k/pods/other/volumes/d~s/g")
    plan = decide(request(300), inventory(slab("free"), held))
    assert isinstance(plan, Wait)
    assert "300 MiB" in plan.reason
    assert "100 MiB in slabs that may be removed" in plan.reason
    assert "400 MiB in use by other pods" in plan.reason


def test_what_could_never_fit_is_refused_at_once() -> None:
    assert isinstance(decide(request(5000), inventory(slab("free"), free_mib=100)), Refuse)


def test_a_full_metadata_area_counts_as_no_room() -> None:
    other = slab("other", scope="namespace/other")
    tight = inventory(other, free_mib=400, metadata_free_bytes=METADATA_BYTES_PER_SLAB - 1)
    assert decide(request(), tight) == Create((other,))


def test_a_reserved_slab_is_nobody_elses() -> None:
    reserved = slab("a", phase=HELD, holder="/k/pods/other/volumes/d~s/g")
    assert isinstance(decide(request(), inventory(reserved)), Wait)


requests = st.builds(
    request,
    size_mib=st.sampled_from([4, 8, 40, 100, 400]),
    pod=st.sampled_from(["pod", "other"]),
    scope=st.sampled_from(["namespace/team", "namespace/other"]),
    file_system=st.sampled_from(["ext4", "xfs"]),
    graph_format=st.sampled_from(["", "docker-29"]),
    anonymous=st.booleans(),
)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Any volume group, with any slabs in it."""
    slabs = []
    for number in range(draw(st.integers(0, 8))):
        asked = draw(requests)
        phase = draw(st.sampled_from(PHASES))
        slabs.append(
            slab(
                f"slab-{number}",
                asked.size_mib,
                phase,
                scope=asked.scope,
                file_system=asked.file_system,
                graph_format=asked.graph_format,
                anonymous=asked.anonymous,
                holder=asked.directory.path if phase == HELD else "",
                release=draw(st.integers(0, 20)),
                unchecked=draw(st.booleans()),
                orphaned=phase == HELD and draw(st.booleans()),
            )
        )
    return inventory(*slabs, free_mib=draw(st.integers(0, 500)))


def touched(plan: Plan) -> list[Slab]:
    """Return the slabs a plan hands out, checks or removes."""
    if isinstance(plan, Take | Settle):
        return [plan.slab]
    return list(plan.removals) if isinstance(plan, Create) else []


@given(requests, inventories())
def test_no_plan_ever_touches_a_slab_that_another_pod_holds(
    asked: Request, everything: Inventory
) -> None:
    for chosen in touched(decide(asked, everything)):
        others = chosen.phase == HELD and chosen.holder != asked.directory.path
        assert chosen.orphaned or not others


@given(requests, inventories())
def test_no_plan_ever_hands_out_anothers_scope(asked: Request, everything: Inventory) -> None:
    plan = decide(asked, everything)
    if isinstance(plan, Take) and plan.outcome == "warm":
        assert plan.slab.scope == asked.scope
        assert plan.slab.phase == FREE
        assert not plan.slab.unchecked


@given(requests, inventories())
def test_removals_suffice_and_none_of_them_is_needless(
    asked: Request, everything: Inventory
) -> None:
    plan = decide(asked, everything)
    if isinstance(plan, Create):
        group = everything.group
        gained = sum(chosen.extents for chosen in plan.removals)
        spare = group.free_extents + gained - group.extents_for(asked.size_mib)
        assert spare >= 0
        assert all(chosen.extents > spare for chosen in plan.removals)


@given(requests, inventories())
def test_a_call_waits_only_where_others_slabs_would_make_room(
    asked: Request, everything: Inventory
) -> None:
    plan = decide(asked, everything)
    needed = everything.group.extents_for(asked.size_mib)
    if isinstance(plan, Wait):
        assert needed <= everything.group.extents
    if isinstance(plan, Refuse):
        assert needed > everything.group.extents


def test_a_call_that_needs_room_lets_all_earlier_ones_go_first() -> None:
    full = inventory(slab("held", 400, phase=HELD, holder="/other"), free_mib=100)
    earlier = [request(300, pod="earlier", scope="namespace/other")]
    assert gives_way(Create(), earlier, full)
    assert not gives_way(Create(), [request(5000)], full)
    assert not gives_way(Create(), [], full)


def test_a_warm_call_lets_only_those_go_first_who_could_be_served_now() -> None:
    warm = slab("warm")
    plan = Take(warm, "warm")
    small = [request(100, pod="earlier", scope="namespace/other")]
    large = [request(300, pod="earlier", scope="namespace/other")]
    full = inventory(warm, slab("held", 400, phase=HELD, holder="/other"))
    assert gives_way(plan, small, full)
    assert not gives_way(plan, large, full)


def test_a_pods_own_slab_waits_for_nobody() -> None:
    own = slab("own", phase=HELD, holder=directory().path)
    assert not gives_way(Take(own, "resumed"), [request(4, pod="e")], inventory(own))
