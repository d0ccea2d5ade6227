"""Whatever a call brings: one line of JSON, and nothing mounted or unmounted but a pod's volume."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from flexvol.driver import answer
from tests import seed
from tests.node import invariants
from tests.node.disturbances import HereKubelet
from tests.node.host import Host, run
from tests.node.kubelet import DRIVER
from tests.node.odd_calls import NOT_IN_A_KEY, RIGHT, VICTIM, calls, nearly_right_options

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
inputs = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A node with a pod that runs, and mounts of others in and outside the pods' directory."""
    with Host(tmp_path_factory.mktemp("node")) as host:
        host.kubelet = HereKubelet(host.kubelet.root, host.kubelet.environ)
        host.add_disk(600)
        host.configure(max_size_mb=64, kubelet_root=str(host.kubelet.root))
        host.admin("setup")
        assert host.kubelet.mount(VICTIM).status == "Success"
        others = (
            host.directory(VICTIM).parent.parent / "kubernetes.io~empty-dir" / "cache",
            host.place / "elsewhere",
            host.kubelet.root / "plugins" / "dind~slab" / "graph",
        )
        for other in others:
            other.mkdir(parents=True)
            run("mount", "-t", "tmpfs", "tmpfs", str(other))
        plant_links(host)
        yield host


def plant_links(host: Host) -> None:
    """Lay links that lead from a pod's directory to where nothing of it is."""
    pods, victim = host.kubelet.root / "pods", host.directory(VICTIM)
    for link, target in (
        (pods / "link", pods / VICTIM),
        (host.directory("to-volumes").parent.parent, victim.parent.parent),
        (host.directory("to-driver").parent, victim.parent),
        (host.directory("to-graph"), victim),
        (host.directory("to-elsewhere"), host.place / "elsewhere"),
    ):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def all_mounts() -> list[str]:
    """Return every mount of this namespace: its device and its directory."""
    table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return sorted(" ".join(line.split()[2:5]) for line in table)


def here(host: Host, arguments: tuple[str, ...]) -> str:
    """Make a call in this process; return its answer's status.

    Raises:
        AssertionError: it answered something else than one line of JSON that the kubelet reads.
    """
    root = str(host.kubelet.root)
    # As the interpreter makes arguments of bytes; none of them can hold a zero byte.
    words = [word.replace("{root}", root).replace("\0", "") for word in arguments]
    words = [os.fsdecode(word.encode("utf-8", "surrogatepass")) for word in words]
    reply = answer(words, host.kubelet.environ)
    line = reply.text().encode()
    assert line.count(b"\n") == 0
    document = json.loads(line)
    assert document["status"] in ("Success", "Failure", "Not supported")
    assert isinstance(document.get("message", ""), str)
    assert len(line) < 20_000
    return reply.status


def make(node: Host, call: tuple[str, ...]) -> str:
    """Make a call, undo it if it mounted a volume, and return its status.

    Raises:
        AssertionError: something of others is touched, or what is mounted is no pod's volume.
    """
    before = all_mounts()
    status = here(node, call)
    after = all_mounts()
    assert set(before) <= set(after), "something of others is no longer mounted"
    if after != before:
        assert (status, call[0]) == ("Success", "mount")
        (line,) = set(after) - set(before)
        directory = line.split()[2]
        assert Path(directory).parts[:-4] == (node.kubelet.root / "pods").parts
        assert here(node, ("unmount", directory)) == "Success"
        assert all_mounts() == before
    assert (node.directory(VICTIM) / "lost+found").exists()
    assert not list(node.place.glob("elsewhere/*"))
    return status


@seed.fixed
@inputs
@given(call=calls)
@example(call=("unmount", "{root}/pods/link/volumes/dind~slab/graph"))
@example(call=("unmount", "{root}/pods/to-volumes/volumes/dind~slab/graph"))
@example(call=("unmount", "{root}/pods/to-driver/volumes/dind~slab/graph"))
@example(call=("unmount", "{root}/pods/to-graph/volumes/dind~slab/graph"))
@example(call=("unmount", "{root}/pods/to-elsewhere/volumes/dind~slab/graph"))
@example(call=("unmount", "{root}/pods/victim/volumes/kubernetes.io~empty-dir/cache"))
@example(call=("unmount", "{root}/plugins/dind~slab/graph"))
def test_any_call_is_answered_and_touches_nothing_of_others(
    node: Host, call: tuple[str, ...]
) -> None:
    make(node, call)


@seed.fixed
@settings(inputs, max_examples=30)
@given(options=nearly_right_options)
def test_a_volume_has_any_name_that_may_be_and_no_other(node: Host, options: str) -> None:
    status = make(node, ("mount", RIGHT, options))
    if not NOT_IN_A_KEY.isdisjoint(json.loads(options).get("cache_key", "")):
        assert status == "Failure"


@pytest.mark.parametrize(
    "arguments",
    [
        (b"mount", b"/kubelet/pods/\xff\xfe/volumes/dind~slab/graph", b"{}"),
        (b"mount", b"/kubelet/pods/a/volumes/dind~slab/graph", b'{"\xff": "\xed\xa0\x80"}'),
        (b"mount", b"/kubelet/pods/a/volumes/dind~slab/graph", b"[" * 100_000),
        (b"unmount", b"/kubelet/pods/\x1b[2J/volumes/dind~slab/graph"),
        (b"\xc3\x28",),
        (b"x" * 100_000,),
    ],
    ids=["directory", "options", "nesting", "escape", "call", "length"],
)
def test_bytes_that_are_no_text_are_answered_in_text(
    node: Host, arguments: tuple[bytes, ...]
) -> None:
    command = (*map(os.fsencode, DRIVER), *arguments)
    done = subprocess.run(command, env=node.kubelet.environ, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    assert json.loads(done.stdout)["status"] in ("Failure", "Not supported")


def test_nothing_is_left_of_all_these_calls(node: Host) -> None:
    invariants.check(node)
    assert len(node.events("mounted")) > 5, "hardly any call was right"
    assert node.kubelet.unmount(VICTIM).status == "Success"
    for mount in node.mounts():
        run("umount", mount)
    node.kubelet.forget(VICTIM)
    node.admin("reconcile")
    invariants.check_at_rest(node)
