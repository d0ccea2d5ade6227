"""Slabs, groups and requests for tests, with what a test does not care about filled in."""

from flexvol.callout import Request, VolumeDirectory
from flexvol.model import FREE, Inventory, Slab, VolumeGroup

EXTENT_MIB = 4


def slab(name: str, size_mib: int = 100, phase: str = FREE, **facts: object) -> Slab:
    """Return a slab, by default a free one of the scope that ``request`` asks for."""
    known = {"scope": "namespace/team", "uuid": f"uuid-of-{name}", "uses": 1, "release": 1}
    plain = Slab(name=name, extents=-(-size_mib // EXTENT_MIB), phase=phase, size_mib=size_mib)
    return plain.replace(**{**known, **facts})


def inventory(*slabs: Slab, free_mib: int = 0, metadata_free_bytes: int = 1 << 20) -> Inventory:
    """Return the inventory of a volume group with so much room left."""
    free = free_mib // EXTENT_MIB
    group = VolumeGroup(
        name="dind",
        uuid="abc",
        seqno=7,
        extent_bytes=EXTENT_MIB << 20,
        extents=free + sum(slab.extents for slab in slabs),
        free_extents=free,
        metadata_free_bytes=metadata_free_bytes,
        devices=("/dev/sdb",),
    )
    return Inventory(group, slabs)


def directory(pod: str = "pod", volume: str = "graph") -> VolumeDirectory:
    """Return a pod's volume directory."""
    return VolumeDirectory(f"/k/pods/{pod}/volumes/dind~slab/{volume}", "/k", pod, volume)


def request(size_mib: int = 100, pod: str = "pod", **facts: object) -> Request:
    """Return what a pod of the namespace ``team`` asks for."""
    plain = Request(
        directory=directory(pod), scope="namespace/team", size_mib=size_mib, file_system="ext4"
    )
    return plain.replace(**facts)
