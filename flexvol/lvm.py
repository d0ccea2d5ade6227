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
from flexvol.model import DOOMED, Inventory, Slab, VolumeGroup, slab_from, tags_of
from flexvol.step import Step, unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from flexvol.lock import Lock
    from flexvol.step import Watcher

_CONFIG = "activation{monitoring=0} backup{archive=0}"
_REPORT_PATIENCE_SECONDS = 60.0
_METADATA_AREA = "8m"
"""Room for the description of some 5,000 slabs; LVM's own default is full at some 600."""

_DESCRIPTION_BYTES = 2048
"""What one slab more takes of the metadata area, at most; LVM says exactly at its next report."""

_VG_FIELDS = (
    "vg_name,vg_uuid,vg_seqno,vg_extent_size,vg_extent_count,vg_free_count,vg_mda_free,"
    "vg_missing_pv_count"
)


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

    def create(self, slab: Slab) -> None:
        """Make the logical volume of a slab, with all its tags."""
        inventory = self.inventory()
        tags = [f"--addtag={tag}" for tag in sorted(tags_of(slab))]
        size = ["--name", slab.name, "--extents", str(slab.extents)]
        self._change(["lvcreate", "--yes", "--quiet", *size, *tags, self._group])
        group = inventory.group
        self._became(
            inventory.replace(
                slabs=(*inventory.slabs, slab),
                group=group.replace(
                    free_extents=group.free_extents - slab.extents,
                    metadata_free_bytes=group.metadata_free_bytes - _DESCRIPTION_BYTES,
                ),
            )
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
        freed = sum(slab.extents for slab in slabs)
        self._became(
            inventory.replace(
                slabs=tuple(slab for slab in inventory.slabs if slab.name not in names),
                group=group.replace(free_extents=group.free_extents + freed),
            )
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
        return _section(jsontext.loads(text), command[:2])

    def _change(self, arguments: list[str]) -> None:
        self._last_seen.forget()
        self._inventory = None
        self._run(arguments)

    def _became(self, inventory: Inventory) -> None:
        """Take over what the volume group has become: the one change of its metadata was ours.

        ``keep`` and ``recall`` compare with the disks; had anyone else changed anything, their
        number would be higher by more than one.
        """
        group = inventory.group
        changed = inventory.replace(group=group.replace(seqno=group.seqno + 1))
        if self._last_seen.keep(changed):
            self._inventory = changed

    def _run(self, arguments: list[str]) -> None:
        with Step(self._watcher, arguments[0]):
            run(["lvm", arguments[0], "--config", _CONFIG, *arguments[1:]], stdin=self._lock.fd)

    def _report(self) -> Inventory:
        report = [
            "lvm", "fullreport", "--reportformat", "json", "--units", "b", "--nosuffix",
            "--configreport", "vg", "-o", _VG_FIELDS,
            "--configreport", "lv", "-o", "lv_name,lv_size,lv_tags",
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


def parse_report(text: str) -> Inventory:
    """Return the inventory that LVM's full report of one volume group shows.

    Raises:
        PoolError: a disk is missing, or the report is not as lvm2 2.03 writes it.
    """
    try:
        document = jsontext.loads(text)
        facts = _section(document, "vg")[0]
        devices = tuple(row["pv_name"] for row in _section(document, "pv"))
        group = VolumeGroup(
            name=facts["vg_name"],
            uuid=facts["vg_uuid"],
            seqno=int(facts["vg_seqno"]),
            extent_bytes=int(facts["vg_extent_size"]),
            extents=int(facts["vg_extent_count"]),
            free_extents=int(facts["vg_free_count"]),
            metadata_free_bytes=int(facts["vg_mda_free"]),
            devices=devices,
        )
        slabs = [
            slab_from(row["lv_name"], int(row["lv_size"]) // group.extent_bytes, tags)
            for row in _section(document, "lv")
            if (tags := row["lv_tags"].split(","))
        ]
        missing = int(facts["vg_missing_pv_count"])
    except (ValueError, KeyError, IndexError) as error:
        raise PoolError(f"LVM's report is not understood: {error!r}") from error
    if missing:
        raise PoolError(
            f"{missing} disk(s) of volume group {group.name} are missing",
            "see pvs; attach the disk again, or remove it with vgreduce --removemissing",
        )
    return Inventory(group, tuple(slab for slab in slabs if slab is not None))


def _section(document: object, name: str) -> "list[dict[str, str]]":
    """Return the rows of one section of a report."""
    rows: list[dict[str, str]] = []
    if isinstance(document, dict):
        for report in document["report"]:
            rows += report.get(name, [])
    return rows


def device_path(group: str, name: str) -> str:
    """Return the device of a logical volume; device-mapper doubles the hyphens of both names."""
    return f"/dev/mapper/{group.replace('-', '--')}-{name.replace('-', '--')}"


def split_device_name(name: str) -> "tuple[str, str] | None":
    """Return (volume group, logical volume) of a device-mapper name, None if it is not LVM's."""
    group, hyphen, volume = name.replace("--", "\0").partition("-")
    if not hyphen or "-" in volume:
        return None
    return group.replace("\0", "-"), volume.replace("\0", "-")
