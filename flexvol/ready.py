"""Clones made beforehand, so that a mount that finds one costs what a warm mount costs."""

from flexvol import filesystem
from flexvol.generations import has_room, is_clone_of, is_ready_clone, newest_of_each
from flexvol.model import Inventory, Slab, blank, cloned
from flexvol.settings import THIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexvol.lvm import Lvm
    from flexvol.node import Node


def keep_ready(node: "Node") -> "Iterator[tuple[str, str]]":
    """Keep one clone of each of the generations released last; yield slabs and what was done.

    One is made where there is room for it, and removed once its generation is not the newest any
    more. Where room is wanted for a pod, they are the first to go.
    """
    with node.decision() as lvm:
        inventory = lvm.inventory()
    for seen in filter(is_ready_clone, inventory.slabs):
        with node.decision() as lvm:
            if _drop(node, lvm, seen):
                yield seen.name, "removed: a clone that is not wanted"
    for generation in _wanted(node, inventory):
        with node.decision() as lvm:
            made = _make(node, lvm, generation)
        if made is not None:
            yield made.name, f"made: a ready clone of {generation.name}"


def _wanted(node: "Node", inventory: Inventory) -> "list[Slab]":
    count = node.settings.ready_clones if node.settings.provisioning == THIN else 0
    return newest_of_each(inventory.slabs)[:count]


def _drop(node: "Node", lvm: "Lvm", seen: Slab) -> bool:
    inventory = lvm.inventory()
    slab = inventory.slab(seen.name)
    if slab is None or not is_ready_clone(slab):
        return False
    twins = [
        other for other in inventory.slabs if is_ready_clone(other) and other.base == slab.base
    ]
    wanted = any(is_clone_of(slab, generation) for generation in _wanted(node, inventory))
    if wanted and twins[0] == slab:
        return False
    claim = node.locks.claim(slab.name)
    if claim is None:
        return False
    with claim:
        if node.look(slab) == filesystem.OPEN:
            return False
        lvm.remove([slab])
    return True


def _make(node: "Node", lvm: "Lvm", generation: Slab) -> "Slab | None":
    inventory = node.observe(lvm.inventory())
    if generation not in _wanted(node, inventory):
        return None
    if any(is_ready_clone(slab) and is_clone_of(slab, generation) for slab in inventory.slabs):
        return None
    if not has_room(inventory, generation.size_mib):
        return None
    uuid = filesystem.new_uuid()
    make = (generation.size_mib, generation.file_system)
    slab = cloned(blank(uuid, inventory.group, *make), generation)
    lvm.create(slab, generation)
    return slab
