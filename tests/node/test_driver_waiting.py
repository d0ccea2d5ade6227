"""Waiting for room, and calls at the same time."""

import signal
import time

from tests.node.host import Host, run
from tests.waiting import eventually


def test_a_mount_waits_until_another_pod_ends(host: Host) -> None:
    host.configure(wait_seconds=60)
    host.kubelet.mount("a", "800")
    waiting = host.kubelet.start("mount", *host.kubelet.arguments("b", "800", namespace="other"))
    time.sleep(3)
    assert waiting.poll() is None
    host.kubelet.end("a")
    assert host.kubelet.read(waiting).status == "Success"
    assert host.slab().scope == "namespace/other"


def test_a_mount_that_waited_in_vain_says_so(host: Host) -> None:
    host.configure(wait_seconds=2)
    host.kubelet.mount("a", "800")
    answer = host.kubelet.mount("b", "800")
    assert answer.status == "Failure"
    assert "800 MiB" in answer.message
    assert "waited 2 s" in answer.message


def test_who_came_first_is_served_first(host: Host) -> None:
    host.configure(wait_seconds=120)
    host.kubelet.mount("a", "800")
    first = host.kubelet.start("mount", *host.kubelet.arguments("b", "800", namespace="one"))
    wait_for_tickets(host, 1)
    second = host.kubelet.start("mount", *host.kubelet.arguments("c", "800", namespace="two"))
    wait_for_tickets(host, 2)
    host.kubelet.end("a")
    assert host.kubelet.read(first).status == "Success"
    assert second.poll() is None
    host.kubelet.end("b")
    assert host.kubelet.read(second).status == "Success"


def test_one_who_comes_later_and_needs_less_room_does_not_pass_by(host: Host) -> None:
    host.configure(wait_seconds=120)
    host.kubelet.mount("a", "600")
    first = host.kubelet.start("mount", *host.kubelet.arguments("b", "800", namespace="one"))
    wait_for_tickets(host, 1)
    second = host.kubelet.start("mount", *host.kubelet.arguments("c", "100", namespace="two"))
    wait_for_tickets(host, 2)
    host.kubelet.end("a")
    assert host.kubelet.read(first).status == "Success"
    assert host.kubelet.read(second).status == "Success"


def test_a_warm_slab_of_no_use_to_those_who_wait_is_handed_out_at_once(host: Host) -> None:
    host.configure(wait_seconds=120)
    host.kubelet.mount("a", "600")
    host.kubelet.mount("b", "64")
    host.kubelet.end("b")
    waiting = host.kubelet.start("mount", *host.kubelet.arguments("c", "900", namespace="one"))
    wait_for_tickets(host, 1)
    assert host.kubelet.mount("d", "64").status == "Success"
    assert host.events("mounted")[-1]["outcome"] == "warm"
    assert waiting.poll() is None
    waiting.kill()
    waiting.communicate()


def test_a_waiting_call_that_was_killed_holds_up_nobody(host: Host) -> None:
    host.configure(wait_seconds=120)
    host.kubelet.mount("a", "600")
    waiting = host.kubelet.start("mount", *host.kubelet.arguments("b", "800", namespace="one"))
    wait_for_tickets(host, 1)
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate()
    assert host.kubelet.mount("c", "100", namespace="two").status == "Success"


def test_a_size_that_can_never_fit_does_not_wait(host: Host) -> None:
    host.configure(wait_seconds=120)
    started = time.monotonic()
    assert host.kubelet.mount("a", "5000").status == "Failure"
    assert time.monotonic() - started < 60


def test_many_mounts_at_once_get_a_slab_each(host: Host) -> None:
    pods = [f"pod{number}" for number in range(8)]
    for pod in pods:
        host.kubelet.mount(pod, "32")
    for pod in pods:
        host.kubelet.end(pod)
    calls = [
        host.kubelet.start("mount", *host.kubelet.arguments(pod, "32", namespace=namespace))
        for pod in pods
        for namespace in ("default" if pod < "pod4" else "other",)
    ]
    assert [host.kubelet.read(call).status for call in calls] == ["Success"] * 8
    assert len({host.mounted_slab(pod) for pod in pods}) == 8
    scopes = {slab.name: slab.scope for slab in host.slabs()}
    for pod in pods:
        expected = "namespace/default" if pod < "pod4" else "namespace/other"
        assert scopes[host.mounted_slab(pod)] == expected


def test_one_volume_mounted_by_two_calls_at_once_is_mounted_once(host: Host) -> None:
    arguments = host.kubelet.arguments("a")
    calls = [host.kubelet.start("mount", *arguments) for _ in range(3)]
    assert [host.kubelet.read(call).status for call in calls] == ["Success"] * 3
    assert len(host.mounts()) == 1
    assert host.slab().phase == "held"


def test_an_unmount_during_the_mount_waits_for_it(host: Host) -> None:
    mount = host.kubelet.start("mount", *host.kubelet.arguments("a"))
    while not list((host.run_dir / "claims").glob("*")) and mount.poll() is None:
        time.sleep(0.01)
    answer = host.kubelet.unmount("a")
    assert host.kubelet.read(mount).status == "Success"
    assert answer.status == "Success"
    assert host.mounts() == []
    assert host.slab().phase == "free"


def test_a_slab_opened_by_a_udev_like_prober_is_handed_out_all_the_same(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    with open(host.device(host.slab().name), "rb"):  # noqa: PTH123 - as a prober opens it
        assert host.kubelet.mount("b").status == "Success"
    assert host.events("mounted")[-1]["outcome"] == "warm"


def test_a_free_slab_that_is_mounted_elsewhere_is_passed_over(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    elsewhere = host.place / "elsewhere"
    elsewhere.mkdir()
    run("mount", host.device(host.slab().name), str(elsewhere))
    assert host.kubelet.mount("b").status == "Success"
    assert len(host.slabs()) == 2
    run("umount", str(elsewhere))


def wait_for_tickets(host: Host, count: int) -> None:
    """Wait until so many calls wait for room."""
    folder = host.run_dir / "waiting"
    eventually(lambda: folder.exists() and len(list(folder.iterdir())) >= count)
