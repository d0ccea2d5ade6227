"""What LVM's reports say, understood. Pure."""

from flexvol import jsontext
from flexvol.errors import PoolError
from flexvol.model import POOL_NAME, Inventory, Slab, ThinPool, VolumeGroup, slab_from


def parse_report(text: str) -> Inventory:
    """Return the inventory that LVM's full report of one volume group shows.

    Raises:
        PoolError: a disk is missing, or the report is not as lvm2 2.03 writes it.
    """
    try:
        document = jsontext.loads(text)
        facts = section(document, "vg")[0]
        devices = tuple(row["pv_name"] for row in section(document, "pv"))
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
        rows = section(document, "lv")
        slabs = [slab for row in rows if (slab := _slab(row, group)) is not None]
        pool = _pool(rows, group)
        missing = int(facts["vg_missing_pv_count"])
    except (ValueError, KeyError, IndexError) as error:
        raise PoolError(f"LVM's report is not understood: {error!r}") from error
    if missing:
        raise PoolError(
            f"{missing} disk(s) of volume group {group.name} are missing",
            "see pvs; attach the disk again, or remove it with vgreduce --removemissing",
        )
    return Inventory(group, tuple(slabs), pool)


def _slab(row: "dict[str, str]", group: VolumeGroup) -> "Slab | None":
    """Return the slab of a row; None where it is none, or lies elsewhere than its tags say."""
    slab = slab_from(row["lv_name"], _extents(row, group), row["lv_tags"].split(","))
    expected = POOL_NAME if slab is not None and slab.thin else ""
    return slab if row["pool_lv"] == expected else None


def _pool(rows: "list[dict[str, str]]", group: VolumeGroup) -> "ThinPool | None":
    for row in rows:
        if row["lv_name"] == POOL_NAME and row["lv_layout"] == "thin,pool":
            inside = [other for other in rows if other["pool_lv"] == POOL_NAME]
            foreign = (_extents(row, group) for row in inside if _slab(row, group) is None)
            metadata_extents = int(row["lv_metadata_size"]) // group.extent_bytes
            return ThinPool(_extents(row, group), metadata_extents, sum(foreign))
    return None


def _extents(row: "dict[str, str]", group: VolumeGroup) -> int:
    return int(row["lv_size"]) // group.extent_bytes


def section(document: object, name: str) -> "list[dict[str, str]]":
    """Return the rows of one section of a report."""
    rows: list[dict[str, str]] = []
    if isinstance(document, dict):
        for report in document["report"]:
            rows += report.get(name, [])
    return rows
