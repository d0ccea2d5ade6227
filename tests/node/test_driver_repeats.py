"""24 calls at once: pods of all kinds, the kubelet's repeats, drivers killed among them."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.node import invariants
from tests.node.disturbances import HereKubelet, reconcile_here
from tests.node.host import Host
from tests.node.kubelet import Kubelet
from tests.seed import dice

CALLS_AT_ONCE = 24
PODS_AT_MOST = 20
NAMESPACES = ("one", "two", "three")
SIZES_MB = ("16", "32", "48")
KILLED = 0.15
"""The part of the calls whose driver is killed on its way."""
LONGEST_DELAY_SECONDS = 3.0


@dataclass(frozen=True)
class Guest:
    """A pod on the node."""

    pod: str
    namespace: str
    size_mb: str
    anonymous: bool

    @property
    def options(self) -> dict[str, str]:
        """Its volume's options, besides the size."""
        return {"volume_type": "anonymous"} if self.anonymous else {}


@dataclass
class Rush:
    """Calls that all begin at once.

    Attributes:
        host: the node.
        kubelet: in whose processes the driver runs; the node's own calls it from this one.
        fate: what decides all that is random.
        running: the pods whose volume is mounted.
    """

    host: Host
    kubelet: Kubelet
    fate: random.Random
    running: list[Guest] = field(default_factory=list)
    born: int = 0

    def meet(self) -> None:
        """Begin as many calls as there are at once, wait for all, and set right what was killed.

        Raises:
            AssertionError: a call that was not killed failed, or an invariant does not hold.
        """
        calls: list[tuple[str, ...]] = []
        coming: list[Guest] = []
        going: list[Guest] = []
        while len(calls) < CALLS_AT_ONCE:
            mount, unmount = self._calls_of_a_pod(coming, going)
            calls += [mount] * self.fate.choice((0, 1, 1, 2)) if mount else []
            calls += [unmount] * self.fate.choice((1, 1, 2)) if unmount else []
        self.fate.shuffle(calls)
        self._make(calls)
        self._set_right(coming, going)

    def _calls_of_a_pod(
        self, coming: list[Guest], going: list[Guest]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Choose a pod that comes, goes, or goes while it still comes; return its calls."""
        comes = len(self.running) + len(coming) < PODS_AT_MOST and self.fate.random() < 0.6
        leaves = not comes or self.fate.random() < 0.25
        mount: tuple[str, ...] = ()
        if comes:
            self.born += 1
            guest = Guest(
                f"pod-{self.born}",
                self.fate.choice(NAMESPACES),
                self.fate.choice(SIZES_MB),
                self.fate.random() < 0.2,
            )
            arguments = self.kubelet.arguments(
                guest.pod, guest.size_mb, guest.namespace, **guest.options
            )
            mount = ("mount", *arguments)
            (going if leaves else coming).append(guest)
        elif self.running:
            guest = self.running.pop(self.fate.randrange(len(self.running)))
            going.append(guest)
        else:
            return (), ()
        directory = str(self.host.directory(guest.pod))
        return mount, ("unmount", directory) if leaves else ()

    def _make(self, calls: list[tuple[str, ...]]) -> None:
        begun = [self.kubelet.start(*call) for call in calls]
        reconciling = self._reconcile()
        doomed = [call for call in begun if self.fate.random() < KILLED]
        for call in doomed:
            time.sleep(self.fate.uniform(0, LONGEST_DELAY_SECONDS) / len(doomed))
            call.kill()
        for call in begun:
            if call in doomed:
                call.communicate()
            else:
                answer = Kubelet.read(call)
                assert answer.status == "Success", answer.message
        assert reconciling.wait() == 0

    def _reconcile(self) -> "subprocess.Popen[bytes]":
        command = (*self.kubelet.command, "reconcile")
        return subprocess.Popen(
            command, env=self.kubelet.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _set_right(self, coming: list[Guest], going: list[Guest]) -> None:
        """Do what the kubelet does until all is as it should be, and look."""
        for guest in going:
            answer = self.host.kubelet.end(guest.pod)
            assert answer.status == "Success", answer.message
        for guest in coming:
            answer = self.host.kubelet.mount(
                guest.pod, guest.size_mb, guest.namespace, **guest.options
            )
            assert answer.status == "Success", answer.message
        self.running += coming
        invariants.check(self.host)
        for guest in self.running:
            scope = f"namespace/{guest.namespace}"
            before = invariants.enter(self.host, guest.pod, scope)
            assert set(before).isdisjoint(
                other.pod for other in self.running if other is not guest
            ), "two pods share a slab"

    def end(self) -> None:
        """End all pods; nothing may be left of the rush."""
        for guest in self.running:
            self.host.kubelet.end(guest.pod)
        assert not any(deed.failed for deed in reconcile_here(self.host))
        invariants.check_at_rest(self.host)
        invariants.check_no_leak(self.host)


@pytest.fixture
def rush(host: Host) -> Iterator[Rush]:
    """A node with room for all pods at once and some more."""
    host.add_disk(512)
    host.configure(wait_seconds=120)
    kubelet = host.kubelet
    host.kubelet = HereKubelet(kubelet.root, kubelet.environ)
    assert host.admin("setup").returncode == 0
    rush = Rush(host, kubelet, dice("rush"))
    yield rush
    rush.end()


def keep_rushing(rush: Rush, seconds: float) -> None:
    """Begin calls at once, again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rush.meet()


def test_24_calls_at_once_for_half_a_minute(rush: Rush) -> None:
    keep_rushing(rush, 30)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_24_calls_at_once_for_ten_minutes(rush: Rush) -> None:
    keep_rushing(rush, 600)


def test_calls_for_one_directory_wait_for_each_other(host: Host) -> None:
    """Mount and unmount of one pod, eight of them at once."""
    mount = ("mount", *host.kubelet.arguments("a"))
    unmount = ("unmount", str(host.directory("a")))
    calls = [host.kubelet.start(*call) for call in (mount, unmount) * 4]
    for call in calls:
        assert host.kubelet.read(call).status == "Success"
    invariants.check(host)
    assert len(host.slabs()) == 1
    host.kubelet.end("a")
    assert not os.path.ismount(host.directory("a"))
    assert host.slab().phase == "free"


def test_of_calls_that_race_for_one_slab_one_gets_it(host: Host) -> None:
    host.kubelet.mount("before", "16")
    invariants.enter(host, "before", "namespace/default")
    host.kubelet.end("before")
    pods = "abcdef"
    calls = [host.kubelet.start("mount", *host.kubelet.arguments(pod, "16")) for pod in pods]
    for call in calls:
        assert host.kubelet.read(call).status == "Success"
    found = [invariants.enter(host, pod, "namespace/default") for pod in pods]
    assert sorted(found) == [[]] * 5 + [["before"]]
    invariants.check(host)
