"""The inventory as it was last seen, kept in the run directory.

Never a record: it counts only while the volume group's own sequence number says that nothing has
changed since. It is forgotten before anything is changed and kept again once it is known what
became of it, so that a call that dies in between leaves none.
"""

import os

from flexvol.metadata_area import read_seqno
from flexvol.model import Inventory, ThinPool, VolumeGroup, slab_from, tags_of

_END = "end"


class LastSeen:
    """The last inventory of one volume group.

    Args:
        path: the file that keeps it. Used under the decision lock only.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def recall(self, name: str) -> "Inventory | None":
        """Return the inventory of volume group ``name`` if nothing has changed it since."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                inventory = _parse(stream.read())
        except (OSError, ValueError):
            return None
        return inventory if inventory.group.name == name and is_current(inventory) else None

    def forget(self) -> None:
        """Forget it: something is about to change."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass

    def keep(self, inventory: Inventory) -> bool:
        """Keep ``inventory`` if it is what the disks say too; tell whether it is.

        Where there is no room to keep it, the next call asks LVM again.
        """
        if not is_current(inventory):
            return False
        draft = self._path + ".new"
        try:
            with open(draft, "w", encoding="utf-8") as stream:
                stream.write(_format(inventory))
            os.replace(draft, self._path)
        except OSError:
            self.forget()
        return True


def is_current(inventory: Inventory) -> bool:
    """Tell whether all disks of the volume group still have what ``inventory`` was read from."""
    group = inventory.group
    return all(read_seqno(device) == (group.uuid, group.seqno) for device in group.devices)


def _format(inventory: Inventory) -> str:
    group = inventory.group
    lines = ["\t".join(map(str, (getattr(group, name) for name in _GROUP_FIELDS)))]
    lines.append("\t".join(group.devices))
    pool = inventory.pool
    numbers = () if pool is None else (getattr(pool, name) for name in _POOL_FIELDS)
    lines.append("\t".join(map(str, numbers)))
    lines += [f"{slab.name}\t{slab.extents}\t{','.join(tags_of(slab))}" for slab in inventory.slabs]
    return "\n".join([*lines, _END])


_GROUP_FIELDS = (
    "name", "uuid", "seqno", "extent_bytes", "extents", "free_extents", "metadata_free_bytes",
)  # fmt: skip
_POOL_FIELDS = ("extents", "metadata_extents", "foreign_extents")


def _parse(text: str) -> Inventory:
    first, devices, pool, *lines, end = text.split("\n")
    if end != _END:
        raise ValueError("cut short")
    name, uuid, *numbers = first.split("\t")
    slabs = []
    for line in lines:
        slab_name, slab_extents, tags = line.split("\t")
        slab = slab_from(slab_name, int(slab_extents), tags.split(","))
        if slab is None:
            raise ValueError(line)
        slabs.append(slab)
    seqno, extent_bytes, extents, free_extents, metadata_free_bytes = map(int, numbers)
    group = VolumeGroup(
        name=name,
        uuid=uuid,
        seqno=seqno,
        extent_bytes=extent_bytes,
        extents=extents,
        free_extents=free_extents,
        metadata_free_bytes=metadata_free_bytes,
        devices=tuple(devices.split("\t")),
    )
    return Inventory(group, tuple(slabs), _parse_pool(pool))


def _parse_pool(line: str) -> "ThinPool | None":
    if not line:
        return None
    extents, metadata_extents, foreign_extents = map(int, line.split("\t"))
    return ThinPool(extents, metadata_extents, foreign_extents)
