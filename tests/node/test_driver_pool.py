"""Where the disk comes from: what is taken, and what never is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.node.host import GROUP, Host, run


def devices() -> set[str]:
    """Return the volume group's physical volumes."""
    report = run("pvs", "--noheadings", "-o", "pv_name", "-S", f"vg_name={GROUP}")
    return set(report.split())


def test_setup_makes_the_volume_group_of_all_devices(host: Host) -> None:
    host.add_disk(300)
    host.configure()
    done = host.admin("setup")
    assert done.returncode == 0, done.stderr
    assert devices() == set(host.disks)
    assert host.kubelet.mount("a", "1200").status == "Success"


def test_setup_again_changes_nothing(host: Host) -> None:
    host.admin("setup")
    seqno = run("vgs", "--noheadings", "-o", "vg_seqno", GROUP)
    assert host.admin("setup").returncode == 0
    assert run("vgs", "--noheadings", "-o", "vg_seqno", GROUP) == seqno


def test_setup_extends_the_volume_group_by_a_new_device(host: Host) -> None:
    host.admin("setup")
    host.add_disk(300)
    host.configure()
    assert "extended" in host.admin("setup").stdout
    assert devices() == set(host.disks)


def make_ext4(device: str) -> None:
    run("mkfs.ext4", "-q", device)


def make_swap(device: str) -> None:
    run("mkswap", device)


def make_partitions(device: str) -> None:
    linux, start, sectors = 0x83, 2048, 100_000
    entry = bytes((0, 0, 0, 0, linux, 0, 0, 0)) + start.to_bytes(4, "little")
    with Path(device).open("r+b") as stream:
        stream.seek(446)
        stream.write(entry + sectors.to_bytes(4, "little"))
        stream.seek(510)
        stream.write(b"\x55\xaa")


def make_other_volume_group(device: str) -> None:
    run("vgcreate", "admins", device)


def write_something_unknown(device: str) -> None:
    with Path(device).open("r+b") as stream:
        stream.seek(100_000)
        stream.write(b"a database's own format")


def write_something_at_the_end(device: str) -> None:
    with Path(device).open("r+b") as stream:
        stream.seek(-5000, 2)
        stream.write(b"RAID keeps its mark here")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (make_ext4, "ext4"),
        (make_swap, "swap"),
        (make_partitions, "dos"),
        (make_other_volume_group, "in use|LVM2_member"),
        (write_something_unknown, "data of a kind"),
        (write_something_at_the_end, "data of a kind"),
    ],
)
def test_a_device_that_is_not_blank_is_never_taken(
    host: Host, spoil: Callable[[str], None], found: str
) -> None:
    second = host.add_disk(100)
    host.configure()
    spoil(second)
    run("dd", f"if={second}", "bs=1M", "count=1", "status=none", f"of={host.place}/before")
    done = host.admin("setup")
    assert done.returncode == 1
    assert second in done.stderr
    assert any(word in done.stderr for word in found.split("|"))
    assert devices() == set()
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert second in answer.message
    run("cmp", "-n", str(1 << 20), second, f"{host.place}/before")


def test_a_mounted_device_is_never_taken(host: Host) -> None:
    device = host.disks[0]
    make_ext4(device)
    (host.place / "mine").mkdir()
    run("mount", device, str(host.place / "mine"))
    done = host.admin("setup")
    assert done.returncode == 1
    assert "in use" in done.stderr


@pytest.mark.parametrize(("path", "said"), [("/dev/null", "not a block"), ("/dev/no", "No such")])
def test_a_device_that_is_none_is_named(host: Host, path: str, said: str) -> None:
    host.configure(device=path)
    done = host.admin("setup")
    assert done.returncode == 1
    assert path in done.stderr
    assert said in done.stderr


def test_what_an_interrupted_setup_left_is_taken_up(host: Host) -> None:
    run("pvcreate", *host.disks)
    assert host.kubelet.mount("a").status == "Success"


def test_without_a_disk_and_a_volume_group_the_message_says_what_to_do(host: Host) -> None:
    host.settings_path.write_text(json.dumps({"run_dir": str(host.run_dir)}))
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "no volume group dind" in answer.message
    assert "slab.json" in answer.message


def test_a_volume_group_that_is_there_is_used_as_it_is(host: Host) -> None:
    run("vgcreate", "--physicalextentsize", "16M", GROUP, *host.disks)
    host.settings_path.write_text(json.dumps({"run_dir": str(host.run_dir)}))
    assert host.kubelet.mount("a", "100").status == "Success"
    assert (host.slab().size_mib, host.slab().extents) == (100, 7)


def test_a_file_is_allocated_in_full_and_stays_so(host: Host) -> None:
    file = host.place / "pool" / "file"
    host.configure(file=str(file), size="200Mi")
    assert host.kubelet.mount("a", "100").status == "Success"
    assert file.stat().st_blocks * 512 == 200 << 20
    with (host.directory("a") / "full").open("wb") as stream:
        for _ in range(80):
            stream.write(bytes(1 << 20))
    host.kubelet.end("a")
    assert host.slabs() == []
    assert file.stat().st_blocks * 512 == 200 << 20


def test_a_sparse_file_grows_as_it_is_used(host: Host) -> None:
    file = host.place / "pool" / "file"
    host.configure(file=str(file), size="200Mi", sparse=True)
    assert host.kubelet.mount("a", "100").status == "Success"
    assert file.stat().st_size == 200 << 20
    assert file.stat().st_blocks * 512 < 50 << 20


def test_a_file_that_does_not_fit_leaves_nothing_behind(host: Host) -> None:
    file = host.place / "pool" / "file"
    host.configure(file=str(file), size="200Gi")
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "cannot be made" in answer.message
    assert list(file.parent.iterdir()) == []


def test_a_file_that_holds_something_is_never_taken(host: Host) -> None:
    file = host.place / "file"
    file.write_bytes(b"the admin's own" * 1_000_000)
    host.configure(file=str(file), size="200Mi")
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "not blank" in answer.message


def test_a_missing_disk_is_named_and_pods_can_still_end(host: Host) -> None:
    second = host.add_disk(300)
    host.configure()
    host.kubelet.mount("a")
    run("losetup", "--detach", second)
    answer = host.kubelet.mount("b")
    assert answer.status == "Failure"
    assert "1 disk(s) of volume group dind are missing" in answer.message
    assert host.kubelet.unmount("a").status == "Success"
    assert host.mounts() == []
