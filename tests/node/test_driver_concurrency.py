"""Many pods at once, the kubelet's repeats among them: no two ever share a slab."""

import fcntl
import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.node.host import Host
from tests.node.invariants import check, check_at_rest

NAMESPACES = ("one", "two", "three")
SIZES = ("16", "32", "48")
PATIENCE_SECONDS = 600
"""How long a pod is asked for again; the kubelet does so for as long as the pod exists."""


@dataclass
class Traffic:
    """Pods that come and go.

    Attributes:
        host: the node.
        seed: of everything random in it.
        seconds: how long new pods come.
    """

    host: Host
    seed: int
    seconds: float
    errors: list[str] = field(default_factory=list)
    served: int = 0

    def run(self, lanes: int) -> None:
        """Let pods come and go in so many lanes at once, then wait until all have ended."""
        deadline = time.monotonic() + self.seconds
        threads = [
            threading.Thread(target=self._lane, args=(number, deadline)) for number in range(lanes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _lane(self, lane: int, deadline: float) -> None:
        dice = random.Random(self.seed * 1000 + lane)  # noqa: S311 - a test's own dice
        number = 0
        while time.monotonic() < deadline and not self.errors:
            number += 1
            try:
                self._pod(f"pod-{lane}-{number}", dice)
            except Exception as error:
                self.errors.append(f"lane {lane}, pod {number}: {error!r}")

    def _pod(self, pod: str, dice: random.Random) -> None:
        namespace, size = dice.choice(NAMESPACES), dice.choice(SIZES)
        kubelet = self.host.kubelet
        arguments = kubelet.arguments(pod, size, namespace)
        calls = [kubelet.start("mount", *arguments) for _ in range(dice.choice((1, 1, 1, 2)))]
        answers = [kubelet.read(call) for call in calls]
        # As the kubelet does, where a busy machine has answered that it takes too long.
        patience = time.monotonic() + PATIENCE_SECONDS
        while answers[-1].status != "Success" and time.monotonic() < patience:
            answers.append(kubelet.call("mount", *arguments))
        assert answers[-1].status == "Success", answers
        self._work(pod, namespace, dice)
        for _ in range(dice.choice((1, 1, 2))):
            answer = kubelet.unmount(pod)
            assert answer.status == "Success", answer.message
        kubelet.forget(pod)
        self.served += 1

    def _work(self, pod: str, namespace: str, dice: random.Random) -> None:
        """Be a daemon: hold the graph's lock, and find nothing of another namespace."""
        folder = self.host.directory(pod)
        assert os.path.ismount(folder), f"nothing is mounted for {pod}"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owner = folder / "namespace"
            assert not owner.exists() or owner.read_text() == namespace
            owner.write_text(namespace)
            time.sleep(dice.uniform(0, 1))
            assert owner.read_text() == namespace


def let_them_come(host: Host, seed: int, seconds: float, lanes: int) -> None:
    """Run traffic, reconciling beside it, and look at what it leaves."""
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    host.configure(wait_seconds=120)
    traffic = Traffic(host, seed, seconds)
    ended = threading.Event()

    def upkeep() -> None:
        while not ended.wait(3):
            done = host.admin("reconcile")
            if done.returncode:
                traffic.errors.append(f"reconcile: {done.stdout}{done.stderr}")

    host.admin("setup")
    keeper = threading.Thread(target=upkeep)
    keeper.start()
    try:
        traffic.run(lanes)
    finally:
        ended.set()
        keeper.join()
    assert traffic.errors == []
    assert traffic.served >= lanes
    check(host)
    host.admin("reconcile")
    check_at_rest(host)


def test_eight_lanes_of_pods_for_a_minute(host: Host) -> None:
    let_them_come(host, seed=7, seconds=45, lanes=8)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_24_lanes_of_pods_for_five_minutes(host: Host, seed: int) -> None:
    let_them_come(host, seed, seconds=300, lanes=24)
