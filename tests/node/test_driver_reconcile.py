"""What reconcile puts right, and what it leaves alone."""

import json
import subprocess
from pathlib import Path

import pytest

from flexvol.model import Slab, tags_of
from tests.node.host import GROUP, Host, run


def record(slab: Slab, **changes: object) -> None:
    """Write a slab's record by hand."""
    new = slab.replace(**changes)
    before, after = tags_of(slab), tags_of(new)
    tags = [f"--deltag={tag}" for tag in before - after] + [
        f"--addtag={tag}" for tag in after - before
    ]
    run("lvchange", *tags, f"{GROUP}/{slab.name}")


def reconcile(host: Host) -> str:
    """Reconcile once and return what it printed."""
    done = host.admin("reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_slab_the_kubelet_forgot_is_checked_and_freed(host: Host) -> None:
    host.kubelet.mount("a")
    (host.directory("a") / "layer").write_text("kept")
    run("umount", str(host.directory("a")))
    host.kubelet.forget("a")
    assert "freed: its pod is gone" in reconcile(host)
    assert (host.slab().phase, host.slab().holder) == ("free", "")
    host.kubelet.mount("b")
    assert (host.directory("b") / "layer").read_text() == "kept"


def test_what_a_forgotten_slab_holds_decides_as_at_an_unmount(host: Host) -> None:
    host.kubelet.mount("a")
    (host.directory("a") / ".dind").mkdir()
    (host.directory("a") / ".dind" / "state").write_text("starting\n")
    run("umount", str(host.directory("a")))
    host.kubelet.forget("a")
    reconcile(host)
    assert host.slabs() == []


def test_the_slab_of_a_pod_that_is_still_there_is_reserved(host: Host) -> None:
    host.kubelet.mount("a")
    host.reboot()
    reconcile(host)
    assert host.slab().phase == "held"
    assert host.kubelet.mount("a").status == "Success"


def test_no_slab_is_freed_while_all_of_the_kubelets_root_is_gone(host: Host) -> None:
    host.kubelet.mount("a")
    host.reboot()
    host.kubelet.root.rename(host.place / "elsewhere")
    reconcile(host)
    assert host.slab().phase == "held"


def test_a_mounted_slab_is_left_alone(host: Host) -> None:
    host.kubelet.mount("a")
    before = host.slab()
    assert reconcile(host) == ""
    assert host.slab() == before


def test_a_half_made_slab_is_removed(host: Host) -> None:
    host.kubelet.mount("a")
    slab = host.slab()
    run("umount", str(host.directory("a")))
    with Path(host.device(slab.name)).open("r+b") as device:
        device.write(bytes(4096))
    assert "half-made" in reconcile(host)
    assert host.slabs() == []


def test_a_doomed_slab_is_removed(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    record(host.slab(), phase="doomed")
    reconcile(host)
    assert host.slabs() == []


def test_a_busy_slab_is_freed_once_it_is_closed(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    record(host.slab(), phase="busy")
    with subprocess.Popen(["sleep", "1000"]) as other:
        elsewhere = host.place / "elsewhere"
        elsewhere.mkdir()
        run("mount", host.device(host.slab().name), str(elsewhere))
        assert reconcile(host) == ""
        assert host.slab().phase == "busy"
        run("umount", str(elsewhere))
        other.kill()
    assert "closed" in reconcile(host)
    assert host.slab().phase == "free"


def test_a_free_slab_that_was_not_released_in_order_is_checked_ahead(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    record(host.slab(), unchecked=True)
    release = host.slab().release
    reconcile(host)
    assert (host.slab().unchecked, host.slab().release) == (False, release)


def test_a_damaged_slab_is_removed_and_the_log_says_so(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    record(host.slab(), unchecked=True)
    with Path(host.device(host.slab().name)).open("r+b") as device:
        device.write(b"noise" * 100_000)
    reconcile(host)
    assert host.slabs() == []
    assert host.events("damaged") != []


def test_a_slab_without_its_device_gets_it_back(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    run("lvchange", "--activate", "n", f"{GROUP}/{host.slab().name}")
    assert "activated" in reconcile(host)


def test_one_slab_that_can_never_be_activated_stops_no_others_upkeep(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.mount("b")
    for slab in host.slabs():
        record(slab, uses=2, release=1)
    host.reboot()
    stuck, other = host.slabs()
    # A device by that name which is not LVM's: no activation of the slab can succeed.
    name = f"{GROUP}-{stuck.name.replace('-', '--')}"
    run("dmsetup", "create", name, "--table", "0 8 error")
    for pod in "ab":
        host.kubelet.forget(pod)
    done = host.admin("reconcile")
    assert done.returncode == 1
    assert stuck.name in done.stdout
    phases = {slab.name: slab.phase for slab in host.slabs()}
    assert phases == {stuck.name: "held", other.name: "free"}
    assert host.kubelet.mount("c").status == "Success"
    run("dmsetup", "remove", name)


def test_spares_are_kept_and_make_a_cold_mount_a_warm_ones_price(host: Host) -> None:
    host.configure(spares={"64": 2})
    assert host.admin("setup").returncode == 0
    assert reconcile(host).count("made: a spare") == 2
    assert [slab.phase for slab in host.slabs()] == ["spare", "spare"]
    assert host.kubelet.mount("a", namespace="team").status == "Success"
    assert host.events("mounted")[-1]["outcome"] == "spare"
    assert {slab.scope for slab in host.slabs()} == {"", "namespace/team"}
    assert reconcile(host).count("made: a spare") == 1


def test_spares_take_no_room_from_slabs(host: Host) -> None:
    host.configure(spares={"600": 1})
    host.kubelet.mount("a", "600")
    host.kubelet.end("a")
    assert reconcile(host) == ""
    assert host.slab().phase == "free"


def test_spares_that_are_no_longer_wanted_are_removed(host: Host) -> None:
    host.configure(spares={"64": 2})
    host.admin("setup")
    reconcile(host)
    host.configure(spares={"64": 1})
    reconcile(host)
    assert len(host.slabs()) == 1


def test_lock_files_of_dead_calls_are_swept(host: Host) -> None:
    host.kubelet.mount("a", "5000")
    assert list((host.run_dir / "volumes").iterdir()) != []
    host.admin("reconcile")
    assert list((host.run_dir / "volumes").iterdir()) == []


def test_a_pool_on_a_file_is_attached_again_after_a_reboot(host: Host) -> None:
    host.configure(file=str(host.place / "pool" / "file"), size="200M")
    host.kubelet.mount("a")
    loop = run("losetup", "-n", "-O", "NAME", "-j", str(host.place / "pool" / "file")).strip()
    host.reboot()
    run("losetup", "--detach", loop)
    assert "attached" in reconcile(host)
    assert host.kubelet.mount("a").status == "Success"
    assert host.events("mounted")[-1]["outcome"] == "resumed"


def test_tags_someone_edited_make_a_slab_nobodys(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    name = host.slab().name
    run("lvchange", "--addtag", "dind.slab=held", f"{GROUP}/{name}")
    reconcile(host)
    host.kubelet.mount("b")
    report = json.loads(run("lvs", "--reportformat", "json", "-o", "lv_name", GROUP))
    assert {row["lv_name"] for row in report["report"][0]["lv"]} == {name, host.slab().name}
    assert host.mounted_slab("b") != name


@pytest.mark.parametrize("fs_type", ["ext4", "xfs"])
def test_a_slab_cut_off_in_the_middle_of_writing_is_whole_again(host: Host, fs_type: str) -> None:
    host.kubelet.mount("a", "320", fs_type=fs_type)
    directory = host.directory("a")
    (directory / "synced").write_text("whole")
    run("sync")
    for number in range(200):
        (directory / f"file{number}").write_text("x" * 1000)
    device = host.device(host.slab().name)
    # What the disk holds while the file system is in use is what a power cut leaves of it.
    run("dd", f"if={device}", f"of={host.place}/cut", "bs=1M", "conv=sparse", "status=none")
    run("umount", str(directory))
    run("dd", f"if={host.place}/cut", f"of={device}", "bs=1M", "status=none")
    host.kubelet.forget("a")
    reconcile(host)
    host.kubelet.mount("b", "320", fs_type=fs_type)
    assert (host.directory("b") / "synced").read_text() == "whole"
