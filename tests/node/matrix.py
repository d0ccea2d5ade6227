"""Every plan, disturbed at every one of its steps, and what must hold after each."""

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.node import invariants
from tests.node.disturbances import Disturbance, HereKubelet, Outcome, reconcile_here
from tests.node.disturbed_driver import SYSTEM_CALLS
from tests.node.host import Host
from tests.node.plans import Plan, Play

AGAIN, NEVER = "called again", "never called again"
"""What comes after the disturbance. The kubelet repeats a call that it had no answer to, unless the
pod has been deleted meanwhile."""

ALTERNATELY = {"before": (AGAIN,), "after": (NEVER,)}
"""Between two steps the node is in one state, whether the driver was killed after the one or before
the other: so each is met twice, and both aftermaths are seen of each."""
BOTH = {"before": (AGAIN, NEVER), "after": (AGAIN, NEVER)}

LONGEST_COMMAND_SECONDS = 0.3
"""What a command takes in the guest, by and large."""


class Point(NamedTuple):
    """One call, disturbed once.

    Attributes:
        plan: what the call sets out to do.
        disturbance: what befalls it.
        aftermath: what comes then.
    """

    plan: Plan
    disturbance: Disturbance
    aftermath: str

    def __str__(self) -> str:
        return f"{self.plan}: {self.disturbance}, then {self.aftermath}"

    def meet(self, host: Host, take: int, file_system: str) -> Outcome:
        """Arrange everything, have it happen, and go on until the pods have ended.

        Raises:
            AssertionError: a call that followed did not succeed, or an invariant did not hold.
        """
        try:
            killed_only = self.disturbance.deed == "kill"
            play = self.plan.play(host, take, file_system, anew=not killed_only)
            before = () if killed_only else held_by(play)
            outcome = play.disturb(self.plan.call, self.disturbance)
            assert not (killed_only and outcome.failed), outcome.answer
            if outcome.failed and self.plan.call == "mount":
                assert not os.path.ismount(host.directory(play.pod))
                assert set(held_by(play)) <= set(before), "the attempt was not undone"
            follow(play, self.plan, self.aftermath)
        except BaseException as error:
            error.add_note(str(self))
            raise
        return outcome


def kill_at_every_step(
    host: Host, plan: Plan, file_system: str, aftermaths: Mapping[str, Sequence[str]]
) -> None:
    """Kill the driver before and after every step of a plan, each time on a node arranged anew.

    Raises:
        AssertionError: as ``Point.meet``, or the plan has other steps than it says.
    """
    takes = itertools.count()
    for number in itertools.count():
        for moment in ("before", "after"):
            for aftermath in aftermaths[moment]:
                point = Point(plan, Disturbance("kill", moment, number), aftermath)
                outcome = point.meet(host, next(takes), file_system)
                if not outcome.killed:
                    assert " ".join(outcome.steps) == plan.steps
                    assert not outcome.failed
                    return


def kills(plan: Plan, _: random.Random) -> Iterator[Disturbance]:
    """Yield the driver's death before and after each step."""
    for number, _step in enumerate(plan.steps.split()):
        yield Disturbance("kill", "before", number)
        yield Disturbance("kill", "after", number)


def failures(plan: Plan, _: random.Random) -> Iterator[Disturbance]:
    """Yield every failure of one step: not done, or done and said to have failed."""
    for number, step in enumerate(plan.steps.split()):
        yield Disturbance("fail", "before", number)
        if step not in SYSTEM_CALLS:
            yield Disturbance("fail", "after", number)


def interruptions(plan: Plan, dice: random.Random) -> Iterator[Disturbance]:
    """Yield, for each step, a death in the middle of it: of the driver alone, and of everything."""
    for number, _ in enumerate(plan.steps.split()):
        for deed in ("orphan", "massacre"):
            yield Disturbance(deed, "before", number, dice.uniform(0, LONGEST_COMMAND_SECONDS))


def held_by(play: Play) -> tuple[str, ...]:
    """Return the slabs recorded as those of the pod whose call is disturbed."""
    directory = str(play.host.directory(play.pod))
    return tuple(slab.name for slab in play.host.slabs() if slab.holder == directory)


def follow(play: Play, plan: Plan, aftermath: str) -> None:
    """Go on after a disturbance, until all pods of the play have ended.

    Raises:
        AssertionError: a call did not succeed, or an invariant does not hold.
    """
    pod = play.later
    if plan.call == "mount" and aftermath == AGAIN:
        pod = play.pod
    elif plan.call == "unmount" and aftermath == AGAIN:
        answer = play.host.kubelet.end(play.pod)
        assert answer.status == "Success", answer.message
        pod = ""  # the next play's pods take up what is left
    elif plan.call in ("mount", "unmount"):
        play.end(play.pod)
    elif aftermath == AGAIN:
        assert not any(deed.failed for deed in reconcile_here(play.host))
    play.close_elsewhere()
    if pod:
        before = play.mount(pod)
        assert before or not plan.leaves_generation, "where there was a generation, there is none"
    invariants.check(play.host)
    if pod:
        play.end(pod)
    for tenant in play.tenants:
        assert tenant.pod in tenant.mount(tenant.pod), "a neighbour lost its slab"
        tenant.end(tenant.pod)
    if plan.with_spares:
        play.host.configure()
        assert not any(deed.failed for deed in reconcile_here(play.host))


def leave(host: Host) -> None:
    """Put a node to rest whose pods have all ended.

    Raises:
        AssertionError: something is still to be put right then, or lost.
    """
    host.configure(ready_clones=0)
    assert not any(deed.failed for deed in reconcile_here(host))
    invariants.check_at_rest(host)
    invariants.check_no_leak(host)


@contextmanager
def a_node(
    place: Path, disk_mib: int = 4096, *, can_discard: bool = True, thin: bool = False
) -> Iterator[Host]:
    """Make a node; at the end put it to rest, and see that nothing is lost of it.

    Args:
        place: a folder of its own.
        disk_mib: the size of its disk.
        can_discard: whether the disk can be told to forget.
        thin: whether its slabs are volumes of a thin pool.
    """
    with Host(place) as host:
        host.kubelet = HereKubelet(place / "here", host.kubelet.environ)
        host.add_disk(disk_mib)
        if not can_discard:
            discard_limit(host.disks[0]).write_text("0")
        host.always = invariants.THIN if thin else {}
        host.configure()
        assert host.admin("setup").returncode == 0
        yield host
        leave(host)


def discard_limit(device: str) -> Path:
    """Return the file that says how much of a disk may be discarded at once."""
    return Path(f"/sys/block/{Path(device).name}/queue/discard_max_bytes")
