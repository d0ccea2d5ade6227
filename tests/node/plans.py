"""Everything that a call of the driver may set out to do: how it comes to it, and its steps."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.node.disturbances import Disturbance, Outcome, disturb, reconcile_here
from tests.node.host import GROUP, Host, run
from tests.node.invariants import enter

SIZE_MIB = {"ext4": 64, "xfs": 320}
"""Of most slabs; mkfs.xfs makes none that is much smaller."""

A_SPARE = {"spares": {"64": 1}}


class Play:
    """The pods of one namespace, one after the other.

    Args:
        host: the node, which others use too.
        name: of the namespace, and the beginning of its pods' names.
        take: a number that keeps the pods of one disturbed call apart from those of the next.
        file_system: of the pods' volumes.
    """

    def __init__(self, host: Host, name: str, take: int, file_system: str) -> None:
        self.host = host
        self.name = name
        self.file_system = file_system
        self.size_mib = SIZE_MIB[file_system]
        self.options: dict[str, str] = {}
        self.pod = f"{name}-{take}"
        """The pod whose call is disturbed."""
        self.earlier = f"{name}-{take}.earlier"
        self.later = f"{name}-{take}.later"
        self.tenants: list[Play] = []
        """Others who have pods on the node as long as this one is played."""
        self._openers: list[subprocess.Popen[bytes]] = []

    def call(self, pod: str) -> tuple[str, str, str]:
        """Return a pod's mount call."""
        directory = self.host.directory(pod)
        directory.mkdir(parents=True, exist_ok=True)
        options = self.host.kubelet.options(
            pod, str(self.size_mib), self.name, self.file_system, **self.options
        )
        return "mount", str(directory), options

    def mount(self, pod: str) -> list[str]:
        """Start a pod; return which were in its slab before."""
        answer = self.host.kubelet.call(*self.call(pod))
        assert answer.status == "Success", answer.message
        return enter(self.host, pod, f"namespace/{self.name}")

    def end(self, pod: str) -> None:
        """End a pod as the kubelet does: it forgets one whose volume was never mounted."""
        if os.path.ismount(self.host.directory(pod)):
            answer = self.host.kubelet.end(pod)
            assert answer.status == "Success", answer.message
        else:
            self.host.kubelet.forget(pod)

    def leave_slab(self, health: str = "") -> str:
        """Have a pod come and go; return the name of the slab that it leaves."""
        self.mount(self.earlier)
        slab = self.host.mounted_slab(self.earlier)
        if health:
            self.say(self.earlier, health)
        self.end(self.earlier)
        return slab

    def say(self, pod: str, health: str) -> None:
        """Say of a pod's graph what its daemon would."""
        state = self.host.directory(pod) / ".dind" / "state"
        state.parent.mkdir(exist_ok=True)
        state.write_text(f"{health}\n")

    def lose_mount(self, pod: str) -> str:
        """Unmount a pod's slab, as a reboot does; return its name."""
        slab = self.host.mounted_slab(pod)
        run("umount", str(self.host.directory(pod)))
        return slab

    def open_elsewhere(self) -> None:
        """Have a process in another mount namespace hold on to all that is mounted."""
        opener = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", "echo; exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        assert opener.stdout is not None
        opener.stdout.readline()
        self._openers.append(opener)

    def close_elsewhere(self) -> None:
        """End what ``open_elsewhere`` began."""
        for opener in self._openers:
            opener.kill()
            opener.communicate()
        self._openers.clear()

    def disturb(self, call: str, disturbance: Disturbance) -> Outcome:
        """Make the call of the pod that is to be disturbed, or of the node."""
        if call == "mount":
            return disturb(self.host, disturbance, *self.call(self.pod))
        if call == "unmount":
            return disturb(self.host, disturbance, call, str(self.host.directory(self.pod)))
        return disturb(self.host, disturbance, call)


@dataclass(frozen=True)
class Plan:
    """One thing that a call may have to do.

    Attributes:
        name: for people.
        call: the call.
        arrange: makes the node such that the call has to do it.
        steps: what it does then, where nothing disturbs it.
        anew: each time needs a namespace that has no slabs yet.
        only_room_for: how many slabs the disk has room for; None for as many as are wanted.
        can_discard: whether the disk can be told to forget.
        thin: it is one of a node with a thin pool.
        leaves_generation: there is a generation of the pods' lineage whatever happens.
        settings: of the node.
        with_spares: a spare may be left on the node, which the next plan's pods must not find.
    """

    name: str
    call: str
    arrange: Callable[[Play], object]
    steps: str
    anew: bool = False
    only_room_for: int | None = None
    can_discard: bool = True
    thin: bool = False
    leaves_generation: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    with_spares: bool = False

    def __str__(self) -> str:
        return self.name

    def disk_mib(self, file_system: str) -> int:
        """Return the size of a disk for this plan."""
        size_mib = SIZE_MIB[file_system]
        # LVM's metadata area and what is lost to alignment come on top, and a pool's metadata.
        return (20 if self.thin else 12) + size_mib * (self.only_room_for or 40)

    def play(self, host: Host, take: int, file_system: str, *, anew: bool = False) -> Play:
        """Return pods for which everything is arranged.

        Args:
            host: the node.
            take: a number that no other play of this plan has on this node.
            file_system: of the pods' volumes.
            anew: in a namespace that has no slabs yet.
        """
        if self.call == "reconcile":
            host.configure()
            reconcile_here(host)
        host.configure(**self.settings)
        name = f"{self.name}-{take}" if anew or self.anew else self.name
        play = Play(host, name, take, file_system)
        self.arrange(play)
        return play


