"""What a node has: slabs, the volume group they lie in, and how LVM's tags record them.

A slab's facts are the tags of its logical volume and nowhere else. A tag may hold the characters
``A-Za-z0-9_+.-/=!:&#`` and 1024 of them (lvm(8)); every value goes through ``quote``, which is
reversible, so that nothing a person wrote can be mistaken for something else.
"""

from flexvol.record import Record

HELD = "held"
FREE = "free"
SPARE = "spare"
DOOMED = "doomed"
BUSY = "busy"
GENERATION = "generation"
PHASES = (HELD, FREE, SPARE, DOOMED, BUSY, GENERATION)

NAME_PREFIX = "slab-"

POOL_NAME = "dind-pool"
"""The thin pool's logical volume, where the settings say ``provisioning: thin``."""

METADATA_BYTES_PER_SLAB = 4096
"""What a slab's description may take of LVM's metadata area, and be written twice over (measured: a
slab with the longest names takes 1.5 KiB)."""

_PREFIX = "dind."
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/:#+")
_MAX_TAG = 1024


class Slab(Record):
    """A logical volume that holds one Docker graph.

    Attributes:
        name: the logical volume's name.
        extents: how many of the volume group's extents it takes.
        phase: ``HELD`` by a pod's volume, ``FREE``, ``SPARE`` (blank and formatted), ``DOOMED`` (to
            be removed), ``BUSY`` (released, but still open somewhere), ``GENERATION`` (a graph as a
            pod left it: never mounted, only cloned).
        size_mib: the size it was made for, in MiB; slabs are reused for exactly this size.
        file_system: ``ext4`` or ``xfs``.
        uuid: of its file system. It is chosen before the volume is made, so that a volume whose
            superblock does not carry it is known to be half-made.
        scope: whose pods may have it; empty for a spare.
        graph_format: which daemons understand its graph.
        anonymous: it is deleted on unmount, never reused.
        holder: the directory it is mounted at, or is about to be; empty unless held or busy.
        release: a number that grows with every release on the node; 0 before the first.
        uses: how often it was handed out.
        unchecked: its last use did not end in order: its file system is checked before the next.
        used_percent: how full it was when it was last released, of its blocks or inodes; None where
            that could not be told.
        released_at: when that was, in seconds since 1970 by the node's clock; 0 for never. For
            people and for ``prune``: a clock may jump, so nothing else asks for it.
        thin: it is a volume of the thin pool, which takes of the pool what is written to it.
        base: the release number of the generation it is a clone of; 0 for none.
        mapped_mib: how much of the pool a generation takes, in MiB; 0 for what may be written to.
        orphaned: its holder's pod directory is gone. Seen, not recorded.
    """

    name: str
    extents: int
    phase: str
    size_mib: int
    file_system: str = "ext4"
    uuid: str = ""
    scope: str = ""
    graph_format: str = ""
    anonymous: bool = False
    holder: str = ""
    release: int = 0
    uses: int = 0
    unchecked: bool = False
    used_percent: "int | None" = None
    released_at: int = 0
    thin: bool = False
    base: int = 0
    mapped_mib: int = 0
    orphaned: bool = False

    @property
    def unproven(self) -> bool:
        """Whether nothing but its superblock can tell that it was made to the end."""
        return self.release == 0 and self.uses <= 1


