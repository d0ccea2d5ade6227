"""Many pods at once on clones of a thin pool, repeats and upkeep among them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.host import Host
from tests.node.invariants import THIN
from tests.node.test_driver_concurrency import let_them_come


@pytest.fixture
def thin_host(tmp_path: Path) -> Iterator[Host]:
    """A node whose pods do not all fit at once; setup makes its pool."""
    with Host(tmp_path) as host:
        host.add_disk(512)
        host.always = THIN
        host.configure()
        yield host


def test_six_lanes_of_pods_for_a_moment(thin_host: Host) -> None:
    let_them_come(thin_host, seed=3, seconds=8, lanes=6)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_24_lanes_of_pods_for_five_minutes(thin_host: Host, seed: int) -> None:
    let_them_come(thin_host, seed, seconds=300, lanes=24)
