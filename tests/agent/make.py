"""Lines of the driver's log and reports, with what a test does not care about filled in."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from flexvol.agent.report import Report, parse
from flexvol.agent.tail import Line

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
UID = "1f2d95bc-275d-4376-bb96-404215f438d5"
CALL = {"call": "mount", "pod_uid": UID, "volume": "g", "pod": "build-1", "namespace": "ci"}
"""The fields of every line of a mount."""


def line(event: str, **fields: Any) -> Line:  # noqa: ANN401 - JSON
    """Return a line of the log, written at noon unless ``time`` is given."""
    return msgspec.convert({"time": NOON, "event": event, **fields}, Line)


def slab(name: str, state: str = "free", **fields: object) -> dict[str, Any]:
    """Return a slab as ``slab status --json`` tells of it."""
    known = {"size_mib": 1024, "scope": "namespace/ci", "graph_format": "docker-29", "release": 1}
    return {"name": name, "state": state, **known, **fields}


def document(*slabs: dict[str, Any], capacity_mib: int = 10000, **fields: object) -> str:
    """Return what ``slab status --json`` prints."""
    pool = {
        "volume_group": "dind",
        "size_bytes": capacity_mib << 20,
        "free_bytes": 3 << 20,
        "reclaimable_bytes": 2 << 20,
        "capacity_mib": capacity_mib,
    }
    return json.dumps({"version": "1", "pool": pool, "slabs": slabs, "new": "field", **fields})


def report(*slabs: dict[str, Any], capacity_mib: int = 10000) -> Report:
    """Return the same, read."""
    return parse(document(*slabs, capacity_mib=capacity_mib))
