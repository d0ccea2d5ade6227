"""What must hold on a node at every moment between two calls, whatever happened before."""

import os
from collections import Counter
from pathlib import Path

from flexvol.devicemapper import pool_status
from flexvol.filesystem import superblock_uuid
from flexvol.generations import limit_extents, promised_extents, surplus
from flexvol.model import FREE, GENERATION, HELD, SPARE, Inventory, Slab
from flexvol.node import Node
from flexvol.settings import load
from tests.node.disturbances import reconcile_here
from tests.node.host import GROUP, Host, run

THIN: dict[str, object] = {"provisioning": "thin", "ready_clones": 0}
"""The settings of a node with a thin pool."""
POOL_DEVICE = f"{GROUP}-dind--pool-tpool"

SCOPE_FILE = "of-scope"
PODS_FILE = "pods"


def enter(host: Host, pod: str, scope: str) -> list[str]:
    """Do what a pod does in its slab: look who was there before, leave a mark.

    Args:
        host: the node.
        pod: whose volume is mounted.
        scope: whose slab it has to be.

    Returns:
        The pods that were in this slab before, this one too if it was.

    Raises:
        AssertionError: another scope has been in this slab.
    """
    folder = host.directory(pod)
    assert os.path.ismount(folder), f"nothing is mounted for {pod}"
    mark, pods = folder / SCOPE_FILE, folder / PODS_FILE
    # Empty where the power went before the file's content was on the disk, but not its name.
    owner = mark.read_text() if mark.exists() else ""
    assert owner in ("", scope), f"{pod} of {scope} was given the slab of {owner}"
    before = pods.read_text().split() if pods.exists() else []
    mark.write_text(scope)
    pods.write_text("\n".join([*before, pod]))
    return before


def check(host: Host) -> None:
    """Look at the whole node.

    Raises:
        AssertionError: a slab is mounted twice or at the directory of another than its holder, one
            is lost (its record cannot be read), or one is handed out that was not made to the end.
    """
    slabs = {}
    for name, slab in host.volumes().items():
        assert slab is not None, f"the record of {name} cannot be read"
        slabs[name] = slab
    mounts = _mounts(host)
    for what in zip(*mounts, strict=True) if mounts else ():
        twice = [thing for thing, times in Counter(what).items() if times > 1]
        assert not twice, f"mounted twice: {twice}"
    holders = Counter(slab.holder for slab in slabs.values() if slab.phase == HELD)
    assert all(times == 1 for times in holders.values()), f"a pod holds two slabs: {holders}"
    for name, directory in mounts:
        slab = slabs[name]
        assert (slab.phase, slab.holder) == (HELD, directory), f"mounted at {directory}: {slab}"
    for slab in slabs.values():
        if slab.phase in (FREE, GENERATION) or slab.name in dict(mounts):
            assert is_made(host, slab), f"half-made, and not known to be: {slab}"
    if host.always == THIN:
        check_pool(host)


def check_at_rest(host: Host, *, spares: int = 0) -> None:
    """Look at a node that has no pods and has been reconciled.

    Raises:
        AssertionError: anything is still to be put right, or is kept from being used.
    """
    check(host)
    slabs = host.slabs()
    assert all(slab.phase in (FREE, GENERATION, SPARE) for slab in slabs), slabs
    assert surplus(slabs, keep=2) == []
    assert not any(slab.unchecked or slab.holder for slab in slabs), slabs
    assert sum(slab.phase == SPARE for slab in slabs) == spares, slabs
    assert host.mounts() == []
    for folder in ("volumes", "claims", "waiting"):
        path = host.run_dir / folder
        assert not path.exists() or not any(path.iterdir()), f"{folder}: {list(path.iterdir())}"


def check_no_leak(host: Host) -> None:
    """Give the whole volume group to one pod and take it back: nothing may be in the way.

    Raises:
        AssertionError: part of the volume group cannot be had, or something is left of it.
    """
    if host.always == THIN:
        _check_no_leak_in_the_pool(host)
        return
    text = run(
        *("vgs", "--noheadings", "--units", "m", "--nosuffix", "-o", "vg_size,vg_free", GROUP)
    )
    whole = int(float(text.split()[0]))
    answer = host.kubelet.mount("whole", str(whole), "of-the-whole", volume_type="anonymous")
    assert answer.status == "Success", answer.message
    assert enter(host, "whole", "namespace/of-the-whole") == []
    assert host.free_mib() == 0
    assert host.kubelet.end("whole").status == "Success"
    assert host.free_mib() == whole
    assert host.slabs() == []


def check_pool(host: Host) -> None:
    """Look at a node's thin pool.

    Raises:
        AssertionError: more of it is promised than there is, it cannot be written to, or an LVM
            command that died left it or a volume suspended.
    """
    inventory = inventory_of(host)
    pool = inventory.pool
    assert pool is not None
    assert pool.fault == ""
    assert promised_extents(inventory) <= limit_extents(inventory)


def inventory_of(host: Host) -> Inventory:
    """Return what the driver itself sees of a node."""
    node = Node(load(host.kubelet.environ))
    with node.decision() as lvm:
        return node.observe(lvm.inventory())


def _check_no_leak_in_the_pool(host: Host) -> None:
    """Give all of the pool to one pod and take it back; then nothing of it may be in use.

    Volumes that the pool knows and LVM does not would be seen here.
    """
    inventory = inventory_of(host)
    assert inventory.pool is not None
    whole = inventory.pool.extents * inventory.group.extent_bytes >> 20
    answer = host.kubelet.mount("whole", str(whole), "of-the-whole", volume_type="anonymous")
    assert answer.status == "Success", answer.message
    assert enter(host, "whole", "namespace/of-the-whole") == []
    assert host.kubelet.end("whole").status == "Success"
    assert host.slabs() == []
    reconcile_here(host)  # a pool that a reboot has left inactive goes with its last volume
    status = pool_status(POOL_DEVICE)
    assert status is not None
    assert status.data_percent == 0, status


def has_group() -> bool:
    """Tell whether there is a volume group yet."""
    return run("vgs", "--noheadings", "-o", "vg_name", "-S", f"vg_name={GROUP}") != ""


def is_made(host: Host, slab: Slab) -> bool:
    """Tell whether a slab's device carries the file system that its record names."""
    device = Path(host.device(slab.name))
    if not device.exists():
        return True  # inactive: nothing can be said of it, and nothing was handed out
    with device.open("rb") as stream:
        return superblock_uuid(stream.read(2048), slab.file_system) == slab.uuid


def _mounts(host: Host) -> list[tuple[str, str]]:
    """Return (slab, directory) of everything of the volume group that is mounted."""
    mounts = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        number, directory = line.split()[2], line.split()[4]
        name = Path(f"/sys/dev/block/{number}/dm/name")
        if name.exists() and name.read_text().startswith(f"{GROUP}-"):
            slab = name.read_text().strip().removeprefix(f"{GROUP}-").replace("--", "-")
            assert Path(directory).is_relative_to(host.kubelet.root), f"mounted at {directory}"
            mounts.append((slab, directory))
    return mounts