def deactivate(slab: str) -> None:
    """Take a slab's device away, as a reboot does."""
    run("lvchange", "--activate", "n", f"{GROUP}/{slab}")


def spoil(play: Play, slab: str) -> None:
    """Write noise over a slab; its superblocks stay, so that it is known what it was."""
    noise = os.urandom(1 << 20)
    with Path(play.host.device(slab)).open("r+b") as stream:
        for start in range(1 << 16, play.size_mib << 19, 1 << 20):
            stream.seek(start)
            stream.write(noise)


def nothing(_: Play) -> None:
    pass


def _ready_slab(play: Play) -> None:
    if not any(
        slab.scope == f"namespace/{play.name}" and slab.phase == "free"
        for slab in play.host.slabs()
    ):
        play.leave_slab()


def _inactive(play: Play) -> None:
    deactivate(play.leave_slab())


def _unclean(play: Play) -> str:
    return play.leave_slab("ready")


def _unclean_damaged(play: Play) -> None:
    spoil(play, _unclean(play))


def _warm_damaged(play: Play) -> None:
    spoil(play, play.leave_slab())


def orphaned(play: Play) -> str:
    play.mount(play.earlier)
    slab = play.lose_mount(play.earlier)
    play.host.kubelet.forget(play.earlier)
    return slab


def anonymous(play: Play) -> None:
    play.options["volume_type"] = "anonymous"


def mounted(play: Play) -> None:
    play.mount(play.pod)


def rebooted(play: Play) -> str:
    play.mount(play.pod)
    return play.lose_mount(play.pod)


def rebooted_inactive(play: Play) -> None:
    deactivate(rebooted(play))


def rebooted_damaged(play: Play) -> None:
    spoil(play, rebooted(play))


def half_made(play: Play) -> None:
    """Have the pod's own mount die before it has made the file system."""
    outcome = play.disturb("mount", Disturbance("kill", "before", 1))
    assert outcome.steps == ("lvcreate", "mkfs")


def _two_of_another(play: Play) -> None:
    """Fill the disk with two slabs of another namespace; the pod wants both their room."""
    tenants = [neighbour(play, name) for name in "ab"]
    for tenant in tenants:
        tenant.mount(tenant.pod)
    for tenant in tenants:
        tenant.end(tenant.pod)
    play.size_mib *= 2


def _doomed_beside_used(play: Play) -> None:
    """Fill the disk with a slab in use and one whose removal was cut short."""
    tenant = neighbour(play, "a")
    tenant.mount(tenant.pod)
    doomed = neighbour(play, "b")
    _doomed(doomed)
    play.tenants.append(tenant)


def neighbour(play: Play, name: str) -> Play:
    return Play(play.host, f"{play.pod}.{name}", 0, play.file_system)


def _doomed(play: Play) -> None:
    """Have the removal of a slab die when it has just been decided."""
    play.mount(play.earlier)
    play.say(play.earlier, "starting")
    directory = str(play.host.directory(play.earlier))
    outcome = disturb(play.host, Disturbance("kill", "after", 1), "unmount", directory)
    assert outcome.steps == ("umount", "lvchange")
    play.end(play.earlier)


def half_made_of_nobody(play: Play) -> None:
    half_made(play)
    play.end(play.pod)


def _orphaned_damaged(play: Play) -> None:
    spoil(play, orphaned(play))


def busy_and_closed(play: Play) -> None:
    play.mount(play.earlier)
    play.open_elsewhere()
    play.end(play.earlier)
    play.close_elsewhere()


def reserved_inactive(play: Play) -> None:
    tenant = neighbour(play, "a")
    deactivate(rebooted(tenant))
    play.tenants.append(tenant)


def no_spare(play: Play) -> None:
    """Have no spare where one is wanted."""
    play.host.configure()
    reconcile_here(play.host)
    play.host.configure(**A_SPARE)


def a_spare(play: Play) -> None:
    reconcile_here(play.host)


def superfluous_spare(play: Play) -> None:
    play.host.configure(**A_SPARE)
    reconcile_here(play.host)
    play.host.configure()


