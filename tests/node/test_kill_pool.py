"""The driver killed before and after every step of making room, and of making the pool."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node import invariants
from tests.node.disturbances import Disturbance, HereKubelet, disturb, reconcile_here
from tests.node.host import Host, run
from tests.node.matrix import ALTERNATELY, a_node, discard_limit, kill_at_every_step
from tests.node.plans import MAKING_ROOM, Plan


@pytest.mark.parametrize("plan", MAKING_ROOM, ids=str)
def test_room_is_made_for_the_next_call(tmp_path: Path, plan: Plan) -> None:
    with a_node(tmp_path, plan.disk_mib("ext4"), can_discard=plan.can_discard) as host:
        kill_at_every_step(host, plan, "ext4", ALTERNATELY)


@pytest.mark.parametrize("call", ["setup", "mount"])
def test_the_volume_group_is_made_by_a_later_call(tmp_path: Path, call: str) -> None:
    """Killed in making it of a blank disk; whoever calls next makes it."""
    pod = "first"
    for number, moment in itertools.product(range(2), ("before", "after")):
        place = tmp_path / f"{number}-{moment}"
        place.mkdir()
        with Host(place) as host:
            host.kubelet = HereKubelet(place / "here", host.kubelet.environ)
            host.add_disk(400)
            host.configure()
            outcome = disturb(host, Disturbance("kill", moment, number), "setup")
            assert outcome.killed == (number == 0)
            assert set(outcome.steps) == {"vgcreate"}
            if call == "setup":
                assert host.admin("setup").returncode == 0
            assert host.kubelet.mount(pod).status == "Success"
            invariants.check(host)
            host.kubelet.end(pod)
            invariants.check_no_leak(host)


@pytest.fixture
def file_node(tmp_path: Path) -> Iterator[Host]:
    """A node whose pool is to be a file."""
    file = tmp_path / "pool"
    with Host(tmp_path) as host:
        host.kubelet = HereKubelet(tmp_path / "here", host.kubelet.environ)
        host.configure(file=str(file), size="160Mi")
        yield host
    file.unlink()


STEPS_OF_A_FILE = ("allocate", "losetup", "vgcreate")


@pytest.mark.parametrize("number", range(3), ids=STEPS_OF_A_FILE)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_pools_file_is_made_by_a_later_call(file_node: Host, number: int, moment: str) -> None:
    host = file_node
    outcome = disturb(host, Disturbance("kill", moment, number), "setup")
    assert outcome.killed
    assert outcome.steps == STEPS_OF_A_FILE[: number + 1]
    assert host.kubelet.mount("a").status == "Success"
    loops = run("losetup", "--noheadings", "-O", "NAME").split()
    assert len(loops) == 1
    assert discard_limit(loops[0]).read_text().strip() == "0", "the file would get holes"
    invariants.check(host)
    host.kubelet.end("a")
    invariants.check_no_leak(host)


STEPS_AFTER_A_REBOOT = ("losetup", "vgchange", "fsck", "mount")


@pytest.mark.parametrize("number", range(4), ids=STEPS_AFTER_A_REBOOT)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_pools_file_comes_back_after_a_reboot(
    file_node: Host, number: int, moment: str
) -> None:
    host = file_node
    assert host.kubelet.mount("a").status == "Success"
    invariants.enter(host, "a", "namespace/default")
    host.reboot()
    run("losetup", "--detach-all")
    call = ("mount", str(host.directory("a")), host.kubelet.options("a"))
    outcome = disturb(host, Disturbance("kill", moment, number), *call)
    assert outcome.killed
    assert outcome.steps == STEPS_AFTER_A_REBOOT[: number + 1]
    assert not any(deed.failed for deed in reconcile_here(host))
    assert host.kubelet.mount("a").status == "Success"
    assert invariants.enter(host, "a", "namespace/default") == ["a"]
    invariants.check(host)
    host.kubelet.end("a")
    invariants.check_no_leak(host)
