"""A node whose slabs are volumes of a thin pool, and what pods do in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flexvol.devicemapper import pool_status
from flexvol.model import GENERATION, Slab
from tests.node.disturbances import HereKubelet
from tests.node.host import Host
from tests.node.invariants import POOL_DEVICE, THIN, enter


@contextmanager
def a_thin_node(place: Path, disk_mib: int = 1024, **settings: object) -> Iterator[Host]:
    """Make a node with a thin pool."""
    with Host(place) as host:
        host.kubelet = HereKubelet(place / "here", host.kubelet.environ)
        host.add_disk(disk_mib)
        host.always = THIN
        host.configure(**settings)
        done = host.admin("setup")
        assert done.returncode == 0, done.stderr
        yield host


def come(host: Host, pod: str, *args: str, **options: str) -> list[str]:
    """Start a pod; return which were in its graph before."""
    answer = host.kubelet.mount(pod, *args, **options)
    assert answer.status == "Success", answer.message
    return enter(host, pod, f"namespace/{args[1] if len(args) > 1 else 'default'}")


def go(host: Host, pod: str, health: str = "clean") -> None:
    """End a pod whose daemon has last said ``health``."""
    folder = host.directory(pod) / ".dind"
    folder.mkdir(exist_ok=True)
    (folder / "state").write_text(f"{health}\n")
    assert host.kubelet.end(pod).status == "Success"


def generations(host: Host) -> list[Slab]:
    """Return all generations, the newest first."""
    found = [slab for slab in host.slabs() if slab.phase == GENERATION]
    return sorted(found, key=lambda slab: slab.release, reverse=True)


def outcome(host: Host) -> str:
    """Return how the last mount came by its slab."""
    return str(host.events("mounted")[-1]["outcome"])


def metadata_percent() -> float:
    """Return how much of the pool's metadata is in use."""
    status = pool_status(POOL_DEVICE)
    assert status is not None
    assert status.metadata_percent is not None
    return status.metadata_percent
