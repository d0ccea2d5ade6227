"""Disks that vanish, fail now and then, fill up, or are opened by others."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node import invariants
from tests.node.disturbances import HereKubelet, reconcile_here
from tests.node.host import GROUP, Host, run
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def node(host: Host) -> Host:
    """A node with a volume group."""
    host.kubelet = HereKubelet(host.kubelet.root, host.kubelet.environ)
    assert host.admin("setup").returncode == 0
    return host


def test_a_disk_that_is_missing_is_named_and_costs_nothing_on_the_others(node: Host) -> None:
    node.add_disk(300)
    node.configure()
    assert node.admin("setup").returncode == 0
    node.kubelet.mount("cached")
    invariants.enter(node, "cached", "namespace/default")
    node.kubelet.end("cached")
    node.kubelet.mount("running", namespace="other")
    run("losetup", "--detach", node.disks[1])

    answer = node.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "1 disk(s) of volume group dind are missing" in answer.message
    assert node.admin("reconcile").returncode == 1
    (node.directory("running") / "file").write_text("still written")
    assert node.kubelet.end("running").status == "Success"

    run("losetup", node.disks[1], str(node.place / "disk1"))
    assert node.kubelet.mount("a").status == "Success"
    assert invariants.enter(node, "a", "namespace/default") == ["cached"]
    node.kubelet.end("a")
    assert not any(deed.failed for deed in reconcile_here(node))
    invariants.check_at_rest(node)
    assert {slab.scope for slab in node.slabs()} == {"namespace/default", "namespace/other"}


UP_SECONDS, DOWN_SECONDS = 3, 1


@contextlib.contextmanager
def a_flaky_disk(host: Host, size_mib: int, feature: str) -> Iterator[None]:
    """Have the node's only disk fail for a second of every four; at the end it works again."""
    below = host.add_disk(size_mib + 1)
    # The first MiB is left out, lest LVM see its mark on both devices.
    length = f"0 {size_mib * 2048}"
    sound = f"{length} linear {below} 2048"
    run("dmsetup", "create", "flaky", "--table", sound)
    run("dmsetup", "mknodes")  # no udev makes them here
    host.disks = ["/dev/mapper/flaky"]
    host.configure()
    try:
        assert host.admin("setup").returncode == 0
        replace_table(f"{length} flakey {below} 2048 {UP_SECONDS} {DOWN_SECONDS} {feature}".strip())
        yield
        replace_table(sound)
        mended(host)
    finally:
        replace_table(sound)
        for mount in reversed(host.mounts()):
            subprocess.run(["umount", mount], check=False)
        subprocess.run(["vgremove", "--force", "--force", "--yes", GROUP], check=False)
        run("dmsetup", "remove", "flaky")


def replace_table(table: str) -> None:
    """Have the flaky disk be another one."""
    run("dmsetup", "suspend", "flaky")
    run("dmsetup", "load", "flaky", "--table", table)
    run("dmsetup", "resume", "flaky")


def mended(host: Host) -> None:
    """Go on after the disk works again: every pod can end, and all of the disk can be used."""
    for pod in [folder.name for folder in (host.kubelet.root / "pods").iterdir()]:
        if os.path.ismount(host.directory(pod)):
            assert host.kubelet.end(pod).status == "Success"
        else:
            host.kubelet.forget(pod)
    assert not any(deed.failed for deed in reconcile_here(host))
    invariants.check_at_rest(host)
    invariants.check_no_leak(host)


def let_pods_come_and_go(host: Host, seconds: float) -> list[str]:
    """Have pods mount, work and end, until some failed; return what was answered to mounts.

    It goes on for ``seconds`` at least, and longer until both answers were seen.
    """
    statuses: list[str] = []
    begun = time.monotonic()
    for number in range(1000):
        passed = time.monotonic() - begun
        if passed > PATIENCE_SECONDS or (passed > seconds and len(set(statuses)) > 1):
            break
        pod, namespace = f"pod-{number}", f"team-{number % 2}"
        answer = host.kubelet.mount(pod, namespace=namespace)
        statuses.append(answer.status)
        if answer.status == "Success":
            with contextlib.suppress(OSError):
                invariants.enter(host, pod, f"namespace/{namespace}")
                os.sync()
            ended = host.kubelet.unmount(pod)
            assert ended.status == "Success", ended.message
        else:
            assert answer.message
    return statuses


