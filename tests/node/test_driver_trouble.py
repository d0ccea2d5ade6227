"""When the disk, the machine or the clock is in trouble: a clear answer, and nothing lost."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.host import GROUP, Host, run


@contextlib.contextmanager
def breakable_disk(host: Host, size_mib: int) -> Iterator[str]:
    """A disk that can be made to fail, as the node's only one."""
    below = host.add_disk(size_mib + 1)
    run("dmsetup", "create", "breakable", "--table", _whole(below, size_mib))
    run("dmsetup", "mknodes")  # no udev makes them here
    host.disks = ["/dev/mapper/breakable"]
    host.configure()
    try:
        yield below
    finally:
        mend(below, size_mib)
        for mount in reversed(host.mounts()):
            subprocess.run(["umount", mount], check=False)
        subprocess.run(["vgremove", "--force", "--force", "--yes", GROUP], check=False)
        run("dmsetup", "remove", "breakable")


def break_disk(size_mib: int) -> None:
    """Have every read and write of the disk fail."""
    replace_table(f"0 {size_mib * 2048} error")


def mend(below: str, size_mib: int) -> None:
    """Let the disk work again."""
    replace_table(_whole(below, size_mib))


def _whole(below: str, size_mib: int) -> str:
    """Return a table that leaves the first MiB out, lest LVM see its mark on both devices."""
    return f"0 {size_mib * 2048} linear {below} 2048"


def replace_table(table: str) -> None:
    run("dmsetup", "suspend", "--noflush", "breakable")
    run("dmsetup", "load", "breakable", "--table", table)
    run("dmsetup", "resume", "breakable")


def test_a_disk_that_fails_is_a_clear_failure_and_serves_again_once_mended(host: Host) -> None:
    with breakable_disk(host, 600) as below:
        assert host.kubelet.mount("a", "100").status == "Success"
        (host.directory("a") / "layer").write_text("kept")
        host.kubelet.end("a")
        break_disk(600)
        answer = host.kubelet.mount("b", "100")
        assert answer.status == "Failure"
        assert answer.message
        mend(below, 600)
        assert host.kubelet.mount("b", "100").status == "Success"
        assert (host.directory("b") / "layer").read_text() == "kept"
        assert len(host.slabs()) == 1


def test_a_pod_can_end_while_the_disk_fails(host: Host) -> None:
    with breakable_disk(host, 600) as below:
        assert host.kubelet.mount("a", "100").status == "Success"
        break_disk(600)
        assert host.kubelet.unmount("a").status == "Success"
        assert host.mounts() == []
        mend(below, 600)
        host.kubelet.forget("a")
        host.admin("reconcile")
        assert [slab.phase for slab in host.slabs()] == ["free"]


@pytest.mark.parametrize("fs_type", ["ext4", "xfs"])
def test_a_slab_overwritten_with_noise_is_replaced_by_a_fresh_one(host: Host, fs_type: str) -> None:
    host.kubelet.mount("a", "320", fs_type=fs_type)
    host.kubelet.end("a")
    damaged = host.slab().name
    with Path(host.device(damaged)).open("r+b") as device:
        device.writelines(os.urandom(1 << 20) for _ in range(8))
    assert host.kubelet.mount("b", "320", fs_type=fs_type).status == "Success"
    assert host.mounted_slab("b") != damaged
    assert [slab.name for slab in host.slabs()] == [host.mounted_slab("b")]
    assert host.events("damaged")[-1]["slab"] == damaged


def test_a_pods_own_slab_that_is_damaged_is_replaced_too(host: Host) -> None:
    host.kubelet.mount("a")
    damaged = host.slab().name
    (host.directory("a") / "layer").write_text("lost")
    host.reboot()
    run("lvchange", "--activate", "y", f"{GROUP}/{damaged}")
    record = host.slab()
    run("lvchange", "--deltag", "dind.uses=1", "--addtag", "dind.uses=2", f"{GROUP}/{record.name}")
    with Path(host.device(damaged)).open("r+b") as device:
        device.write(os.urandom(1 << 20))
    assert host.kubelet.mount("a").status == "Success"
    assert host.mounted_slab("a") != damaged
    assert len(host.slabs()) == 1


