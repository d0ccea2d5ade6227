"""The thin pool: made by setup alone, of what is free; never promised twice; there and back."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexvol.model import POOL_NAME
from tests.node import invariants
from tests.node.disturbances import Disturbance, HereKubelet, disturb, reconcile_here
from tests.node.host import GROUP, Host, run
from tests.node.invariants import check_pool, inventory_of
from tests.node.thin import a_thin_node, come, generations, go, outcome


@pytest.fixture
def linear(tmp_path: Path) -> Iterator[Host]:
    """A node of linear slabs."""
    with Host(tmp_path) as host:
        host.kubelet = HereKubelet(tmp_path / "here", host.kubelet.environ)
        host.add_disk(500)
        host.configure()
        assert host.admin("setup").returncode == 0
        yield host


def switch(host: Host, provisioning: str) -> str:
    """Change a node's provisioning by the documented command; return what it says."""
    host.always = invariants.THIN if provisioning == "thin" else {}
    host.configure()
    done = host.admin("setup")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pool_is_what_it_has_to_be(tmp_path: Path) -> None:
    with a_thin_node(tmp_path) as host:
        fields = "chunk_size,zero,discards,lv_when_full,lv_metadata_size"
        text = run(
            *("lvs", "--noheadings", "--units", "k", "--separator", ","),
            *("-o", fields, f"{GROUP}/{POOL_NAME}"),
        )
        assert text.strip().split(",") == ["64.00k", "zero", "passdown", "error", "4096.00k"]
        programs = {path.read_text().strip() for path in Path("/proc").glob("[0-9]*/comm")}
        assert "dmeventd" not in programs
        assert host.free_mib() == 0
        seqno = run("vgs", "--noheadings", "-o", "vg_seqno", GROUP)
        assert host.admin("setup").returncode == 0
        assert run("vgs", "--noheadings", "-o", "vg_seqno", GROUP) == seqno
        host.add_disk(5000)
        host.configure()
        assert "the thin pool is extended by" in host.admin("setup").stdout
        assert host.free_mib() == 0
        pool = inventory_of(host).pool
        assert pool is not None
        assert pool.metadata_extents == 2, "as much as the larger pool may come to need"


def test_a_mount_makes_no_pool_and_says_who_does(linear: Host) -> None:
    linear.configure(**invariants.THIN)
    answer = linear.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "no thin pool" in answer.message
    assert "run slab setup" in answer.message
    assert linear.slabs() == []
    assert json.loads(linear.admin("status", "--json").stdout)["error"]["cause"] == "pool"


@pytest.mark.soak
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_pool_whose_making_was_cut_short_is_made_by_the_next_setup(
    linear: Host, moment: str
) -> None:
    linear.always = invariants.THIN
    for number in itertools.count():
        linear.configure()
        outcome = disturb(linear, Disturbance("kill", moment, number), "setup")
        if not outcome.killed:
            break
    assert linear.admin("setup").returncode == 0
    check_pool(linear)
    come(linear, "a")
    go(linear, "a")
    invariants.check_no_leak(linear)


def test_there_and_back_with_pods_that_go_on(linear: Host) -> None:
    host = linear
    host.kubelet.mount("free")
    host.kubelet.end("free")
    come(host, "stays")
    switch(host, "thin")
    assert [slab.holder for slab in host.slabs()] == [str(host.directory("stays"))]
    before = inventory_of(host).pool
    come(host, "a")
    go(host, "a")
    assert come(host, "stays") == ["stays"], "called again for a mounted slab"
    go(host, "stays")
    reconcile_here(host)
    after = inventory_of(host).pool
    assert before is not None
    assert after is not None
    assert after.extents == before.extents + 16, "the pool takes over the room of the last slab"
    assert come(host, "b") == ["a"]

    switch(host, "linear")
    assert [slab.holder for slab in host.slabs()] == [str(host.directory("b"))]
    assert host.kubelet.mount("c", "128").status == "Failure", "the pool is in use"
    go(host, "b")
    reconcile_here(host)
    assert inventory_of(host).pool is None
    assert host.slabs() == []
    come(host, "c", "128")
    assert outcome(host) == "cold"
    host.kubelet.end("c")
    invariants.check_no_leak(host)


def test_the_pool_never_runs_full_under_pods_that_write_all_they_may(tmp_path: Path) -> None:
    """Three clones of 96 MiB, each written to the end, beside a generation: that much fits."""
    with a_thin_node(tmp_path, 400, ready_clones=0, wait_seconds=0) as host:
        of = ("96", "default")
        come(host, "first", *of)
        with (host.directory("first") / "layer").open("wb") as stream:
            stream.write(os.urandom(30 << 20))
        go(host, "first")
        for pod in "abc":
            assert come(host, pod, *of) == ["first"]
        answer = host.kubelet.mount("d", *of)
        assert answer.status == "Failure"
        for words in ("no room", "thin pool", "promised to other pods"):
            assert words in answer.message
        for pod in "abc":
            _write_to_the_end(host.directory(pod) / "all")
        check_pool(host)
        for pod in "abc":
            go(host, pod)
        assert come(host, "e", *of) == ["first"], "they were too full to be kept"


@pytest.mark.soak
def test_no_tenant_reads_what_another_one_left(tmp_path: Path) -> None:
    with a_thin_node(tmp_path, 100, ready_clones=0) as host:
        come(host, "mine", "64", "one", volume_type="anonymous")
        secret = b"s3cret" * 1000
        with (host.directory("mine") / "layer").open("wb") as stream:
            for _ in range(40 << 20 >> 13):
                stream.write(secret.ljust(8192))
        go(host, "mine")
        come(host, "theirs", "64", "two")
        with (host.directory("theirs") / "odd").open("wb") as stream:
            for number in range(300):
                stream.seek(number << 17)
                stream.write(b"x")
        os.sync()
        device = Path(host.device(host.mounted_slab("theirs")))
        assert b"s3cret" not in device.read_bytes()


@pytest.mark.soak
def test_generations_of_others_make_room_least_recently_released_first(tmp_path: Path) -> None:
    with a_thin_node(tmp_path, 400, ready_clones=0) as host:
        for namespace in ("one", "two", "three"):
            come(host, namespace, "64", namespace)
            with (host.directory(namespace) / "layer").open("wb") as stream:
                stream.write(os.urandom(24 << 20))
            go(host, namespace)
        pool = inventory_of(host).pool
        assert pool is not None
        room_mib = pool.extents * 4 - sum(slab.mapped_mib for slab in generations(host)) - 4
        come(host, "large", str(room_mib + 16), "four")
        left = [slab.scope for slab in generations(host)]
        assert left == ["namespace/three", "namespace/two"]


def _write_to_the_end(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(os.urandom(1 << 20))
        except OSError as error:
            assert "No space left" in str(error)  # noqa: PT017 - the file system's, not the pool's
        os.fsync(stream.fileno())
