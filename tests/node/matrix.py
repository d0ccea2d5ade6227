"""Every plan, disturbed at every one of its steps, and what must hold after each."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.node import invariants
from tests.node.disturbances import Disturbance, HereKubelet, reconcile_here
from tests.node.host import Host
from tests.node.plans import Plan, Play

AGAIN, NEVER = "called again", "never called again"
"""What comes after the disturbance. The kubelet repeats a call that it had no answer to, unless the
pod has been deleted meanwhile."""

ALTERNATELY = {"before": (AGAIN,), "after": (NEVER,)}
"""Between two steps the node is in one state, whether the driver was killed after the one or before
the other: so each is met twice, and both aftermaths are seen of each."""
ALL = {"before": (AGAIN, NEVER), "after": (AGAIN, NEVER)}


def kill_at_every_step(
    host: Host, plan: Plan, file_system: str, aftermaths: Mapping[str, Sequence[str]]
) -> None:
    """Kill the driver before and after every step of a plan, each time on a node arranged anew.

    Raises:
        AssertionError: a call that followed did not succeed, an invariant did not hold, or the plan
            has other steps than it says.
    """
    takes = itertools.count()
    for number in itertools.count():
        for moment in ("before", "after"):
            for aftermath in aftermaths[moment]:
                disturbance = Disturbance("kill", moment, number)
                with told(plan, disturbance, aftermath):
                    play = plan.play(host, next(takes), file_system)
                    outcome = play.disturb(plan.call, disturbance)
                    follow(play, plan, aftermath)
                    if not outcome.killed:
                        assert " ".join(outcome.steps) == plan.steps
                        assert outcome.answer is None or outcome.answer.status == "Success"
                        return


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
    elif plan.call in ("mount", "unmount"):
        play.end(play.pod)
    elif aftermath == AGAIN:
        assert not any(deed.failed for deed in reconcile_here(play.host))
    play.close_elsewhere()
    play.mount(pod)
    invariants.check(play.host)
    play.end(pod)
    for tenant in play.tenants:
        assert tenant.pod in tenant.mount(tenant.pod), "a neighbour lost its slab"
        tenant.end(tenant.pod)


@contextmanager
def told(plan: Plan, disturbance: Disturbance, aftermath: str) -> Iterator[None]:
    """Tell with an error what was done before it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{plan}: {disturbance}, then {aftermath}")
        raise


def leave(host: Host) -> None:
    """Put a node to rest whose pods have all ended.

    Raises:
        AssertionError: something is still to be put right then, or lost.
    """
    host.configure()
    assert not any(deed.failed for deed in reconcile_here(host))
    invariants.check_at_rest(host)
    invariants.check_no_leak(host)


@contextmanager
def a_node(place: Path, disk_mib: int = 4096) -> Iterator[Host]:
    """Make a node; at the end put it to rest, and see that nothing is lost of it."""
    with Host(place) as host:
        host.kubelet = HereKubelet(place / "here", host.kubelet.environ)
        host.add_disk(disk_mib)
        host.configure()
        yield host
        leave(host)
