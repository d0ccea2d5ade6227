"""LVM: the slabs' only record, and what makes and removes them.

Every command runs with the decision lock as its standard input: LVM's commands close every other
descriptor they inherit, and one that outlives a killed driver must keep the next decision waiting.

``archive=0``: LVM would otherwise keep a file for each of the two changes that every pod causes,
for 30 days. It still keeps the newest description of the volume group in ``/etc/lvm/backup``.
``monitoring=0``: no daemon is started that would outlive a call.
"""

import os

from flexvol import jsontext
from flexvol.command import run
from flexvol.errors import CommandError, PoolError
from flexvol.lastseen import LastSeen
from flexvol.lvm_report import parse_report, section
from flexvol.model import DOOMED, POOL_NAME, Inventory, Slab, tags_of
from flexvol.step import Step, unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from flexvol.lock import Lock
    from flexvol.step import Watcher

POOL_CHUNK = "64k"
"""The pool's unit of sharing, the smallest there is: what a clone writes anew costs whole ones."""

_POOL_TAG = "dind.pool=thin"
_CONFIG = "activation{monitoring=0} backup{archive=0}"
_REPORT_PATIENCE_SECONDS = 60.0
_METADATA_AREA = "8m"
"""Room for the description of some 5,000 slabs; LVM's own default is full at some 600."""

_THIN_COMMITS = 2
"""By how much the making or removing of a thin volume raises the volume group's sequence number:
what the pool is to do is recorded first, and that it is done then."""

_DESCRIPTION_BYTES = 2048
"""What one slab more takes of the metadata area, at most; LVM says exactly at its next report."""

_VG_FIELDS = (
    "vg_name,vg_uuid,vg_seqno,vg_extent_size,vg_extent_count,vg_free_count,vg_mda_free,"
    "vg_missing_pv_count"
)
_LV_FIELDS = "lv_name,lv_size,lv_tags,lv_layout,pool_lv,lv_metadata_size"


class NoVolumeGroupError(PoolError):
    """The volume group does not exist."""


