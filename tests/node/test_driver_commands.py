"""Commands that fail, die, or say nothing that can be understood: nothing is lost by it."""

from collections.abc import Iterator

import pytest

from tests.node import invariants
from tests.node.disturbances import HereKubelet, reconcile_here
from tests.node.host import Host, run
from tests.node.shim import going_wrong
from tests.seed import sampled

DEEDS = {
    "fails": ("exit 5",),
    "dies": ("kill -9 $$",),
    "says nothing": ("exit 0",),
    "is cut short": ('$real "$@" | head -c 700; exit 0',),
    "says something else": ('echo \'{"report": [{"vg": [{}]}]}\'; exit 0',),
    "says what is no JSON": ("echo all is well; exit 0",),
    "warns": ('echo "WARNING: this and that" >&2; exec $real "$@"',),
}
MAKING = {
    f"{file_system} {what}": (file_system, deed)
    for file_system in ("ext4", "xfs")
    for what, deed in {
        "fails": "exit 1",
        "dies": "kill -9 $$",
        "dies once it is done": '$real "$@" && kill -9 $$',
    }.items()
}
CHECKING = {
    "e2fsck fails": ("ext4", "e2fsck", "exit 8"),
    "e2fsck dies": ("ext4", "e2fsck", "kill -9 $$"),
    "e2fsck is cancelled": ("ext4", "e2fsck", "exit 32"),
    "xfs_repair fails": ("xfs", "xfs_repair", "exit 1"),
    "xfs_repair dies": ("xfs", "xfs_repair", "kill -9 $$"),
}


@pytest.fixture
def left(host: Host) -> Iterator[Host]:
    """A node with one free slab, of which no call remembers anything."""
    host.kubelet = HereKubelet(host.place / "here", host.kubelet.environ)
    assert host.kubelet.mount("before").status == "Success"
    invariants.enter(host, "before", "namespace/default")
    host.kubelet.end("before")
    (host.run_dir / "inventory").unlink()
    yield host
    host.configure()
    reconcile_here(host)
    invariants.check_at_rest(host)


@pytest.mark.parametrize("deed", sampled("a report goes wrong", DEEDS, 3))
def test_a_report_that_goes_wrong_costs_one_call_at_most(left: Host, deed: str) -> None:
    with going_wrong(left.place, "lvm", "fullreport", deed) as went_wrong:
        answer = left.kubelet.mount("a")
        assert went_wrong.exists()
    if answer.status == "Failure":
        assert answer.message
        assert left.mounts() == []
        assert left.kubelet.mount("a").status == "Success"
    assert invariants.enter(left, "a", "namespace/default") == ["before"], "the cache is lost"
    invariants.check(left)
    left.kubelet.end("a")


@pytest.mark.parametrize("deed", sampled("a pod ends", DEEDS, 3))
def test_a_pod_can_end_whatever_the_report_says(left: Host, deed: str) -> None:
    left.kubelet.mount("a")
    (left.run_dir / "inventory").unlink()
    with going_wrong(left.place, "lvm", "fullreport", deed, always=True):
        assert left.kubelet.unmount("a").status == "Success"
    assert left.mounts() == []
    left.kubelet.forget("a")
    assert left.kubelet.mount("b").status == "Success"
    assert invariants.enter(left, "b", "namespace/default") == ["before"]
    left.kubelet.end("b")


@pytest.mark.parametrize("deed", ["exit 5", "exit 0"])
def test_a_volume_group_that_one_report_does_not_show_is_not_made_anew(
    left: Host, deed: str
) -> None:
    with going_wrong(left.place, "lvm", "^vgs\\|^fullreport", deed, always=True):
        answer = left.kubelet.mount("a")
    assert answer.status == "Failure"
    assert answer.message
    assert left.kubelet.mount("a").status == "Success"
    assert invariants.enter(left, "a", "namespace/default") == ["before"]
    left.kubelet.end("a")


@pytest.mark.parametrize(("file_system", "deed"), sampled("mkfs goes wrong", MAKING, 3))
def test_a_file_system_that_cannot_be_made_leaves_nothing(
    left: Host, file_system: str, deed: str
) -> None:
    with going_wrong(left.place, f"mkfs.{file_system}", ".", deed):
        answer = left.kubelet.mount("a", "320", "other", file_system)
    assert answer.status == "Failure"
    assert f"mkfs.{file_system}" in answer.message
    assert [slab.phase for slab in left.slabs()] == ["free"]
    assert left.kubelet.mount("a", "320", "other", file_system).status == "Success"
    assert invariants.enter(left, "a", "namespace/other") == []
    invariants.check(left)
    left.kubelet.end("a")


@pytest.mark.parametrize(
    ("file_system", "program", "deed"), sampled("a check goes wrong", CHECKING, 2)
)
def test_a_check_that_cannot_be_made_condemns_no_slab(
    host: Host, file_system: str, program: str, deed: str
) -> None:
    host.kubelet = HereKubelet(host.place / "here", host.kubelet.environ)
    host.kubelet.mount("a", "320", "team", file_system)
    invariants.enter(host, "a", "namespace/team")
    run("umount", str(host.directory("a")))
    with going_wrong(host.place, program, ".", deed, always=True):
        answer = host.kubelet.mount("a", "320", "team", file_system)
        assert answer.status == "Failure"
        assert program in answer.message
        host.kubelet.end("a")
        assert host.slab().unchecked
        assert host.kubelet.mount("b", "320", "team", file_system).status == "Success"
        assert invariants.enter(host, "b", "namespace/team") == []
        assert any(deed.failed for deed in reconcile_here(host))
    host.kubelet.end("b")
    assert not any(deed.failed for deed in reconcile_here(host))
    assert {slab.phase for slab in host.slabs()} == {"free"}
    for pod in "cd":
        host.kubelet.mount(pod, "320", "team", file_system)
    seen = [invariants.enter(host, pod, "namespace/team") for pod in "cd"]
    assert sorted(seen) == [["a"], ["b"]], "what the pods left is lost"


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pattern", ["fullreport", "lvcreate"])
def test_a_command_that_hangs_fails_the_call_in_time(left: Host, pattern: str) -> None:
    with going_wrong(left.place, "lvm", pattern, "sleep 400; exit 5"):
        answer = left.kubelet.mount("a", namespace="other")
    assert answer.status == "Failure"
    assert "still runs" in answer.message
    assert left.kubelet.mount("a", namespace="other").status == "Success"
    left.kubelet.end("a")
