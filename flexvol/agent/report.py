"""What ``slab status --json`` says, typed. The driver may be newer: more fields do not matter."""

import msgspec

FREE, GENERATION = "free", "generation"


class Pool(msgspec.Struct, frozen=True):
    """The part of the volume group that slabs may take.

    Attributes:
        volume_group: its name.
        size_bytes: of all of it.
        free_bytes: in no volume.
        reclaimable_bytes: in slabs that may be removed to make room.
        capacity_mib: how much may be asked for in slabs.
        provisioning: what the settings say.
        data_percent: of a thin pool's data that is written to; None where it is not known.
        metadata_percent: of a thin pool's metadata, likewise.
    """

    volume_group: str
    size_bytes: int
    free_bytes: int
    reclaimable_bytes: int
    capacity_mib: int
    provisioning: str = "linear"
    data_percent: float | None = None
    metadata_percent: float | None = None


class Slab(msgspec.Struct, frozen=True):
    """A slab; see ``flexvol.model.Slab`` for the fields, ``flexvol.survey`` for the states."""

    name: str
    state: str
    size_mib: int
    scope: str = ""
    graph_format: str = ""
    anonymous: bool = False
    release: int = 0


class Fault(msgspec.Struct, frozen=True):
    """Why the pool cannot be used: a stable code, and a sentence."""

    cause: str
    message: str


class Report(msgspec.Struct, frozen=True):
    """All of it. Either there is a pool, or ``error`` says why not."""

    version: str = ""
    log_file: str = ""
    run_dir: str = ""
    pool: Pool | None = None
    slabs: tuple[Slab, ...] = ()
    error: Fault | None = None


def parse(text: str) -> Report:
    """Return the report; one with an error where ``text`` is none."""
    try:
        report = msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        return failed(f"the driver's status is not understood: {error}")
    if report.pool is None and report.error is None:
        return failed("the driver's status tells of no pool")
    return report


def failed(message: str) -> Report:
    """Return the report of a driver that gives none."""
    return Report(error=Fault("driver", message))