@pytest.mark.parametrize("feature", ["", "1 error_writes"], ids=["fails", "fails to write"])
def test_a_disk_that_fails_now_and_then_loses_and_mixes_up_nothing(
    host: Host, feature: str
) -> None:
    host.kubelet = HereKubelet(host.kubelet.root, host.kubelet.environ)
    with a_flaky_disk(host, 400, feature):
        statuses = let_pods_come_and_go(host, 14)
        assert set(statuses) == {"Success", "Failure"}, "it never failed, or never worked"


def test_a_slab_in_which_the_kernel_met_errors_is_checked_before_its_next_use(node: Host) -> None:
    node.kubelet.mount("a")
    invariants.enter(node, "a", "namespace/default")
    os.sync()
    number = Path(node.device(node.slab().name)).stat().st_rdev
    trigger = Path(f"/sys/fs/ext4/dm-{os.minor(number)}/trigger_fs_error")
    trigger.write_text("a test's own")
    assert node.kubelet.end("a").status == "Success"
    assert node.slab().unchecked
    assert node.kubelet.mount("b").status == "Success"
    assert invariants.enter(node, "b", "namespace/default") == ["a"]
    assert [event["delete"] for event in node.events("settled")] == [False]
    node.kubelet.end("b")
    assert not node.slab().unchecked


OPENER = """
import glob, os, random, sys, time
while True:
    for device in glob.glob("/dev/mapper/dind-slab*"):
        try:
            fd = os.open(device, os.O_RDONLY)
        except OSError:
            continue
        os.read(fd, 4096)
        time.sleep(random.uniform(0, 0.1))
        os.close(fd)
    time.sleep(0.01)
"""


def test_what_probes_every_device_as_udev_does_disturbs_nothing(node: Host) -> None:
    opener = subprocess.Popen([sys.executable, "-ISc", OPENER])
    try:
        for number in range(12):
            pod = f"pod-{number}"
            options = {"volume_type": "anonymous"} if number % 3 == 0 else {}
            answer = node.kubelet.mount(pod, **options)
            assert answer.status == "Success", answer.message
            invariants.enter(node, pod, "namespace/default")
            invariants.check(node)
            assert node.kubelet.end(pod).status == "Success"
        assert len(node.slabs()) == 1
    finally:
        opener.kill()
        opener.wait()


def test_a_slab_that_another_process_has_open_is_removed_once_it_is_closed(node: Host) -> None:
    node.kubelet.mount("a", volume_type="anonymous")
    with Path(node.device(node.slab().name)).open("rb"):
        assert node.kubelet.end("a").status == "Success"
        assert node.kubelet.mount("b").status == "Success"
        assert invariants.enter(node, "b", "namespace/default") == []
    node.kubelet.end("b")
    assert not any(deed.failed for deed in reconcile_here(node))
    invariants.check_at_rest(node)
    assert [slab.anonymous for slab in node.slabs()] == [False]


def test_a_full_run_directory_is_no_reason_to_refuse_a_pod(node: Host) -> None:
    node.kubelet.mount("before")
    node.kubelet.end("before")
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(node.run_dir))
    try:
        with contextlib.suppress(OSError), (node.run_dir / "full").open("wb") as stream:
            stream.write(bytes(1 << 20))
        for pod, namespace in (("a", "default"), ("b", "other")):
            answer = node.kubelet.mount(pod, namespace=namespace)
            assert answer.status == "Success", answer.message
        for pod in "ab":
            assert node.kubelet.end(pod).status == "Success"
        assert {slab.phase for slab in node.slabs()} == {"free"}
    finally:
        run("umount", str(node.run_dir))
