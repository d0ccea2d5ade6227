"""Real Docker daemons on clones of one graph, at the same time.

All of it is the soak's: the demonstration, which is a test of every run, has two such pods too.
"""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.node import invariants
from tests.node.host import Host
from tests.node.images import busybox_tar
from tests.node.pod import Container, Pod
from tests.node.thin import a_thin_node, generations, outcome
from webhook import names

SIZE_MIB = 400
ENVIRONMENT = {names.ENV_SIZE_MIB: str(SIZE_MIB)}
BUILD = b"FROM box:1\nRUN echo built >/made\n"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

numbers = itertools.count(1)


class Node:
    """A node whose pods have a daemon each."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def pod(self, name: str, **options: str) -> Pod:
        """Mount a pod's graph storage and return the pod."""
        answer = self.host.kubelet.mount(
            name, str(SIZE_MIB), "team", graph_format="docker-20", **options
        )
        assert answer.status == "Success", answer.message
        return Pod(self.host.place / "pods" / name, self.host.directory(name), next(numbers))

    def end(self, name: str) -> None:
        """Unmount the pod's graph storage."""
        answer = self.host.kubelet.end(name)
        assert answer.status == "Success", answer.message

    def images(self, name: str) -> str:
        """Start a pod that only looks; return the names of the images that it finds."""
        pod = self.pod(name)
        with pod.start(ENVIRONMENT) as container:
            container.wait_ready()
            found = pod.docker("images", "--format", "{{.Repository}}")
            assert "CACHED" in pod.docker("build", "--progress=plain", "-", stdin=BUILD)
            said = pod.docker("run", "--rm", "--network=none", "built:1", "cat", "/made")
            assert said == "built\n"
            container.kill()
        self.end(name)
        return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node where a pod has left an image and a build."""
    with a_thin_node(tmp_path_factory.mktemp("node"), 4096) as host:
        node = Node(host)
        pod = node.pod("first")
        with pod.start(ENVIRONMENT) as container:
            container.wait_ready()
            pod.docker("import", "-", "box:1", stdin=busybox_tar())
            assert "CACHED" not in pod.docker("build", "--tag=built:1", "-", stdin=BUILD)
            assert container.terminate() == 0
        node.end("first")
        yield node


def build_at_once(node: Node, pods: list[str]) -> dict[str, tuple[Pod, Container, ExitStack]]:
    """Start pods that run at the same time; each builds from cache, and an image of its own."""
    running = {}
    for name in pods:
        reads_only = {"cache": "read-only"} if name == "read-only" else {}
        pod = node.pod(name, **reads_only)
        assert outcome(node.host) in ("warm", "cloned")
        stack = ExitStack()
        running[name] = (pod, stack.enter_context(pod.start(ENVIRONMENT)), stack)
    for name, (pod, container, _) in running.items():
        container.wait_ready(180)
        own = BUILD + f"RUN echo {name} >/own\n".encode()
        said = pod.docker("build", "--progress=plain", f"--tag=of-{name}:1", "-", stdin=own)
        assert "CACHED" in said
    invariants.check(node.host)
    for name, (pod, _, _) in running.items():
        found = pod.docker("images", "--format", "{{.Repository}}").split()
        assert [word for word in found if word in {f"of-{one}" for one in pods}] == [f"of-{name}"]
    return running


def test_two_pods_at_once_are_both_warm_and_the_next_has_what_the_last_one_left(
    node: Node,
) -> None:
    running = build_at_once(node, ["a", "b"])
    for name, (_, container, stack) in running.items():
        with stack:
            assert container.terminate() == 0
        node.end(name)
    node.pod("next")
    found = node.host.directory("next") / "image" / "overlay2" / "repositories.json"
    assert "of-b" in found.read_text()
    assert "of-a" not in found.read_text()
    node.end("next")


def test_six_pods_at_once_and_only_the_clean_one_is_kept(node: Node) -> None:
    names_of_pods = [f"pod{number}" for number in range(6)]
    running = build_at_once(node, names_of_pods)
    for name, (_, container, stack) in running.items():
        with stack:
            assert container.terminate(180) == 0
        node.end(name)
    assert "of-pod5" in node.images("after-six")

    running = build_at_once(node, ["clean", "killed", "overfull", "read-only"])
    pod, container, stack = running["clean"]
    with stack:
        assert container.terminate(180) == 0
    node.end("clean")
    (kept, *_) = generations(node.host)
    pod, container, stack = running["killed"]
    with stack:
        container.kill()
    node.end("killed")
    pod, container, stack = running["overfull"]
    fill = b"FROM box:1\nRUN dd if=/dev/urandom of=/big bs=1M count=240\n"
    pod.docker("build", "--tag=big:1", "-", stdin=fill)
    with stack:
        assert container.terminate(180) == 0
    node.end("overfull")
    pod, container, stack = running["read-only"]
    with stack:
        assert container.terminate(180) == 0
    node.end("read-only")
    assert generations(node.host)[0] == kept
    found = node.images("after-all")
    assert "of-clean" in found
    assert not any(f"of-{name}" in found for name in ("killed", "overfull", "read-only"))
