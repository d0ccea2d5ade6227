"""The 14 faults of the 2017 system, each named and shown to be impossible.

The plugin kept its records in a database beside LVM, and its one lock in ``/tmp``. The tests cause
what it stumbled over, by stopping the driver where it hurts or by doing what nodes do.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.node.host import GROUP, Host, run
from tests.node.kubelet import PROJECT

STOPPED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from flexvol.__main__ import main
moment, step = sys.argv[2:4]
def watcher(now, here):
    if (now, here) == (moment, step):
        os.kill(os.getpid(), 9)
main(sys.argv[4:], os.environ, watcher)
"""


def stop(host: Host, moment: str, step: str, *call: str) -> None:
    """Make a call whose driver is killed before or after a step."""
    done = subprocess.run(
        ["/usr/bin/python3", "-ISc", STOPPED, str(PROJECT), moment, step, *call],
        env=host.kubelet.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout


def stop_mount(host: Host, moment: str, step: str, pod: str, size_mb: str = "64") -> None:
    """Begin to mount a pod's volume, and die."""
    stop(host, moment, step, "mount", *host.kubelet.arguments(pod, size_mb))


def test_fault_01_a_crash_around_lvcreate_or_lvremove_breaks_no_later_call(host: Host) -> None:
    host.admin("setup")
    for moment in ("before", "after"):
        stop_mount(host, moment, "lvcreate", f"create-{moment}", "400")
        host.kubelet.forget(f"create-{moment}")
        assert host.kubelet.mount(f"next-{moment}", "400").status == "Success"
        (host.directory(f"next-{moment}") / ".dind").mkdir()
        (host.directory(f"next-{moment}") / ".dind" / "state").write_text("starting\n")
        stop(host, moment, "lvremove", "unmount", str(host.directory(f"next-{moment}")))
        host.kubelet.forget(f"next-{moment}")
        assert host.kubelet.mount(f"reclaims-{moment}", "800").status == "Success"
        host.kubelet.end(f"reclaims-{moment}")
    host.admin("reconcile")
    assert [slab.phase for slab in host.slabs()] == ["free"]


@pytest.mark.parametrize(("moment", "step"), [("after", "lvcreate"), ("before", "mkfs")])
def test_fault_02_a_half_made_volume_is_never_handed_out(
    host: Host, moment: str, step: str
) -> None:
    stop_mount(host, moment, step, "a")
    half_made = host.slab().name
    for pod in ("b", "a"):
        assert host.kubelet.mount(pod).status == "Success"
        assert host.mounted_slab(pod) != half_made
    assert half_made not in {slab.name for slab in host.slabs()}


def test_fault_03_a_failed_mount_and_its_retry_leave_one_slab(host: Host) -> None:
    host.admin("setup")
    blocked = host.directory("a")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the directory belongs")
    arguments = (str(blocked), host.kubelet.options("a"))
    assert host.kubelet.call("mount", *arguments).status == "Failure"
    assert host.slabs() == []
    blocked.unlink()
    for moment, step in (("before", "mount"), ("after", "mount")):
        stop(host, moment, step, "mount", *arguments)
        assert len(host.slabs()) == 1
    assert host.kubelet.call("mount", *arguments).status == "Success"
    assert (host.slab().phase, len(host.mounts())) == ("held", 1)
    host.kubelet.end("a")
    assert (host.slab().phase, host.mounts()) == ("free", [])


def test_fault_04_no_slab_stays_in_use_for_ever_after_a_reboot_or_a_crash(host: Host) -> None:
    host.kubelet.mount("rebooted")
    host.reboot()
    host.kubelet.forget("rebooted")
    host.kubelet.mount("crashed", namespace="other")
    stop(host, "after", "umount", "unmount", str(host.directory("crashed")))
    host.kubelet.forget("crashed")
    host.admin("reconcile")
    assert [slab.phase for slab in host.slabs()] == ["free", "free"]


def test_fault_05_unmount_may_be_repeated(host: Host) -> None:
    host.kubelet.mount("a")
    stop(host, "after", "lvchange", "unmount", str(host.directory("a")))
    for _ in range(2):
        assert host.kubelet.unmount("a").status == "Success"
    assert (host.slab().phase, host.slab().release) == ("free", 1)


def test_fault_06_a_failed_measurement_deletes_nothing(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.unmount("a")
    assert host.kubelet.unmount("a").status == "Success"
    assert host.slab().phase == "free"
    # What the 2017 plugin measured here was the node's own disk, which is fuller than any limit.
    host.configure(full_percent=0)
    assert host.kubelet.unmount("a").status == "Success"
    assert host.slab().phase == "free"


def test_fault_07_an_internal_error_is_an_answer_in_json(host: Host) -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1)); import flexvol.mounting as m; "
        "m.decide = lambda *_: 1 / 0; "
        "from flexvol.__main__ import main; main(sys.argv[1:], os.environ)"
    )
    host.kubelet.command = ("/usr/bin/python3", "-ISc", program, str(PROJECT))
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "division by zero" in answer.message
    assert host.slabs() == []


