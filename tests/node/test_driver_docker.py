"""A real Docker daemon on real slabs, from pod to pod."""

import itertools
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from flexvol.model import Slab
from tests.node.host import Host
from tests.node.images import busybox_tar
from tests.node.pod import Container, Pod
from tests.waiting import PATIENCE_SECONDS, eventually
from webhook import names

SIZE_MIB = 500
ENVIRONMENT = {names.ENV_SIZE_MIB: str(SIZE_MIB)}
BUILD = b"FROM box:1\nRUN echo built >/made\n"
UNFINISHED = b"FROM box:1\nRUN echo half >/half; sleep 4321\n"
HELLO = ("run", "--rm", "--network=none", "built:1", "cat", "/made")

numbers = itertools.count(1)


class Node:
    """A node whose pods have a daemon each."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def pod(self, name: str, namespace: str = "team", size_mib: int = SIZE_MIB) -> Pod:
        """Mount a pod's graph storage and return the pod."""
        answer = self.host.kubelet.mount(name, str(size_mib), namespace, graph_format="docker-20")
        assert answer.status == "Success", answer.message
        return Pod(self.host.place / "pods" / name, self.host.directory(name), next(numbers))

    def end(self, name: str) -> None:
        """Unmount the pod's graph storage."""
        answer = self.host.kubelet.end(name)
        assert answer.status == "Success", answer.message

    def slab(self, namespace: str = "team") -> Slab:
        """Return the only slab of a namespace that has the usual size."""
        wanted = (f"namespace/{namespace}", SIZE_MIB)
        (slab,) = (slab for slab in self.host.slabs() if (slab.scope, slab.size_mib) == wanted)
        return slab


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with one free slab: a pod has left an image and a build in it."""
    with Host(tmp_path_factory.mktemp("node")) as host:
        host.add_disk(1200)
        host.configure()
        node = Node(host)
        pod = node.pod("first")
        with pod.start(ENVIRONMENT) as container:
            container.wait_ready()
            pod.docker("import", "-", "box:1", stdin=busybox_tar())
            assert "CACHED" not in pod.docker("build", "--tag=built:1", "-", stdin=BUILD)
            assert container.terminate() == 0
        node.end("first")
        yield node


def test_the_next_pod_finds_the_images_and_the_build_cache(node: Node) -> None:
    before = node.slab()
    pod = node.pod("next")
    with pod.start(ENVIRONMENT) as container:
        container.wait_ready()
        assert pod.docker("images", "--quiet", "built:1") != ""
        again = pod.docker("build", "--progress=plain", "--tag=again:1", "-", stdin=BUILD)
        assert "CACHED" in again
        assert pod.docker(*HELLO) == "built\n"
        assert container.terminate() == 0
    node.end("next")
    after = node.slab()
    assert after.released_at > before.released_at
    assert after == before.replace(
        uses=before.uses + 1, release=before.release + 1, released_at=after.released_at
    )


def test_a_daemon_killed_in_the_middle_of_a_build_leaves_a_slab_that_serves(node: Node) -> None:
    pod = node.pod("killed")
    with pod.start(ENVIRONMENT) as container:
        container.wait_ready()
        building = start_building(pod)
        container.kill()
        building.wait(PATIENCE_SECONDS)
    node.end("killed")
    killed = node.slab()
    assert killed.unchecked
    pod = node.pod("after-the-kill")
    with pod.start(ENVIRONMENT) as container:
        container.wait_ready()
        assert pod.docker(*HELLO) == "built\n"
        assert container.terminate() == 0
    node.end("after-the-kill")
    assert (node.slab().name, node.slab().unchecked) == (killed.name, False)


def test_a_daemon_killed_together_with_its_node_leaves_a_slab_that_serves(node: Node) -> None:
    pod = node.pod("cut")
    with pod.start(ENVIRONMENT) as container:
        container.wait_ready()
        building = start_building(pod)
        cut_off(node.host, node.slab().name, container)
        building.wait(PATIENCE_SECONDS)
    node.host.kubelet.forget("cut")
    cut = node.slab()
    pod = node.pod("after-the-cut")
    assert node.slab().name == cut.name
    with pod.start(ENVIRONMENT) as container:
        container.wait_ready()
        assert pod.docker(*HELLO) == "built\n"
        assert container.terminate() == 0
    node.end("after-the-cut")


def test_a_daemon_that_never_became_ready_leaves_no_slab(node: Node) -> None:
    before = node.host.slabs()
    pod = node.pod("broken", namespace="broken", size_mib=300)
    with pod.start({**ENVIRONMENT, names.ENV_DAEMON_ARGS: "--no-such-flag"}) as container:
        assert container.wait() != 0
    node.end("broken")
    assert node.host.slabs() == before


@pytest.mark.soak  # as the demonstration has two such pods too
def test_two_pods_at_once_have_daemons_that_know_nothing_of_each_other(node: Node) -> None:
    one, other = node.pod("one"), node.pod("other", size_mib=400)
    with one.start(ENVIRONMENT) as first, other.start(ENVIRONMENT) as second:
        first.wait_ready()
        second.wait_ready()
        assert one.docker("images", "--quiet") != ""
        assert other.docker("images", "--quiet") == ""
        assert first.terminate() == 0
        assert second.terminate() == 0
    node.end("one")
    node.end("other")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_pods_in_sequence_neither_grow_the_slab_nor_start_more_slowly(node: Node) -> None:
    before = node.slab()
    used, seconds = [], []
    for number in range(50):
        name = f"pod{number}"
        pod = node.pod(name)
        started = time.monotonic()
        with pod.start(ENVIRONMENT) as container:
            container.wait_ready()
            seconds.append(time.monotonic() - started)
            pod.docker(*HELLO)
            pod.docker("build", "--tag=built:1", "-", stdin=BUILD)
            assert container.terminate() == 0
        facts = os.statvfs(node.host.directory(name))
        used.append((facts.f_blocks - facts.f_bfree) * facts.f_frsize >> 10)
        node.end(name)
    assert node.slab().uses == before.uses + 50
    assert max(used[-10:]) < 1.1 * max(used[:10])
    assert sum(seconds[-10:]) < 1.5 * sum(seconds[:10])


def start_building(pod: Pod) -> "subprocess.Popen[bytes]":
    """Start a build and wait until it is in the middle of a step."""
    building = subprocess.Popen(
        ["/usr/bin/docker", "build", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"DOCKER_HOST": f"unix://{pod.socket}", "DOCKER_BUILDKIT": "1"},
    )
    assert building.stdin
    building.stdin.write(UNFINISHED)
    building.stdin.close()
    eventually(lambda: subprocess.run(["pgrep", "-fx", "sleep 4321"], check=False).returncode == 0)
    return building


def cut_off(host: Host, slab: str, container: Container) -> None:
    """Leave of the node's disk what a power cut leaves at this moment, and of the pod nothing."""
    device, (disk,) = host.device(slab), host.disks
    image, copy = host.place / "disk0", host.place / "copy"
    subprocess.run(["dmsetup", "suspend", "--nolockfs", device], check=True)
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    subprocess.run(["dmsetup", "resume", device], check=True)
    container.kill()
    host.reboot()
    subprocess.run(["losetup", "--detach", disk], check=True)
    copy.replace(image)
    subprocess.run(["losetup", disk, image], check=True)