class VolumeGroup(Record):
    """LVM's volume group.

    Attributes:
        uuid: LVM's identifier of it.
        seqno: the number of the last change of its metadata.
        extent_bytes: the size of an extent.
        extents: how many it has in all, the admin's own volumes included.
        free_extents: how many belong to no volume.
        metadata_free_bytes: room left for the description of further volumes.
        devices: the paths of its physical volumes.
    """

    name: str
    uuid: str
    seqno: int
    extent_bytes: int
    extents: int
    free_extents: int
    metadata_free_bytes: int
    devices: tuple[str, ...]

    @property
    def can_describe_another(self) -> bool:
        """Whether LVM's metadata area has room for one more slab."""
        return self.metadata_free_bytes >= METADATA_BYTES_PER_SLAB

    def extents_for(self, size_mib: int) -> int:
        """Return how many extents a slab of ``size_mib`` takes: LVM rounds up to whole ones."""
        return -(-(size_mib << 20) // self.extent_bytes)


class ThinPool(Record):
    """The thin pool in the volume group.

    Attributes:
        extents: how many of the volume group's extents its data takes.
        metadata_extents: how many its metadata takes.
        foreign_extents: the virtual size of the volumes in it that are not ours.
        overcommit: how many times over its extents may be promised. A setting, not recorded.
        metadata_percent: of its metadata in use; None where it is not known. Seen, not recorded.
        fault: why it cannot be written to, in a few words; empty where it can. Seen, not recorded.
    """

    extents: int
    metadata_extents: int = 0
    foreign_extents: int = 0
    overcommit: float = 1.0
    metadata_percent: "float | None" = None
    fault: str = ""


class Inventory(Record):
    """What the volume group holds of ours; the admin's own volumes are not in it."""

    group: VolumeGroup
    slabs: tuple[Slab, ...]
    pool: "ThinPool | None" = None

    def next_release(self) -> int:
        """Return a number greater than every release so far; clocks jump, this does not.

        Also greater than that of a generation which is gone, as long as a clone names it.
        """
        return 1 + max((max(slab.release, slab.base) for slab in self.slabs), default=0)

    def slab(self, name: str) -> "Slab | None":
        """Return the slab of that name, if there is one."""
        return next((slab for slab in self.slabs if slab.name == name), None)


def blank(uuid: str, group: VolumeGroup, size_mib: int, file_system: str) -> Slab:
    """Return a slab that is yet to be made, named after the UUID its file system will carry."""
    return Slab(
        name=NAME_PREFIX + uuid.replace("-", "")[:12],
        extents=group.extents_for(size_mib),
        phase=SPARE,
        size_mib=size_mib,
        file_system=file_system,
        uuid=uuid,
    )


def cloned(slab: Slab, origin: Slab) -> Slab:
    """Return a slab that is yet to be made, as a clone of a generation.

    It has a name of its own and its origin's file system, UUID and all.
    """
    return slab.replace(
        uuid=origin.uuid,
        extents=origin.extents,
        scope=origin.scope,
        graph_format=origin.graph_format,
        thin=True,
        base=origin.release,
    )


def is_removable(slab: Slab) -> bool:
    """Tell whether a slab may be removed to make room: nobody will ask for it again."""
    return slab.phase in (DOOMED, SPARE, FREE, GENERATION) or (slab.phase == HELD and slab.orphaned)


def quote(text: str) -> str:
    """Return ``text`` in the characters that a tag may hold; ``unquote`` reverses it."""
    if _PLAIN.issuperset(text):
        return text
    return "".join(
        char
        if char in _PLAIN
        else "".join(f"={byte:02X}" for byte in char.encode(errors="replace"))
        for char in text
    )


def unquote(text: str) -> str:
    """Return what ``quote`` was given.

    Raises:
        ValueError: ``text`` was not written by ``quote``.
    """
    plain, *escaped = text.split("=")
    decoded = [bytes.fromhex(part[:2]) + part[2:].encode() for part in escaped]
    return b"".join([plain.encode(), *decoded]).decode()


def tags_of(slab: Slab) -> frozenset[str]:
    """Return the tags that record ``slab``."""
    values = {
        "slab": slab.phase,
        "size": str(slab.size_mib),
        "fs": slab.file_system,
        "uuid": slab.uuid,
        "scope": slab.scope,
        "graph": slab.graph_format,
        "type": "anonymous" if slab.anonymous else "",
        "holder": slab.holder,
        "release": str(slab.release or ""),
        "uses": str(slab.uses or ""),
        "unchecked": "yes" if slab.unchecked else "",
        "used": "" if slab.used_percent is None else str(slab.used_percent),
        "at": str(slab.released_at or ""),
        "thin": "yes" if slab.thin else "",
        "base": str(slab.base or ""),
        "mapped": str(slab.mapped_mib or ""),
    }
    return frozenset(f"{_PREFIX}{key}={quote(value)}" for key, value in values.items() if value)


def fits_a_tag(value: str) -> bool:
    """Tell whether a value is short enough to be recorded."""
    return len(quote(value)) <= _MAX_TAG - 32


def _phase(text: str) -> str:
    if text not in PHASES:
        raise ValueError(text)
    return text


def slab_from(name: str, extents: int, tags: "list[str]") -> "Slab | None":
    """Return the slab that a logical volume is, or None if it is none of ours.

    A volume whose tags say that it is ours but not what it is (someone edited them) is none either:
    it is never handed out and never removed.
    """
    values: dict[str, str] = {}
    for tag in tags:
        if tag.startswith(_PREFIX):
            key, _, value = tag[len(_PREFIX) :].partition("=")
            if key in values:
                return None
            values[key] = value
    if "slab" not in values:
        return None
    try:
        return Slab(
            name=name,
            extents=extents,
            phase=_phase(values["slab"]),
            size_mib=int(values["size"]),
            file_system=values["fs"],
            uuid=values["uuid"],
            scope=unquote(values.get("scope", "")),
            graph_format=unquote(values.get("graph", "")),
            anonymous=values.get("type") == "anonymous",
            holder=unquote(values.get("holder", "")),
            release=int(values.get("release", 0)),
            uses=int(values.get("uses", 0)),
            unchecked="unchecked" in values,
            used_percent=int(values["used"]) if "used" in values else None,
            released_at=int(values.get("at", 0)),
            thin="thin" in values,
            base=int(values.get("base", 0)),
            mapped_mib=int(values.get("mapped", 0)),
        )
    except (KeyError, ValueError):
        return None
