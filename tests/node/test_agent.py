"""The agent on a real node: real LVM, the real driver, the real log."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flexvol.errors import CommandError
from flexvol.install.host import Host as Namespaces
from flexvol.settings import PATH
from tests.guest.machine import PROJECT
from tests.node.host import GROUP, Host, run
from tests.node.kubelet import DRIVER
from tests.waiting import PATIENCE_SECONDS, eventually

PORT = 9841


CONTAINER = 'for place in "$1" /etc/dind; do mount -t tmpfs none "$place"; done; shift; exec "$@"'
"""A mount namespace of its own, in which nothing of the node's is where the node has it."""


class Agent:
    """An agent in quick rounds that knows no cluster."""

    def __init__(self, root: Path, *flags: str, container: Sequence[str] = ()) -> None:
        self._log = (root / "agent.log").open("wb")
        flags = (f"--root={root}", "--host-pid=1", "--interval=0.5", *flags)
        command = [*container, sys.executable, "-m", "flexvol", "agent", *flags]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdout=self._log)

    def __enter__(self) -> Self:
        eventually(lambda: self.pages() != "")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE_SECONDS) == 0
        self._log.close()

    def pages(self) -> str:
        """Return the metrics, or nothing as long as nobody serves them."""
        try:
            with urllib.request.urlopen(
                f"http://localhost:{PORT}/metrics", timeout=PATIENCE_SECONDS
            ) as page:
                text: str = page.read().decode()
                return text
        except OSError:
            return ""

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric, None where there is none."""
        for family in text_string_to_metric_families(self.pages()):
            for sample in family.samples:
                if sample.name == f"dind_node_{name}" and sample.labels == labels:
                    return sample.value
        return None

    def shows(self, value: float, name: str, **labels: str) -> None:
        """Wait until a metric has this value."""
        eventually(lambda: self.value(name, **labels) == value)


@pytest.fixture
def agent(host: Host) -> Iterator[Agent]:
    """An agent in a container on the node, whose driver is installed."""
    (host.place / "slab").symlink_to(DRIVER[0])
    Path(PATH).parent.mkdir(exist_ok=True)
    Path(PATH).unlink(missing_ok=True)
    Path(PATH).symlink_to(host.settings_path)
    container = ("unshare", "--mount", "sh", "-ec", CONTAINER, "sh", str(host.place))
    with Agent(host.place, container=container) as running:
        yield running


def test_what_the_capacity_promises_the_pool_has(host: Host, agent: Agent) -> None:
    agent.shows(1, "ready")
    capacity = agent.value("capacity_mib")
    assert capacity == host.free_mib()
    sizes = [256, 260, 300]
    sizes.append(int(capacity) - sum(sizes))
    for number, size in enumerate(sizes):
        assert host.kubelet.mount(f"pod-{number}", size_mb=str(size)).status == "Success"
    assert host.free_mib() == 0
    assert host.kubelet.mount("late", size_mb="256").status == "Failure"
    agent.shows(len(sizes), "slabs", state="in_use", scope="namespace")
    agent.shows(len(sizes), "mounts_total", outcome="cold", result="miss")
    agent.shows(1, "failures_total", call="mount", cause="no_room")
    assert agent.value("capacity_mib") == capacity, "what is used is not the capacity's affair"


def test_the_capacity_follows_the_pool(host: Host, agent: Agent) -> None:
    agent.shows(1, "ready")
    before = host.free_mib()
    run("lvcreate", "--quiet", "--yes", "--name", "admins-own", "--extents", "10", GROUP)
    agent.shows(before - 40, "capacity_mib")
    run("vgextend", GROUP, host.add_disk(512))
    agent.shows(host.free_mib(), "capacity_mib")


def test_rounds_keep_spares_and_free_what_the_kubelet_forgot(host: Host, agent: Agent) -> None:
    host.configure(spares={"64": 2})
    agent.shows(2, "slabs", state="spare", scope="none")
    assert host.kubelet.mount("a").status == "Success"
    agent.shows(1, "mounts_total", outcome="spare", result="miss")
    agent.shows(2, "slabs", state="spare", scope="none")
    run("umount", str(host.directory("a")))
    host.kubelet.forget("a")
    agent.shows(1, "slabs", state="free", scope="namespace")
    assert host.kubelet.mount("b").status == "Success"
    agent.shows(1, "mounts_total", outcome="warm", result="hit")


def test_a_pool_that_is_gone_is_told_of(host: Host, agent: Agent) -> None:
    agent.shows(1, "ready")
    run("vgchange", "--activate", "n", GROUP)
    run("vgrename", GROUP, "elsewhere")
    host.configure(device="/dev/null")
    agent.shows(0, "ready")
    assert agent.value("capacity_mib") is None
    run("vgrename", "elsewhere", GROUP)
    agent.shows(1, "ready")


def test_changed_settings_reach_the_node_and_what_is_removed_comes_back(host: Host) -> None:
    root, plugins, folder = (host.place / name for name in ("root", "plugins", "settings"))
    bundle = root / "1"
    for made in (bundle / "bin", plugins, folder):
        made.mkdir(parents=True)
    (bundle / "bin" / "python3").symlink_to(sys.executable)
    (bundle / "entry").symlink_to(DRIVER[0])
    (root / "slab").symlink_to(bundle / "entry")
    (folder / "device").write_text(host.disks[0])
    flags = (f"--settings-from={folder}", f"--plugin-dir={plugins}")
    entry = plugins / "dind~slab" / "slab"
    with Agent(root, *flags) as agent:
        agent.shows(1, "ready")
        before = host.free_mib()
        entry.unlink()
        (folder / "device").write_text(json.dumps([host.disks[0], host.add_disk(512)]))
        eventually(lambda: (agent.value("capacity_mib") or 0) > before)
        assert agent.value("capacity_mib") == host.free_mib()
        assert entry.exists()
        (folder / "devise").write_text("/dev/null")
        agent.shows(1, "settings_faulty")
        agent.shows(1, "ready")
    run("rm", "-r", str(Path(PATH).parent))


def test_a_command_that_fails_on_the_host_is_named_and_not_the_way_to_it() -> None:
    with pytest.raises(CommandError, match=r"^sh -c ended with 3: no$"):
        Namespaces(1).run("sh", "-c", "echo no >&2; exit 3")


def test_a_look_at_all_slabs_keeps_no_mount_from_its_warm_one(host: Host) -> None:
    host.kubelet.mount("pod-0")
    host.kubelet.end("pod-0")
    command = [*host.kubelet.command, "status", "--json"]
    loop = ["sh", "-c", 'while :; do "$@" >/dev/null; done', "sh", *command]
    with subprocess.Popen(loop, env=host.kubelet.environ, start_new_session=True) as looking:
        try:
            for number in (1, 2, 3):
                assert host.kubelet.mount(f"pod-{number}").status == "Success"
                host.kubelet.end(f"pod-{number}")
        finally:
            os.killpg(looking.pid, signal.SIGKILL)
    assert [event["outcome"] for event in host.events("mounted")] == ["cold"] + ["warm"] * 3
