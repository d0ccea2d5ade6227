"""Snapshots of snapshots of snapshots: a long lineage costs what a short one does."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.node.host import GROUP, Host, run
from tests.node.thin import a_thin_node, come, generations, go, metadata_percent


class Cost(NamedTuple):
    """What a lineage takes of the node, times left aside.

    Attributes:
        volumes: how many logical volumes there are.
        description_bytes: how long LVM's description of them is.
        metadata_percent: of the thin pool's metadata in use.
        mapped_mib: what the newest generation takes.
    """

    volumes: int
    description_bytes: int
    metadata_percent: float
    mapped_mib: int


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A node that keeps nothing ready."""
    with a_thin_node(tmp_path, 400) as host:
        yield host


def release(host: Host, numbers: range) -> list[float]:
    """Let pods come and go, each of which changes something; return how long each took."""
    seconds = []
    for number in numbers:
        pod = f"pod-{number}"
        started = time.monotonic()
        before = come(host, pod)
        assert len(before) == number, "some of the lineage is lost"
        with (host.directory(pod) / f"layer-{number % 5}").open("wb") as stream:
            stream.write(number.to_bytes(4) * (1 << 18))
        go(host, pod)
        seconds.append(time.monotonic() - started)
    return seconds


def cost(host: Host) -> Cost:
    """Return what all this takes now."""
    backup = host.place / "backup"
    run("vgcfgbackup", "--quiet", "--file", str(backup), GROUP)
    size = backup.stat().st_size
    newest = generations(host)[0]
    return Cost(len(host.volumes()), size, metadata_percent(), newest.mapped_mib)


def assert_no_dearer(later: Cost, earlier: Cost) -> None:
    """See that nothing has grown but the digits of a counter, and what two of them do not round."""
    assert later.volumes == earlier.volumes
    assert later.description_bytes <= earlier.description_bytes + 200
    assert later.metadata_percent <= earlier.metadata_percent + 0.5
    assert later.mapped_mib <= earlier.mapped_mib + 2


def test_a_lineage_takes_no_more_for_being_longer(host: Host) -> None:
    release(host, range(4))
    short = cost(host)
    release(host, range(4, 7))
    assert_no_dearer(cost(host), short)


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_a_thousand_releases_are_as_fast_as_the_first(host: Host) -> None:
    first = release(host, range(50))
    short = cost(host)
    release(host, range(50, 950))
    last = release(host, range(950, 1000))
    assert_no_dearer(cost(host), short)
    assert statistics.median(last) < 1.5 * statistics.median(first)
