"""Slabs of a thin pool: what a pod starts from, and what becomes of what it leaves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexvol.model import SPARE
from tests.node.disturbances import reconcile_here
from tests.node.host import GROUP, Host, run
from tests.node.invariants import check
from tests.node.plans import SIZE_MIB
from tests.node.thin import a_thin_node, come, generations, go, outcome

BOTH_FILE_SYSTEMS = pytest.mark.parametrize(
    "file_system", ["ext4", pytest.param("xfs", marks=pytest.mark.soak)]
)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A node with a thin pool."""
    with a_thin_node(tmp_path, 2048) as host:
        yield host
        check(host)


@BOTH_FILE_SYSTEMS
def test_pods_at_the_same_time_all_start_from_the_newest_generation(
    host: Host, file_system: str
) -> None:
    of = (str(SIZE_MIB[file_system]), "default", file_system)
    assert come(host, "first", *of) == []
    assert outcome(host) == "cold"
    assert come(host, "beside", *of) == [], "nothing is committed yet"
    go(host, "first")
    for pod in ("a", "b"):
        assert come(host, pod, *of) == ["first"]
        assert outcome(host) == "cloned"
    check(host)
    go(host, "a")
    assert come(host, "c", *of) == ["first", "a"]
    go(host, "b")
    assert come(host, "d", *of) == ["first", "b"], "the last clean release wins"
    go(host, "beside")
    assert come(host, "e", *of) == ["beside"], "whatever it came from"
    assert len(generations(host)) == 2
    for pod in "cde":
        go(host, pod)


def test_what_is_no_good_goes_and_the_generation_stays(host: Host) -> None:
    come(host, "first")
    go(host, "first")
    (good,) = generations(host)

    come(host, "killed")
    go(host, "killed", health="ready")
    come(host, "never-ready")
    go(host, "never-ready", health="starting")
    come(host, "overfull")
    with (host.directory("overfull") / "layers").open("wb") as stream:
        stream.write(os.urandom(40 << 20))
    go(host, "overfull")
    come(host, "anonymous", volume_type="anonymous")
    go(host, "anonymous")
    assert come(host, "stranger", cache="read-only") == ["first"], "warm, and not kept"
    go(host, "stranger")
    come(host, "orphaned")
    run("umount", str(host.directory("orphaned")))
    host.kubelet.forget("orphaned")
    assert [deed.what for deed in reconcile_here(host)] == ["freed: its pod is gone"]

    assert host.slabs() == [good]
    assert come(host, "next") == ["first"]


@pytest.mark.soak
def test_a_pod_gets_its_own_clone_back_after_a_reboot(host: Host) -> None:
    come(host, "first")
    go(host, "first")
    come(host, "a")
    own = host.mounted_slab("a")
    host.reboot()
    assert come(host, "a") == ["first", "a"]
    assert (host.mounted_slab("a"), outcome(host)) == (own, "resumed")
    assert come(host, "b") == ["first"]


@pytest.mark.soak
def test_a_pod_that_ended_while_the_node_was_down_leaves_nothing(host: Host) -> None:
    come(host, "first")
    go(host, "first")
    come(host, "a")
    host.reboot()
    assert host.kubelet.end("a").status == "Success"
    assert host.slabs() == generations(host)
    assert come(host, "b") == ["first"]


def test_a_clone_is_kept_ready_for_the_next_pod(host: Host) -> None:
    host.configure(ready_clones=1)
    come(host, "first")
    go(host, "first")
    deeds = reconcile_here(host)
    assert [deed.what for deed in deeds] == [f"made: a ready clone of {generations(host)[0].name}"]
    assert reconcile_here(host) == []
    assert come(host, "a") == ["first"]
    assert outcome(host) == "warm"
    reconcile_here(host)
    go(host, "a")
    whats = [deed.what for deed in reconcile_here(host)]
    assert whats == [
        "removed: a clone that is not wanted",
        f"made: a ready clone of {generations(host)[0].name}",
    ]
    assert come(host, "b") == ["first", "a"], "not of what was the newest when it was made"
    host.configure(ready_clones=0)
    reconcile_here(host)
    assert not any(slab.phase == SPARE for slab in host.slabs())


@pytest.mark.soak
def test_a_newer_generation_is_kept_where_the_settings_say_so(host: Host) -> None:
    host.configure(replace_newer=False)
    come(host, "first")
    go(host, "first")
    come(host, "slow")
    come(host, "quick")
    go(host, "quick")
    go(host, "slow")
    assert host.events("released")[-1]["reason"] == "another pod has left a newer generation"
    assert come(host, "next") == ["first", "quick"]


@pytest.mark.soak
@BOTH_FILE_SYSTEMS
def test_a_damaged_generation_gives_way_to_the_one_before(host: Host, file_system: str) -> None:
    of = (str(SIZE_MIB[file_system]), "default", file_system)
    for pod in ("first", "second"):
        come(host, pod, *of)
        go(host, pod)
    damaged, older = generations(host)
    noise = os.urandom(1 << 20)
    with Path(host.device(damaged.name)).open("r+b") as stream:
        for start in range(1 << 16, SIZE_MIB[file_system] << 19, 1 << 20):
            stream.seek(start)
            stream.write(noise)
    assert come(host, "a", *of) == ["first"]
    assert [slab.unchecked for slab in generations(host)] == [True, False]
    deeds = reconcile_here(host)
    assert not any(deed.failed for deed in deeds)
    assert generations(host) == [older]
    assert come(host, "b", *of) == ["first"]


@pytest.mark.soak
def test_what_a_pod_deleted_goes_back_to_the_pool(host: Host) -> None:
    come(host, "a")
    big = host.directory("a") / "big"
    with big.open("wb") as stream:
        stream.write(os.urandom(30 << 20))
    os.sync()
    big.unlink()
    go(host, "a")
    (generation,) = generations(host)
    assert 0 < generation.mapped_mib < 20
    percent = float(run("lvs", "--noheadings", "-o", "data_percent", f"{GROUP}/{generation.name}"))
    assert generation.mapped_mib - 1 <= percent * 64 / 100 <= generation.mapped_mib