class Lvm:
    """One volume group, for as long as the decision lock is held.

    Args:
        group: its name.
        last_seen: where its inventory is kept between calls.
        lock: the decision lock, held; leaving the context gives it back.
        watcher: told of every step.
    """

    def __init__(
        self, group: str, last_seen: LastSeen, lock: "Lock", watcher: "Watcher" = unwatched
    ) -> None:
        self._watcher = watcher
        self._group = group
        self._last_seen = last_seen
        self._lock = lock
        self._inventory: Inventory | None = None

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def inventory(self) -> Inventory:
        """Return what the volume group holds of ours.

        Raises:
            NoVolumeGroupError: there is no such volume group.
            PoolError: a disk of it is missing.
            CommandError: LVM could not tell.
        """
        if self._inventory is None:
            self._inventory = self._last_seen.recall(self._group)
        if self._inventory is None:
            self._inventory = self._report()
            self._last_seen.keep(self._inventory)
        return self._inventory

    def create(self, slab: Slab, origin: "Slab | None" = None) -> None:
        """Make the logical volume of a slab, with all its tags: blank, or a clone of ``origin``."""
        inventory = self.inventory()
        group = inventory.group
        tags = [f"--addtag={tag}" for tag in sorted(tags_of(slab))]
        kind, of = ["--extents", str(slab.extents)], self._group
        if origin is not None:
            # Without the flag, LVM would activate no snapshot that it is not told to in particular.
            kind, of = ["--snapshot", "--setactivationskip", "n"], f"{self._group}/{origin.name}"
        elif slab.thin:
            size = f"{slab.extents * group.extent_bytes}b"
            kind = ["--virtualsize", size, "--thinpool", POOL_NAME]
        self._change(["lvcreate", "--yes", "--quiet", "--name", slab.name, *kind, *tags, of])
        free_bytes = group.metadata_free_bytes - _DESCRIPTION_BYTES
        left = group.free_extents - (0 if slab.thin else slab.extents)
        self._became(
            inventory.replace(
                slabs=(*inventory.slabs, slab),
                group=group.replace(free_extents=left, metadata_free_bytes=free_bytes),
            ),
            commits=_THIN_COMMITS if slab.thin else 1,
        )

    def retag(self, old: Slab, new: Slab) -> None:
        """Change what is recorded of a slab; LVM does it whole or not at all."""
        inventory = self.inventory()
        before, after = tags_of(old), tags_of(new)
        tags = [f"--deltag={tag}" for tag in sorted(before - after)]
        tags += [f"--addtag={tag}" for tag in sorted(after - before)]
        if not tags:
            return
        self._change(["lvchange", "--quiet", *tags, f"{self._group}/{old.name}"])
        slabs = tuple(new if slab.name == old.name else slab for slab in inventory.slabs)
        self._became(inventory.replace(slabs=slabs))

    def doom(self, slabs: "Sequence[Slab]") -> None:
        """Record that slabs are to be removed: from here on nobody is given them."""
        inventory = self.inventory()
        doomed = {slab.name: slab.replace(phase=DOOMED, holder="") for slab in slabs}
        tags: set[str] = set()
        for slab in slabs:
            before, after = tags_of(slab), tags_of(doomed[slab.name])
            tags |= {f"--deltag={tag}" for tag in before - after}
            tags |= {f"--addtag={tag}" for tag in after - before}
        if not tags:
            return
        volumes = [f"{self._group}/{name}" for name in sorted(doomed)]
        self._change(["lvchange", "--quiet", *sorted(tags), *volumes])
        self._became(
            inventory.replace(slabs=tuple(doomed.get(slab.name, slab) for slab in inventory.slabs))
        )

    def remove(self, slabs: "Sequence[Slab]") -> None:
        """Remove the logical volumes of slabs; LVM refuses one that is open."""
        inventory = self.inventory()
        names = {slab.name for slab in slabs}
        self._change(
            ["lvremove", "--yes", "--quiet", *(f"{self._group}/{n}" for n in sorted(names))]
        )
        group = inventory.group
        freed = sum(slab.extents for slab in slabs if not slab.thin)
        self._became(
            inventory.replace(
                slabs=tuple(slab for slab in inventory.slabs if slab.name not in names),
                group=group.replace(free_extents=group.free_extents + freed),
            ),
            commits=max(1, _THIN_COMMITS * sum(slab.thin for slab in slabs)),
        )

    def activate(self, slab: Slab) -> None:
        """Make the device of a slab appear, where a reboot has taken it."""
        self._run(["lvchange", "--activate", "y", "--quiet", f"{self._group}/{slab.name}"])

    def exists(self) -> bool:
        """Tell whether the volume group exists, from what LVM lists and not from what it says."""
        return bool(self._list("vgs", "vg_name", f"vg_name={self._group}"))

    def unused_physical_volumes(self) -> "set[str]":
        """Return the real paths of physical volumes that belong to no volume group.

        One that is left of a setup that did not come to its end is among them.
        """
        rows = self._list("pvs", "pv_name", 'vg_name="" && pv_in_use=0')
        return {os.path.realpath(row["pv_name"]) for row in rows}

    def make_group(self, devices: "Sequence[str]") -> None:
        """Make the volume group of devices that are known to be blank."""
        self._change(["vgcreate", "--metadatasize", _METADATA_AREA, self._group, *devices])

    def extend_group(self, devices: "Sequence[str]") -> None:
        """Add devices that are known to be blank."""
        self._change(["vgextend", "--metadatasize", _METADATA_AREA, self._group, *devices])

    def make_pool(self, extents: int, metadata_extents: int) -> None:
        """Make the thin pool.

        Blocks are zeroed before a volume gets them: no pod sees what another one wrote. A full pool
        fails a write at once; LVM's own default lets it hang for a minute first.
        """
        config = "activation{monitoring=0 error_when_full=1} backup{archive=0}"
        bytes_each = self.inventory().group.extent_bytes
        self._change(
            [
                *("lvcreate", "--yes", "--quiet", "--type", "thin-pool", "--name", POOL_NAME),
                *("--extents", str(extents), "--poolmetadataspare", "y"),
                *("--poolmetadatasize", f"{metadata_extents * bytes_each}b"),
                *("--chunksize", POOL_CHUNK, "--zero", "y", "--discards", "passdown"),
                *(f"--addtag={_POOL_TAG}", self._group),
            ],
            config,
        )

    def extend_pool(self, extents: int) -> None:
        """Give the thin pool's data so many more extents."""
        pool = f"{self._group}/{POOL_NAME}"
        self._change(["lvextend", "--yes", "--quiet", "--extents", f"+{extents}", pool])

    def extend_pool_metadata(self, extents: int) -> None:
        """Give the thin pool's metadata so many more extents."""
        size = f"+{extents * self.inventory().group.extent_bytes}b"
        pool = f"{self._group}/{POOL_NAME}"
        self._change(["lvextend", "--yes", "--quiet", "--poolmetadatasize", size, pool])

    def remove_pool(self) -> None:
        """Remove the thin pool, unless there is any volume in it."""
        pool = f"{self._group}/{POOL_NAME}"
        self._change(["lvremove", "--yes", "--quiet", "--select", "thin_count=0", pool])

    def activate_pool(self) -> None:
        """Make the thin pool's own device appear, so that it stays when its last volume goes."""
        self._run(["lvchange", "--activate", "y", "--quiet", f"{self._group}/{POOL_NAME}"])

    def remove_unfinished_pool(self) -> None:
        """Remove what an interrupted ``make_pool`` left: it is tagged, and no thin pool yet."""
        mark = f"lv_tags={_POOL_TAG} && lv_layout!=pool"
        if self._list("lvs", "lv_name", f"vg_name={self._group} && {mark}"):
            self._change(["lvremove", "--yes", "--quiet", "--select", mark, self._group])

    def activate_all(self) -> None:
        """Make the devices of all slabs appear, where a reboot has taken them."""
        self._run(["vgchange", "--activate", "y", "--quiet", self._group])

    def _list(self, command: str, field: str, only: str) -> "list[dict[str, str]]":
        argv = ["lvm", command, "--reportformat", "json", "-o", field, "-S", only]
        _, text = run(
            argv,
            stdin=self._lock.fd,
            changes=False,
            patience_seconds=_REPORT_PATIENCE_SECONDS,
        )
        return section(jsontext.loads(text), command[:2])

    def _change(self, arguments: list[str], config: str = _CONFIG) -> None:
        self._last_seen.forget()
        self._inventory = None
        self._run(arguments, config)

    def _became(self, inventory: Inventory, *, commits: int = 1) -> None:
        """Take over what the volume group has become: the change of its metadata was ours alone.

        ``keep`` and ``recall`` compare with the disks; had anyone else changed anything, or did
        another version of LVM count otherwise, their number would not be higher by ``commits``.
        """
        group = inventory.group
        changed = inventory.replace(group=group.replace(seqno=group.seqno + commits))
        if self._last_seen.keep(changed):
            self._inventory = changed

    def _run(self, arguments: list[str], config: str = _CONFIG) -> None:
        with Step(self._watcher, arguments[0]):
            run(["lvm", arguments[0], "--config", config, *arguments[1:]], stdin=self._lock.fd)

    def _report(self) -> Inventory:
        report = [
            "lvm", "fullreport", "--reportformat", "json", "--units", "b", "--nosuffix",
            "--configreport", "vg", "-o", _VG_FIELDS,
            "--configreport", "lv", "-o", _LV_FIELDS,
            "--configreport", "pv", "-o", "pv_name",
            "--configreport", "pvseg", "-o", "pvseg_start",
            "--configreport", "seg", "-o", "seg_start",
        ]  # fmt: skip
        try:
            _, text = run(
                [*report, self._group],
                stdin=self._lock.fd,
                changes=False,
                patience_seconds=_REPORT_PATIENCE_SECONDS,
            )
        except CommandError:
            if not self.exists():
                raise NoVolumeGroupError(f"there is no volume group {self._group}") from None
            raise
        return parse_report(text)
