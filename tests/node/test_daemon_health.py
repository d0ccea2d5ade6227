"""What the daemon tells of its graph, and how it starts on one that is not as it should be."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.pod import BUSYBOX, DASH, Pod, Slab
from webhook import names

SIZE = {names.ENV_SIZE_MIB: "1024"}
WRONG = {**SIZE, names.ENV_DAEMON_ARGS: "--no-such-flag"}
"""Makes dockerd end at once, which takes less time than letting it start."""


@pytest.fixture(scope="module")
def slab() -> Slab:
    return Slab(Path("/mnt/health/slab"))


@pytest.fixture(scope="module")
def pod(slab: Slab) -> Pod:
    return Pod(Path("/mnt/health/pod"), slab.path)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder and a file outside the graph, to which links lead; neither may change."""
    (tmp_path / "hostconfig.json").write_text("precious")
    (tmp_path / "state").write_text("precious")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    yield tmp_path
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("shell", [DASH, BUSYBOX], ids=["dash", "busybox"])
def test_a_daemon_that_dies_shows_its_last_lines_and_fails(
    pod: Pod, slab: Slab, shell: tuple[str, ...]
) -> None:
    with pod.start(WRONG, shell) as container:
        assert container.wait() == 1
        assert "unknown flag: --no-such-flag" in container.log
        assert container.log.rstrip().endswith(
            "dind: the Docker daemon ended with status 1; its last lines are above"
        )
        assert not container.ready()
    assert slab.state == "starting\n"
    assert not slab.locked()


def test_a_health_folder_that_is_a_link_is_replaced(pod: Pod, slab: Slab, victim: Path) -> None:
    health = slab.path / ".dind"
    for path in health.iterdir():
        path.unlink()
    health.rmdir()
    health.symlink_to(victim)
    with pod.start(WRONG) as container:
        container.wait()
    assert not health.is_symlink()
    assert slab.state == "starting\n"


def test_a_graph_that_another_daemon_uses_is_not_touched(pod: Pod, slab: Slab) -> None:
    (slab.path / ".dind" / "state").write_text("ready\n")
    lock = slab.path / ".dind" / "lock"
    with (
        subprocess.Popen(["flock", lock, "sleep", "3"]) as other,
        pod.start(WRONG) as container,
    ):
        while other.poll() is None:
            assert slab.state == "ready\n"
            time.sleep(0.2)
        assert container.wait() == 1
    assert slab.state == "starting\n"


def test_an_unknown_way_to_reach_the_daemon_is_refused(pod: Pod) -> None:
    with pod.start({**SIZE, names.ENV_DOCKER_HOST: "ssh"}) as container:
        assert container.wait() == 1
        assert container.log == "dind: DIND_DOCKER_HOST is 'ssh': it must be unix or tcp\n"


def test_planted_links_lead_nowhere_and_the_images_configuration_counts(
    pod: Pod, slab: Slab, victim: Path
) -> None:
    health = slab.path / ".dind"
    for name in ("state", "lock"):
        (health / name).unlink()
    (health / "state").symlink_to(victim / "state")
    (health / "state.new").symlink_to(victim / "state")
    (health / "lock").mkdir()
    (slab.path / "volumes").symlink_to(victim)
    (slab.path / ".link").symlink_to(victim)
    (slab.path / "containers").mkdir()
    (slab.path / "containers" / "link").symlink_to(victim)
    files = {
        "/etc/docker/daemon.json": '{\n  "labels": ["from=image"],\n  "mtu": 1300\n}\n',
        # A daemon that was killed leaves these, where /run outlives a container.
        "/run/docker.pid": "1",
        "/run/docker/containerd/containerd.pid": "1",
    }
    with pod.start(SIZE, BUSYBOX, files=files, cgroup_namespace="own") as container:
        container.wait_ready()
        assert pod.api("/info")["Labels"] == ["from=image"]
        bridge = pod.api("/networks/bridge")
        assert bridge["Options"]["com.docker.network.driver.mtu"] == "1300"
        assert "--mtu=1400 does not count" in container.log
        assert slab.state == "ready\n"
        container.kill()
    assert slab.state == "ready\n"
    assert pod.socket.is_symlink()


def test_a_killed_daemons_socket_does_not_pass_the_probe(pod: Pod, slab: Slab) -> None:
    with pod.start(WRONG) as container:
        container.wait()
    assert list(pod.sockets.iterdir()) == []
    assert slab.state == "starting\n"


def test_a_start_that_is_called_off_leaves_the_graph_as_it_was(pod: Pod, slab: Slab) -> None:
    (slab.path / ".dind" / "state").write_text("clean\n")
    with pod.start(SIZE) as container:
        while not (pod.sockets / ".docker.sock").is_socket():
            time.sleep(0.02)
        assert slab.state == "starting\n"
        assert container.terminate() == 0
    assert slab.state == "clean\n"
    assert not slab.locked()
    assert not container.ready()