def mounted_unclean(play: Play) -> None:
    play.mount(play.pod)
    play.say(play.pod, "ready")


def mounted_never_ready(play: Play) -> None:
    play.mount(play.pod)
    play.say(play.pod, "starting")


def mounted_full(play: Play) -> None:
    play.mount(play.pod)
    big = play.host.directory(play.pod) / "big"
    run("fallocate", "--length", f"{play.size_mib * 6 // 10}M", str(big))


def mounted_anonymous(play: Play) -> None:
    anonymous(play)
    play.mount(play.pod)


def mounted_elsewhere(play: Play) -> None:
    play.mount(play.pod)
    play.open_elsewhere()


def rebooted_elsewhere(play: Play) -> None:
    mounted_elsewhere(play)
    play.lose_mount(play.pod)


# fmt: off
MOUNTS = (
    Plan("cold", "mount", nothing, "lvcreate mkfs mount", anew=True),
    Plan("anonymous", "mount", anonymous, "lvcreate mkfs mount"),
    Plan("warm", "mount", _ready_slab, "lvchange mount"),
    Plan("warm-inactive", "mount", _inactive, "lvchange lvchange mount"),
    Plan("unclean", "mount", _unclean, "fsck lvchange lvchange mount"),
    Plan("orphaned", "mount", orphaned, "fsck lvchange lvchange mount"),
)
RESUMING_MOUNTS = (
    Plan("resumed", "mount", rebooted, "fsck mount"),
    Plan("resumed-inactive", "mount", rebooted_inactive, "lvchange fsck mount"),
    Plan("resumed-half-made", "mount", half_made, "lvremove lvcreate mkfs mount", anew=True),
    Plan("resumed-damaged", "mount", rebooted_damaged,
         "fsck lvchange discard lvremove lvcreate mkfs mount"),
    Plan("unclean-damaged", "mount", _unclean_damaged,
         "fsck lvchange discard lvremove lvcreate mkfs mount"),
    Plan("warm-damaged", "mount", _warm_damaged,
         "lvchange mount lvchange fsck lvchange discard lvremove lvcreate mkfs mount"),
)
UNMOUNTS = (
    Plan("kept", "unmount", mounted, "umount lvchange"),
    Plan("kept-unclean", "unmount", mounted_unclean, "umount lvchange"),
    Plan("over-full", "unmount", mounted_full, "umount lvchange discard lvremove"),
    Plan("never-ready", "unmount", mounted_never_ready, "umount lvchange discard lvremove"),
    Plan("was-anonymous", "unmount", mounted_anonymous, "umount lvchange discard lvremove"),
    Plan("busy", "unmount", mounted_elsewhere, "umount lvchange"),
    Plan("given-up", "unmount", rebooted, "lvchange"),
    Plan("given-up-inactive", "unmount", rebooted_inactive, "lvchange lvchange"),
    Plan("given-up-half-made", "unmount", half_made, "lvremove", anew=True),
    Plan("given-up-busy", "unmount", rebooted_elsewhere, "lvchange"),
)
RECONCILIATIONS = (
    Plan("reconcile-orphaned", "reconcile", orphaned, "fsck lvchange"),
    Plan("reconcile-damaged", "reconcile", _orphaned_damaged, "fsck lvchange discard lvremove"),
    Plan("reconcile-unclean", "reconcile", _unclean, "fsck lvchange"),
    Plan("reconcile-busy", "reconcile", busy_and_closed, "fsck lvchange"),
    Plan("reconcile-doomed", "reconcile", _doomed, "discard lvremove"),
    Plan("reconcile-half-made", "reconcile", half_made_of_nobody, "lvremove", anew=True),
    Plan("reconcile-inactive", "reconcile", reserved_inactive, "lvchange"),
    Plan("reconcile-spare", "reconcile", no_spare, "lvcreate mkfs", settings=A_SPARE,
         with_spares=True),
    Plan("reconcile-superfluous", "reconcile", superfluous_spare, "lvremove", with_spares=True),
)
SPARE = Plan("spare", "mount", a_spare, "lvchange mount", anew=True, settings=A_SPARE,
             with_spares=True)
MAKING_ROOM = (
    Plan("room-of-two", "mount", _two_of_another,
         "lvchange discard discard lvremove lvcreate mkfs mount", only_room_for=2),
    Plan("room-of-doomed", "mount", _doomed_beside_used, "discard lvremove lvcreate mkfs mount",
         only_room_for=2),
    Plan("room-without-discards", "mount", _two_of_another, "lvremove lvcreate mkfs mount",
         only_room_for=2, can_discard=False),
)
ALL_PLANS = (*MOUNTS, *RESUMING_MOUNTS, *UNMOUNTS, *RECONCILIATIONS, SPARE, *MAKING_ROOM)
# fmt: on