def test_fault_08_reclaiming_takes_the_oldest_and_no_more_than_it_needs(host: Host) -> None:
    for number, pod in enumerate("abc"):
        host.kubelet.mount(pod, "300", namespace=f"team-{number}")
    for pod in "bca":
        host.kubelet.end(pod)
    assert host.kubelet.mount("never", "5000").status == "Failure"
    assert len(host.slabs()) == 3
    assert host.kubelet.mount("d", "200", namespace="new").status == "Success"
    scopes = {slab.scope for slab in host.slabs()}
    assert scopes == {"namespace/team-0", "namespace/team-2", "namespace/new"}


def test_fault_09_extents_inodes_and_damage_are_counted(host: Host) -> None:
    run("vgcreate", "--physicalextentsize", "64M", GROUP, *host.disks)
    free = host.free_mib()
    assert host.kubelet.mount("a", str(free - 63)).status == "Success"
    assert host.slab().extents * 64 == free
    host.kubelet.end("a")
    host.kubelet.mount("b", "16")
    directory = host.directory("b")
    inodes = run("df", "--output=itotal", str(directory)).split()[-1]
    for number in range(int(inodes) * 6 // 10):
        (directory / str(number)).touch()
    host.kubelet.end("b")
    assert 16 not in {slab.size_mib for slab in host.slabs()}
    host.kubelet.mount("c", "64", namespace="damaged")
    (host.directory("c") / ".dind").mkdir()
    (host.directory("c") / ".dind" / "state").write_text("ready\n")
    host.kubelet.end("c")
    damaged = next(slab for slab in host.slabs() if slab.scope == "namespace/damaged")
    with Path(host.device(damaged.name)).open("r+b") as device:
        device.write(b"noise" * 1_000_000)
    assert host.kubelet.mount("d", "64", namespace="damaged").status == "Success"
    assert host.mounted_slab("d") != damaged.name
    assert damaged.name not in {slab.name for slab in host.slabs()}


def test_fault_10_mkfs_holds_up_no_other_call_and_the_lock_is_not_in_tmp(host: Host) -> None:
    host.kubelet.mount("warm")
    host.kubelet.end("warm")
    slow = (
        "import os, sys, time; sys.path.insert(0, sys.argv.pop(1))\n"
        "def watcher(moment, step):\n"
        "    if (moment, step) == ('before', 'mkfs'): time.sleep(15)\n"
        "from flexvol.__main__ import main; main(sys.argv[1:], os.environ, watcher)"
    )
    arguments = host.kubelet.arguments("slow", namespace="other")
    process = subprocess.Popen(
        ["/usr/bin/python3", "-ISc", slow, str(PROJECT), "mount", *arguments],
        env=host.kubelet.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(host.slabs()) < 2:
        time.sleep(0.1)
    assert host.kubelet.mount("quick").status == "Success"
    assert process.poll() is None
    assert host.kubelet.read(process).status == "Success"
    defaults = "from flexvol.settings import Settings; print(Settings().run_dir)"
    done = subprocess.run(
        [sys.executable, "-c", defaults], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "/run/dind-slab\n"


def test_fault_11_the_device_is_a_setting_and_no_english_decides(host: Host) -> None:
    second = host.add_disk(200)
    host.configure(device=second, volume_group="elsewhere")
    assert host.kubelet.mount("a").status == "Success"
    report = json.loads(run("pvs", "--reportformat", "json", "-o", "pv_name,vg_name"))
    assert report["report"][0]["pv"] == [{"pv_name": second, "vg_name": "elsewhere"}]


def test_fault_12_no_tenant_gets_what_another_one_left(host: Host) -> None:
    host.kubelet.mount("a", namespace="one", account="x", cache_key="k")
    (host.directory("a") / "containers").write_text("restart=always")
    host.kubelet.end("a")
    host.kubelet.mount("b", namespace="two", account="x", cache_key="k")
    host.kubelet.mount("c", namespace="one", account="x")
    for pod in "bc":
        assert not (host.directory(pod) / "containers").exists()


def test_fault_13_a_mount_that_has_to_wait_says_why_and_for_what(host: Host) -> None:
    host.configure(wait_seconds=1)
    host.kubelet.mount("a", "800")
    answer = host.kubelet.mount("b", "800")
    assert answer.status == "Failure"
    for words in ("no room", "800 MiB", "in use by other pods", "waited 1 s"):
        assert words in answer.message


def test_fault_14_what_the_driver_leaves_is_for_root_alone(host: Host) -> None:
    """The open daemon is the webhook's to prevent; on the node nothing is left open either."""
    host.kubelet.mount("a")
    assert (host.run_dir.stat().st_mode & 0o777) == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (host.run_dir / "claims").iterdir())
    assert host.log_path.stat().st_mode & 0o007 == 0
