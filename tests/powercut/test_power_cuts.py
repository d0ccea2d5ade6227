"""The whole node loses its power, again and again, and keeps its disk."""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guest import machine
from tests.guest.machine import Guest
from tests.seed import dice

DISK_MIB = {
    ("device", "ext4"): 420,
    ("file", "ext4"): 600,
    ("device", "xfs"): 1500,
    ("thin", "ext4"): 900,
    ("thin", "xfs"): 4000,
}
"""The disk, or the one that the pool's file lies on: room for all pods at once and some more."""
PATIENCE_SECONDS = 240


class Node:
    """A node whose power can be cut: ``life.py``, boot after boot.

    Args:
        place: a folder of its own.
        pool: where its disk comes from: ``device``, ``thin`` or ``file``.
        file_system: of its slabs.
        fate: what decides when the power goes.
    """

    def __init__(self, place: Path, pool: str, file_system: str, fate: random.Random) -> None:
        self._share = place / "share"
        (self._share / "node").mkdir(parents=True)
        self._ledger = self._share / "node" / "ledger"
        self._disk = place / "disk"
        with self._disk.open("wb") as stream:
            stream.truncate(DISK_MIB[pool, file_system] << 20)
        self._given = (f"--pool={pool}", f"--file-system={file_system}")
        self._fate = fate
        self._boots = 0

    def live_until_the_power_goes(self) -> None:
        """Boot, and cut the power: most times while pods come and go, some times before that."""
        with self._boot() as guest:
            if self._fate.random() < 0.25:
                time.sleep(self._fate.uniform(1, 6))
            else:
                recovered = self._share / f"recovered-{self._boots}"
                self._wait(guest, recovered.exists)
                enough = self._lines() + self._fate.randrange(1, 16)
                self._wait(guest, lambda: self._lines() >= enough)
                time.sleep(self._fate.uniform(0, 0.3))
            assert guest.running(), guest.last_output()
            guest.power_cut()

    def come_to_rest(self) -> None:
        """Boot a last time, end all pods, and see that nothing is lost."""
        with self._boot("--last") as guest:
            assert guest.wait(PATIENCE_SECONDS) == 0, guest.last_output()

    def mounts(self) -> int:
        """Return how many mounts were answered in all of its life."""
        return self._ledger.read_text().count('"mounted"')

    def _lines(self) -> int:
        return self._ledger.read_bytes().count(b"\n") if self._ledger.exists() else 0

    @staticmethod
    def _wait(guest: Guest, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert guest.running(), guest.last_output()
            assert time.monotonic() < until, f"nothing goes on\n{guest.last_output()}"
            time.sleep(0.02)

    def _boot(self, *arguments: str) -> Guest:
        self._boots += 1
        given = (*self._given, f"--boot={self._boots}", f"--seed={self._fate.random()}")
        command = (sys.executable, "-m", "tests.powercut.life", *given, *arguments)
        return Guest(self._share, f"exec {' '.join(command)}", disk=self._disk)


def cut_the_power(place: Path, pool: str, file_system: str, cuts: int, run: int = 0) -> None:
    """Have a node live through as many power cuts."""
    machine.fetch()
    node = Node(place, pool, file_system, dice(f"power {pool} {file_system} {run}"))
    for _ in range(cuts):
        node.live_until_the_power_goes()
    node.come_to_rest()
    assert node.mounts() > cuts, "too little went on for the cuts to mean anything"


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_shared_over_a_few_power_cuts(tmp_path: Path) -> None:
    cut_the_power(tmp_path, "device", "ext4", cuts=3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize(("pool", "file_system"), DISK_MIB)
def test_nothing_is_lost_or_shared_over_many_power_cuts(
    tmp_path: Path, pool: str, file_system: str, run: int
) -> None:
    cut_the_power(tmp_path, pool, file_system, 20, run)