def test_a_slab_out_of_inodes_is_handed_to_nobody_else(host: Host) -> None:
    host.kubelet.mount("a", "16")
    with contextlib.suppress(OSError):
        for number in range(1 << 20):
            (host.directory("a") / str(number)).touch()
    assert os.statvfs(host.directory("a")).f_ffree == 0
    assert host.kubelet.end("a").status == "Success"
    assert host.slabs() == []


def test_a_full_slab_can_be_unmounted_and_is_removed(host: Host) -> None:
    host.kubelet.mount("a")
    with (host.directory("a") / "full").open("wb") as stream, contextlib.suppress(OSError):
        for _ in range(100):
            stream.write(os.urandom(1 << 20))
    assert host.kubelet.end("a").status == "Success"
    assert host.slabs() == []


def test_a_clock_that_jumps_back_changes_no_order(host: Host) -> None:
    now = time.time()
    for pod in "abc":
        host.kubelet.mount(pod)
        (host.directory(pod) / "of").write_text(pod)
    try:
        for days, pod in enumerate("bca"):
            host.kubelet.end(pod)
            time.clock_settime(time.CLOCK_REALTIME, now - (days + 1) * 86400)
        host.kubelet.mount("d")
        assert (host.directory("d") / "of").read_text() == "a"
    finally:
        time.clock_settime(time.CLOCK_REALTIME, now)


def test_a_root_that_is_read_only_keeps_nothing_from_working(host: Host) -> None:
    host.admin("setup")
    script = 'mount -o remount,ro,bind / && exec "$@"'
    command = ("unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh")
    before = host.kubelet.command
    host.kubelet.command = (*command, *before)
    assert host.kubelet.mount("a").status == "Success"
    host.kubelet.command = before
    assert host.kubelet.end("a").status == "Success"
    assert host.slab().phase == "free"


def test_a_doomed_slab_that_is_stuck_open_holds_up_nobody(host: Host) -> None:
    host.kubelet.mount("a", "300")
    host.kubelet.end("a")
    stuck = host.slab()
    tags = ("--deltag", "dind.slab=free", "--addtag", "dind.slab=doomed")
    run("lvchange", *tags, f"{GROUP}/{stuck.name}")
    elsewhere = host.place / "elsewhere"
    elsewhere.mkdir()
    run("mount", host.device(stuck.name), str(elsewhere))
    assert host.admin("reconcile").returncode == 0
    assert host.kubelet.mount("b", "400").status == "Success"
    answer = host.kubelet.mount("c", "500", namespace="other")
    assert answer.status == "Failure"
    assert "500 MiB" in answer.message
    run("umount", str(elsewhere))
    host.admin("reconcile")
    assert stuck.name not in {slab.name for slab in host.slabs()}


def test_a_full_metadata_area_is_made_room_in(host: Host) -> None:
    run("vgcreate", GROUP, *host.disks)
    left = int(run("vgs", "--noheadings", "--units=b", "--nosuffix", "-o", "vg_mda_free", GROUP))
    tags = (left - 12_000) // 1000
    run("vgchange", *(f"--addtag={number:0990d}" for number in range(tags)), GROUP)
    for number in range(20):
        answer = host.kubelet.mount(f"pod{number}", "16", namespace=f"team-{number}")
        assert answer.status == "Success", answer.message
        host.kubelet.end(f"pod{number}")
    scopes = {slab.scope for slab in host.slabs()}
    assert len(scopes) < 20
    assert "namespace/team-19" in scopes


def test_an_admins_change_between_two_calls_is_seen(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    run("lvremove", "--yes", f"{GROUP}/{host.slab().name}")
    run("lvcreate", "--yes", "--name", "admins", "--extents", "90%FREE", GROUP)
    answer = host.kubelet.mount("b", "200")
    assert answer.status == "Failure"
    assert "200 MiB" in answer.message
    assert host.kubelet.mount("c", "64").status == "Success"
