"""How many processes a call starts: every one costs a person waiting time."""

from collections.abc import Callable

import pytest

from tests.node.accounting import accounting
from tests.node.host import GROUP, Host, run


def started(host: Host, call: Callable[[], object]) -> list[str]:
    """Return the programs that a call starts, besides the driver itself."""
    with accounting(host.place / "accounting") as programs:
        call()
    programs.remove("slab")
    return programs


@pytest.fixture
def warm(host: Host) -> Host:
    """A node with one free slab, whose last change was the driver's own."""
    host.kubelet.mount("first")
    host.kubelet.end("first")
    return host


def change_something() -> None:
    """Change the volume group, as an admin would."""
    run("vgchange", "--addtag", "admin", GROUP)


def test_a_warm_mount_and_a_release_start_one_process_each(warm: Host) -> None:
    assert started(warm, lambda: warm.kubelet.mount("a")) == ["lvm"]
    assert warm.events("mounted")[-1]["outcome"] == "warm"
    assert started(warm, lambda: warm.kubelet.unmount("a")) == ["lvm"]
    assert warm.slab().phase == "free"


def test_after_a_change_by_others_a_warm_mount_starts_two(warm: Host) -> None:
    change_something()
    assert started(warm, lambda: warm.kubelet.mount("a")) == ["lvm", "lvm"]
    assert warm.events("mounted")[-1]["outcome"] == "warm"


def test_after_a_change_by_others_a_release_starts_two(warm: Host) -> None:
    warm.kubelet.mount("a")
    change_something()
    assert started(warm, lambda: warm.kubelet.unmount("a")) == ["lvm", "lvm"]
    assert warm.slab().phase == "free"


def test_a_cold_mount_starts_two(warm: Host) -> None:
    programs = started(warm, lambda: warm.kubelet.mount("a", namespace="other"))
    assert programs == ["lvm", "mkfs.ext4"]


def test_a_cold_mount_that_makes_room_starts_two_more(warm: Host) -> None:
    programs = started(warm, lambda: warm.kubelet.mount("a", "990", namespace="other"))
    assert programs == ["lvm", "lvm", "lvm", "mkfs.ext4"]


def test_a_second_mount_of_a_directory_starts_none(warm: Host) -> None:
    warm.kubelet.mount("a")
    assert started(warm, lambda: warm.kubelet.mount("a")) == []


def test_init_starts_none(host: Host) -> None:
    assert started(host, lambda: host.kubelet.call("init")) == []
