"""What a call of the driver may set out to do on a node with a thin pool: see ``plans.py``."""

from collections.abc import Callable
from functools import partial

from flexvol.model import GENERATION
from tests.node.disturbances import Disturbance, disturb, reconcile_here
from tests.node.host import GROUP, run
from tests.node.plans import (
    A_SPARE,
    Plan,
    Play,
    a_spare,
    anonymous,
    busy_and_closed,
    half_made,
    half_made_of_nobody,
    mounted,
    mounted_anonymous,
    mounted_elsewhere,
    mounted_full,
    mounted_never_ready,
    mounted_unclean,
    neighbour,
    no_spare,
    nothing,
    orphaned,
    rebooted,
    rebooted_damaged,
    rebooted_elsewhere,
    rebooted_inactive,
    reserved_inactive,
    spoil,
    superfluous_spare,
)

ONE_READY = {"ready_clones": 1}


def _generation(play: Play) -> None:
    """Have the lineage of the play's pods have a generation."""
    if not any(
        slab.scope == f"namespace/{play.name}" and slab.phase == GENERATION
        for slab in play.host.slabs()
    ):
        play.leave_slab()


def _then(play: Play, *, arrange: Callable[[Play], object]) -> None:
    """Arrange something beside a generation."""
    _generation(play)
    arrange(play)


def _beside(arrange: Callable[[Play], object]) -> Callable[[Play], object]:
    return partial(_then, arrange=arrange)


def _newest(play: Play) -> str:
    found = [slab for slab in play.host.slabs() if slab.scope == f"namespace/{play.name}"]
    return max(found, key=lambda slab: slab.release).name


def _ready_clone(play: Play) -> None:
    play.leave_slab()
    reconcile_here(play.host)


def _none_ready(play: Play) -> None:
    play.leave_slab()


def _stale_clone(play: Play) -> None:
    _ready_clone(play)
    play.leave_slab()
    play.leave_slab()


def _only_one_damaged(play: Play) -> None:
    play.leave_slab()
    spoil(play, _newest(play))


def _newest_damaged(play: Play) -> None:
    play.leave_slab()
    _only_one_damaged(play)


def _suspect(play: Play) -> None:
    play.leave_slab()
    run("lvchange", "--addtag", "dind.unchecked=yes", f"{GROUP}/{_newest(play)}")


def _suspect_damaged(play: Play) -> None:
    _suspect(play)
    spoil(play, _newest(play))


def _two_generations(play: Play) -> None:
    play.leave_slab()
    play.leave_slab()
    play.mount(play.pod)


def _surplus(play: Play) -> None:
    """Have a release die when a third generation has just been recorded."""
    _two_generations(play)
    directory = str(play.host.directory(play.pod))
    outcome = disturb(play.host, Disturbance("kill", "after", 2), "unmount", directory)
    assert outcome.steps == ("trim", "umount", "lvchange")


def _generations_of_others(play: Play) -> None:
    """Have others' generations take room; the pod wants all there is."""
    tenants = [neighbour(play, name) for name in "ab"]
    for other in tenants:
        other.leave_slab()
    play.size_mib *= 3


# fmt: off
_plan = partial(Plan, thin=True)
_warm_plan = partial(_plan, leaves_generation=True)
THIN_MOUNTS = (
    _plan("thin-cold", "mount", nothing, "lvcreate mkfs mount", anew=True),
    _plan("thin-anonymous", "mount", anonymous, "lvcreate mkfs mount"),
    _warm_plan("thin-cloned", "mount", _generation, "lvcreate mount"),
    _warm_plan("thin-ready", "mount", _ready_clone, "lvchange mount", settings=ONE_READY),
    _warm_plan("thin-resumed", "mount", _beside(rebooted), "fsck mount"),
    _warm_plan("thin-resumed-inactive", "mount", _beside(rebooted_inactive), "lvchange fsck mount"),
    _plan("thin-resumed-half-made", "mount", half_made, "lvremove lvcreate mkfs mount", anew=True),
    _warm_plan("thin-resumed-damaged", "mount", _beside(rebooted_damaged),
               "fsck lvremove lvcreate mount"),
    _warm_plan("thin-newest-damaged", "mount", _newest_damaged,
               "lvcreate mount lvremove lvchange lvcreate mount"),
    _plan("thin-only-one-damaged", "mount", _only_one_damaged,
          "lvcreate mount lvremove lvchange fsck lvremove lvcreate mkfs mount", anew=True),
    _plan("thin-suspect", "mount", _suspect, "fsck lvchange lvcreate mount", anew=True),
    _plan("thin-spare", "mount", a_spare, "lvchange mount", anew=True, settings=A_SPARE,
          with_spares=True),
)
THIN_UNMOUNTS = (
    _warm_plan("thin-committed", "unmount", _beside(mounted), "trim umount lvchange", anew=True),
    _warm_plan("thin-surplus", "unmount", _two_generations, "trim umount lvchange lvremove",
               anew=True),
    _warm_plan("thin-unclean", "unmount", _beside(mounted_unclean), "umount lvremove"),
    _warm_plan("thin-over-full", "unmount", _beside(mounted_full), "umount lvremove"),
    _warm_plan("thin-never-ready", "unmount", _beside(mounted_never_ready), "umount lvremove"),
    _plan("thin-was-anonymous", "unmount", mounted_anonymous, "trim umount lvremove"),
    _warm_plan("thin-busy", "unmount", _beside(mounted_elsewhere), "trim umount lvchange"),
    _warm_plan("thin-given-up", "unmount", _beside(rebooted), "lvremove"),
    _warm_plan("thin-given-up-inactive", "unmount", _beside(rebooted_inactive),
               "lvchange lvremove"),
    _plan("thin-given-up-half-made", "unmount", half_made, "lvremove", anew=True),
    _warm_plan("thin-given-up-busy", "unmount", _beside(rebooted_elsewhere), "lvchange"),
)
THIN_RECONCILIATIONS = (
    _warm_plan("thin-reconcile-orphaned", "reconcile", _beside(orphaned), "lvremove"),
    _warm_plan("thin-reconcile-busy", "reconcile", _beside(busy_and_closed), "lvremove"),
    _plan("thin-reconcile-half-made", "reconcile", half_made_of_nobody, "lvremove", anew=True),
    _plan("thin-reconcile-inactive", "reconcile", reserved_inactive, "lvchange"),
    _plan("thin-reconcile-spare", "reconcile", no_spare, "lvcreate mkfs", settings=A_SPARE,
          with_spares=True),
    _plan("thin-reconcile-superfluous", "reconcile", superfluous_spare, "lvremove",
          with_spares=True),
    _warm_plan("thin-reconcile-ready", "reconcile", _none_ready, "lvcreate", settings=ONE_READY),
    _warm_plan("thin-reconcile-stale", "reconcile", _stale_clone, "lvremove lvcreate",
               settings=ONE_READY),
    _warm_plan("thin-reconcile-surplus", "reconcile", _surplus, "lvremove", anew=True),
    _warm_plan("thin-reconcile-suspect", "reconcile", _suspect, "fsck lvchange", anew=True),
    _plan("thin-reconcile-damaged", "reconcile", _suspect_damaged, "fsck lvremove", anew=True),
)
THIN_MAKING_ROOM = (
    _plan("thin-room", "mount", _generations_of_others, "lvremove lvcreate mkfs mount",
          only_room_for=3),
)
# fmt: on
THIN_PLANS = (*THIN_MOUNTS, *THIN_UNMOUNTS, *THIN_RECONCILIATIONS, *THIN_MAKING_ROOM)
