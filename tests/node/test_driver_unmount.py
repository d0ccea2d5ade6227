"""What becomes of a slab when its pod ends, on real LVM."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.node.host import Host, run


def fill(directory: Path, mib: int) -> None:
    """Use up space in a slab."""
    with (directory / "layers").open("wb") as stream:
        for _ in range(mib):
            stream.write(os.urandom(1 << 20))


def tell_health(directory: Path, state: str) -> None:
    """Write what the injected daemon writes about itself."""
    (directory / ".dind").mkdir()
    (directory / ".dind" / "state").write_text(f"{state}\n")


def test_a_released_slab_is_free_and_no_longer_anyones(host: Host) -> None:
    host.kubelet.mount("a")
    assert host.kubelet.end("a").status == "Success"
    slab = host.slab()
    assert (slab.phase, slab.holder, slab.release, slab.unchecked) == ("free", "", 1, False)
    assert host.mounts() == []


def test_unmount_again_is_a_success_and_changes_nothing(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.unmount("a")
    before = host.slabs()
    assert host.kubelet.unmount("a").status == "Success"
    assert host.slabs() == before


def test_a_slab_over_half_full_is_removed(host: Host) -> None:
    host.kubelet.mount("a")
    fill(host.directory("a"), 40)
    free = host.free_mib()
    host.kubelet.end("a")
    assert host.slabs() == []
    assert host.free_mib() == free + 64


def test_a_slab_under_half_full_is_kept(host: Host) -> None:
    host.kubelet.mount("a")
    fill(host.directory("a"), 20)
    host.kubelet.end("a")
    assert host.slab().phase == "free"


def test_a_slab_with_over_half_its_inodes_used_is_removed(host: Host) -> None:
    host.kubelet.mount("a", "16")
    inodes = os.statvfs(host.directory("a")).f_files
    for number in range(inodes * 55 // 100):
        (host.directory("a") / str(number)).touch()
    host.kubelet.end("a")
    assert host.slabs() == []


def test_how_full_is_too_full_is_the_nodes_to_say(host: Host) -> None:
    host.configure(full_percent=90)
    host.kubelet.mount("a")
    fill(host.directory("a"), 40)
    host.kubelet.end("a")
    assert host.slab().phase == "free"


def test_a_slab_whose_daemon_never_became_ready_is_removed(host: Host) -> None:
    host.kubelet.mount("a")
    tell_health(host.directory("a"), "starting")
    host.kubelet.end("a")
    assert host.slabs() == []


def test_a_slab_whose_daemon_was_killed_is_checked_before_its_next_use(host: Host) -> None:
    host.kubelet.mount("a")
    tell_health(host.directory("a"), "ready")
    host.kubelet.end("a")
    assert host.slab().unchecked
    assert host.kubelet.mount("b").status == "Success"
    assert host.events("settled") != []
    assert host.events("mounted")[-1]["outcome"] == "warm"
    assert not host.slab().unchecked


def test_a_slab_whose_daemon_stopped_in_order_is_not_checked(host: Host) -> None:
    host.kubelet.mount("a")
    tell_health(host.directory("a"), "clean")
    host.kubelet.end("a")
    host.kubelet.mount("b")
    assert host.events("settled") == []


@pytest.mark.parametrize("trick", ["link", "link to a folder", "pipe", "directory"])
def test_a_health_file_is_never_followed_anywhere(host: Host, trick: str) -> None:
    elsewhere = host.place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "state").write_text("starting\n")
    host.kubelet.mount("a")
    folder = host.directory("a") / ".dind"
    if trick == "link to a folder":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
    if trick == "link":
        (folder / "state").symlink_to(elsewhere / "state")
    elif trick == "pipe":
        os.mkfifo(folder / "state")
    elif trick == "directory":
        (folder / "state").mkdir()
    assert host.kubelet.end("a").status == "Success"
    assert host.slab().phase == "free"


def test_a_directory_in_use_is_a_failure_and_stays_mounted(host: Host) -> None:
    host.kubelet.mount("a")
    with (host.directory("a") / "open").open("w"):
        answer = host.kubelet.unmount("a")
        assert answer.status == "Failure"
        assert "still in use" in answer.message
        assert host.slab().phase == "held"
    assert host.kubelet.end("a").status == "Success"
    assert host.slab().phase == "free"


def test_a_slab_mounted_in_another_namespace_too_is_nobodys_until_it_is_closed(host: Host) -> None:
    host.kubelet.mount("a")
    leak = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "1000"])
    try:
        wait_for_namespace(leak.pid)
        assert host.kubelet.unmount("a").status == "Success"
        assert host.slab().phase == "busy"
        host.kubelet.mount("b")
        assert len({slab.name for slab in host.slabs()}) == 2
        assert host.admin("reconcile").returncode == 0
        assert "busy" in {slab.phase for slab in host.slabs()}
    finally:
        leak.kill()
        leak.wait()
    host.admin("reconcile")
    assert {slab.phase for slab in host.slabs()} == {"free", "held"}


def wait_for_namespace(pid: int) -> None:
    """Wait until a process has a mount namespace of its own."""
    own = Path("/proc/self/ns/mnt").readlink()
    while Path(f"/proc/{pid}/ns/mnt").readlink() == own:
        pass


def test_what_is_not_a_slab_is_never_unmounted(host: Host) -> None:
    directory = host.directory("a")
    directory.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "tmpfs", str(directory))
    answer = host.kubelet.unmount("a")
    assert answer.status == "Failure"
    assert "not a slab" in answer.message
    assert host.mounts() == [str(directory)]


def test_unmount_after_a_reboot_frees_the_slab_for_a_check(host: Host) -> None:
    host.kubelet.mount("a")
    host.reboot()
    assert host.kubelet.unmount("a").status == "Success"
    assert (host.slab().phase, host.slab().unchecked) == ("free", True)
    host.kubelet.mount("b")
    assert host.events("mounted")[-1]["outcome"] == "warm"


def test_unmount_works_with_broken_settings(host: Host) -> None:
    host.kubelet.mount("a")
    host.settings_path.write_text("{ not JSON")
    assert host.kubelet.unmount("a").status == "Success"
    assert host.mounts() == []
    assert host.slab().phase == "free"


def test_unmount_works_where_the_volume_group_has_another_name_by_now(host: Host) -> None:
    host.kubelet.mount("a")
    host.configure(volume_group="other")
    assert host.kubelet.unmount("a").status == "Success"
    assert host.slab().phase == "free"


def test_a_deleted_slabs_blocks_are_discarded(host: Host) -> None:
    host.kubelet.mount("a")
    fill(host.directory("a"), 40)
    image = host.place / "disk0"
    before = image.stat().st_blocks
    host.kubelet.end("a")
    assert before - image.stat().st_blocks > (30 << 20) // 512


def test_a_reclaimed_slabs_blocks_are_discarded_before_its_room_is_used(host: Host) -> None:
    host.kubelet.mount("a", "800", namespace="one")
    fill(host.directory("a"), 300)
    host.kubelet.end("a")
    image = host.place / "disk0"
    before = image.stat().st_blocks
    assert host.kubelet.mount("b", "900", namespace="two").status == "Success"
    assert before - image.stat().st_blocks > (250 << 20) // 512
